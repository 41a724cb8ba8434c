//! `palisade audit verify`

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use protocol::digest::ChainId;
use protocol::keys::PublicKey;
use serde_json::json;
use storage::audit::checkpoint::LogIdentity;
use storage::audit::verify::{AuditVerdict, verify_dir};

use super::Context;
use crate::exit::Exit;
use crate::keys::{Role, file};
use crate::problem::{Problem, refuse};

/// A log that is being written may show half a record at its end; it is whole a moment later.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(100);
/// A segment is not longer.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// What to do with the audit log.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Check every record, checkpoint and signature; files are only read.
    Verify {
        /// A directory with the log, such as a copy; the home's own by default.
        dir: Option<PathBuf>,
        /// The peer key that must have signed its checkpoints; by default that of the home the
        /// log lies in, then our home's, then whichever the log itself names.
        #[arg(long, value_name = "HEX")]
        signer: Option<PublicKey>,
    },
}

/// Who must have signed, and how we know.
struct Signer {
    key: PublicKey,
    from: &'static str,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let Verb::Verify { dir, signer } = verb;
    let chain = crate::client::resolve::chain_of(&context.global, &context.home)?;
    let own = context.home.data().join(storage::paths::AUDIT);
    let dir = dir.clone().unwrap_or(own);
    let signer = signer_of(context, &dir, chain.id, *signer)?;
    let verdict = look(
        &dir,
        &LogIdentity {
            chain: chain.id,
            signer: signer.key,
        },
    )?;
    let (first_bad, cause) = match verdict.fault {
        Some((index, cause)) => (Some(index), Some(cause.name())),
        None => (None, None),
    };
    let document = json!({
        "schema": "palisade.audit-verify/1", "ok": verdict.ok(), "records": verdict.records,
        "first_bad": first_bad, "cause": cause, "signer": signer.key.to_string(),
        "signer_from": signer.from,
        "anchors": {"checked": verdict.anchors_checked, "missing": verdict.anchors_missing},
    });
    context
        .output
        .document(&document, || match (first_bad, cause) {
            (Some(index), Some(cause)) => format!("BROKEN at record {index}: {cause}"),
            _ => format!(
                "ok: {} records, {} checkpoints, signer from the {}",
                verdict.records,
                verdict.checkpoints.len(),
                signer.from
            ),
        });
    Ok(match (first_bad, cause) {
        (Some(index), Some(cause)) => {
            let detail = format!("{}: record {index}: {cause}", dir.display());
            context
                .output
                .problem(&Problem::new("audit.broken", detail))
        }
        _ => Exit::Ok,
    })
}

fn look(dir: &Path, identity: &LogIdentity) -> Result<AuditVerdict> {
    for number in 1.. {
        let verdict =
            verify_dir(dir, identity, &[]).map_err(|error| Problem::new("audit.missing", error))?;
        if verdict.ok() || number == LOOKS {
            return Ok(verdict);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    unreachable!("the loop ends by its count")
}

fn signer_of(
    context: &Context,
    dir: &Path,
    chain: ChainId,
    given: Option<PublicKey>,
) -> Result<Signer> {
    if let Some(key) = given {
        return Ok(Signer {
            key,
            from: "argument",
        });
    }
    let beside = dir
        .parent()
        .and_then(Path::parent)
        .map(|home| home.join("keys"));
    for (keys, from) in [(beside, "log's home"), (Some(context.home.keys()), "home")] {
        let Some(keys) = keys.filter(|keys| keys.is_dir()) else {
            continue;
        };
        let found = file::list(&keys)?;
        if let Some(peer) = found.iter().find(|found| found.label.role == Role::Peer) {
            return Ok(Signer {
                key: peer.public()?,
                from,
            });
        }
    }
    match named_in_log(dir, chain)? {
        Some(key) => Ok(Signer {
            key,
            from: "log itself",
        }),
        None => refuse!(
            "audit.missing",
            "{}: no checkpoint names its signer; give --signer if the log is too young to have one",
            dir.display()
        ),
    }
}

/// The key in a checkpoint's first line, `palisade/audit/<chain>/<key>`. It proves only that one
/// key signed them all.
fn named_in_log(dir: &Path, chain: ChainId) -> Result<Option<PublicKey>> {
    let origin = format!("palisade/audit/{chain}/");
    let unreadable = |error: std::io::Error| {
        Problem::new("audit.missing", format!("{}: {error}", dir.display()))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    for path in paths.iter().filter(|path| path.is_file()) {
        let bytes = file::read_limited(path, SEGMENT_BYTES_MAX)?;
        let mut places = bytes.windows(origin.len()).enumerate();
        let Some((at, _)) = places.find(|(_, window)| *window == origin.as_bytes()) else {
            continue;
        };
        let key = bytes.get(at + origin.len()..at + origin.len() + 2 * PublicKey::LEN);
        if let Some(key) = key.and_then(|key| std::str::from_utf8(key).ok()?.parse().ok()) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}
