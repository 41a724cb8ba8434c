//! `palisade audit verify`

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use storage::audit::checkpoint::LogIdentity;
use storage::audit::verify::verify_dir;

use super::Context;
use crate::exit::Exit;
use crate::keys::{Role, file};
use crate::problem::{Problem, refuse};

/// What to do with the audit log.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Check every record, checkpoint and signature; files are only read.
    Verify {
        /// A directory with the log, such as a copy; the home's own by default.
        dir: Option<PathBuf>,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let Verb::Verify { dir } = verb;
    let chain = context.home.chain()?;
    let keys = file::list(&context.home.keys())?;
    let Some(peer) = keys.iter().find(|found| found.label.role == Role::Peer) else {
        refuse!(
            "key.unknown",
            "no peer key in {}: it signs checkpoints",
            context.home.keys().display()
        );
    };
    let own = context.home.data().join(storage::paths::AUDIT);
    let dir = dir.clone().unwrap_or(own);
    let identity = LogIdentity {
        chain: chain.id,
        signer: peer.public()?,
    };
    let verdict =
        verify_dir(&dir, &identity, &[]).map_err(|error| Problem::new("home.missing", error))?;
    let (first_bad, cause) = match verdict.fault {
        Some((index, cause)) => (Some(index), Some(cause.name())),
        None => (None, None),
    };
    let document = json!({
        "schema": "palisade.audit-verify/1", "ok": verdict.ok(), "records": verdict.records,
        "first_bad": first_bad, "cause": cause,
        "anchors": {"checked": verdict.anchors_checked, "missing": verdict.anchors_missing},
    });
    context
        .output
        .document(&document, || match (first_bad, cause) {
            (Some(index), Some(cause)) => format!("BROKEN at record {index}: {cause}"),
            _ => format!(
                "ok: {} records, {} checkpoints",
                verdict.records,
                verdict.checkpoints.len()
            ),
        });
    Ok(if verdict.ok() { Exit::Ok } else { Exit::False })
}
