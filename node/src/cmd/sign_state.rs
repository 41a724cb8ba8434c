//! `palisade sign-state …`: what the consensus key may still sign. The node must be stopped.

use std::sync::Arc;

use anyhow::Result;
use clap::Subcommand;
use protocol::units::Height;
use serde_json::json;
use storage::home::HomeLock;
use storage::layer::OsLayer;
use storage::sign::portable::StoppedSignState;
use storage::sign::slot::SignerIdentity;

use super::Context;
use crate::exit::Exit;
use crate::keys::{Role, file};
use crate::problem::{Problem, refuse};

/// What to do with it.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// What a start would find.
    Show,
    /// Make a first one, which forbids everything up to the end of a height.
    Init {
        /// No copy of this key ever signed above this height.
        #[arg(long)]
        floor: u64,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let chain = context.home.chain()?;
    let keys = file::list(&context.home.keys())?;
    let Some(key) = keys
        .iter()
        .find(|found| found.label.role == Role::Consensus)
    else {
        refuse!(
            "key.unknown",
            "no consensus key in {}",
            context.home.keys().display()
        );
    };
    let lock =
        HomeLock::acquire(context.home.root()).map_err(|error| Problem::new("lock.held", error))?;
    let identity = SignerIdentity {
        chain: chain.id,
        public_key: key.public()?,
    };
    let data = context.home.data();
    let state = StoppedSignState::new(Arc::new(OsLayer), &data, identity, &lock);
    if let Verb::Init { floor } = verb {
        state
            .init(Height(*floor))
            .map_err(|error| Problem::new("sign_state.missing", error))?;
    }
    let found = state
        .export()
        .map_err(|error| Problem::new("sign_state.missing", error))?;
    let document = json!({
        "schema": "palisade.sign-state/1", "genesis_hash": chain.id.to_string(),
        "public_key": key.label.public_key, "height": found.point.height.0,
        "round": found.point.round.0, "step": format!("{:?}", found.point.step).to_lowercase(),
        "commits": found.commits.len(),
    });
    context.output.document(&document, || {
        format!(
            "nothing at or below height {} round {} may be signed",
            found.point.height, found.point.round
        )
    });
    Ok(Exit::Ok)
}
