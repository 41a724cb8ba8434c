//! `palisade sign-state …`: what the consensus key may still sign. The node must be stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::Subcommand;
use protocol::units::Height;
use serde_json::json;
use storage::layer::OsLayer;
use storage::sign::portable::{SignStateExport, StoppedSignState};
use storage::sign::slot::SignerIdentity;
use storage::sign::state::SignStateError;

use super::Context;
use crate::exit::Exit;
use crate::keys::sign_file::{self, Document};
use crate::keys::{Role, file};
use crate::problem::{Problem, refuse};

/// A floor above this is a mistyped one: a chain of one block a second gets there in 34,000 years. A
/// floor can never be lowered again.
const FLOOR_MAX: u64 = 1 << 40;

/// What to do with it.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// What a start would find.
    Show,
    /// Make a first one, which forbids everything up to the end of a height.
    Init {
        /// No copy of this key ever signed above this height.
        #[arg(long, value_parser = clap::value_parser!(u64).range(..=FLOOR_MAX))]
        floor: u64,
    },
    /// Write it to a file that travels with the key. The key must not sign here afterwards.
    Export {
        /// Where to; the file must not exist.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Take in an exported one: the higher floor, and the commits of both.
    Import {
        /// The exported file.
        file: PathBuf,
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
    let lock = context.home.lock()?;
    let identity = SignerIdentity {
        chain: chain.id,
        public_key: key.public()?,
    };
    let data = context.home.data();
    let state = StoppedSignState::new(Arc::new(OsLayer), &data, identity, &lock);
    match verb {
        Verb::Show => {}
        Verb::Init { floor } => state.init(Height(*floor)).map_err(problem)?,
        Verb::Export { to } => export(&state.export().map_err(problem)?, to)?,
        Verb::Import { file } => return import(context, &state, file),
    }
    let found = state.export().map_err(problem)?;
    context
        .output
        .document(&json!(Document::of(&found)), || line(&found));
    Ok(Exit::Ok)
}

fn line(found: &SignStateExport) -> String {
    format!(
        "nothing at or below height {} round {} may be signed; {} result commits",
        found.point.height,
        found.point.round,
        found.commits.len()
    )
}

fn export(found: &SignStateExport, to: &Path) -> Result<()> {
    if to.exists() {
        refuse!("key.exists", "{} exists", to.display());
    }
    file::write_private(to, Document::of(found).to_text().as_bytes())?;
    Ok(())
}

fn import(context: &Context, state: &StoppedSignState<'_>, path: &Path) -> Result<Exit> {
    let import = sign_file::read(path)?;
    if import.point.height.0 > FLOOR_MAX {
        refuse!(
            "sign_state.malformed",
            "height {} is above {FLOOR_MAX}, and a floor can never be lowered",
            import.point.height
        );
    }
    let before = match state.export() {
        Ok(found) => Some(found.point),
        Err(SignStateError::Missing { .. }) => None,
        Err(error) => return Err(problem(error).into()),
    };
    let imported = state.import(&import).map_err(problem)?;
    let found = state.export().map_err(problem)?;
    let conflicts: Vec<_> = imported.conflicts.iter().map(sign_file::seat).collect();
    let document = json!({
        "schema": "palisade.sign-state-import/1",
        "height": found.point.height.0, "round": found.point.round.0,
        "step": sign_file::step_name(found.point.step),
        "raised": before.is_none_or(|before| before < found.point),
        "commits_added": imported.commits_added, "conflicts": conflicts,
    });
    context.output.document(&document, || {
        let kept = match imported.conflicts.len() {
            0 => String::new(),
            count => format!("\n{count} seats had another commit here, which stays"),
        };
        format!("{}{kept}", line(&found))
    });
    Ok(Exit::Ok)
}

/// The error with its own code: what to do about a missing sign-state is wrong for a damaged one.
fn problem(error: SignStateError) -> Problem {
    let exit = error.exit().and_then(|exit| Exit::from_code(exit.code()));
    let code = match (&error, exit) {
        (SignStateError::Exists { .. }, _) => "sign_state.exists",
        (SignStateError::OtherKey { .. }, _) => "sign_state.other_key",
        (_, Some(Exit::Config)) => "config.chain",
        (_, Some(Exit::SignState)) => "sign_state.missing",
        _ => "storage.failed",
    };
    let found = Problem::new(code, error);
    match exit {
        Some(exit) => found.exit(exit),
        None => found,
    }
}
