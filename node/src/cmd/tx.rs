//! `palisade tx …`

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use protocol::limits::SIGNED_TX_BYTES_MAX;
use serde_json::json;

use super::Context;
use crate::api::Range;
use crate::client::text;
use crate::exit::Exit;
use crate::keys::file::read_given;
use crate::problem::refuse;

/// What to do with transactions.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Where a transaction is.
    Show {
        /// Its id; of an included one the first digits do, 8 at least.
        id: String,
    },
    /// Ask what a signed transaction would do, without sending it.
    Simulate {
        /// A file with its bytes, or with their hex.
        file: PathBuf,
    },
    /// Send a signed transaction.
    Send {
        /// A file with its bytes, or with their hex.
        file: PathBuf,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let node = context.resolve()?;
    let (document, human) = match verb {
        Verb::Show { id } => {
            let found = node
                .api
                .get(&format!("/v1/tx/{}", id_part(id, "tx.unknown")?))?;
            if text(&found, "status") == "unknown" {
                refuse!("tx.unknown", "{id}");
            }
            let height = found["height"].as_u64().map(|h| format!(" at height {h}"));
            let human = format!(
                "{} {}{}",
                text(&found, "id"),
                text(&found, "status"),
                height.unwrap_or_default()
            );
            (found, human)
        }
        Verb::Simulate { file } => {
            let answer = node.api.post("/v1/tx/simulate", &bytes_of(file)?)?;
            let human = format!("{} would be admitted now", text(&answer, "id"));
            (answer, human)
        }
        Verb::Send { file } => {
            let answer = node.api.post("/v1/tx", &bytes_of(file)?)?;
            let human = format!(
                "{} accepted; palisade tx show says when it is included",
                text(&answer, "id")
            );
            (answer, human)
        }
    };
    let mut document = document;
    document["schema"] = json!("palisade.tx/1");
    context.output.document(&document, || human);
    Ok(Exit::Ok)
}

/// An id or its first digits, as it stands in a path; `unknown` is the code of what is neither.
pub(crate) fn id_part<'a>(id: &'a str, unknown: &str) -> Result<&'a str> {
    Range::asked(id, unknown)?;
    Ok(id)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    let max = u64::try_from(2 * SIGNED_TX_BYTES_MAX + 2)?;
    let bytes = read_given(path, max, "tx.malformed")?;
    let hex = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| hex::decode(text.trim()).ok());
    Ok(hex.unwrap_or(bytes))
}
