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
use crate::problem::{Problem, refuse};

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

/// A transaction from a file. The node's own answers to one that is too long depend on how much too
/// long it is, so it is judged here.
fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    let too_long = || {
        let path = path.display();
        let text = format!("{path} holds more than the {SIGNED_TX_BYTES_MAX} bytes allowed");
        Problem::new("tx.too_long", text)
    };
    let max = u64::try_from(2 * SIGNED_TX_BYTES_MAX + 2)?;
    let bytes = read_given(path, max, "tx.too_long").map_err(|problem| {
        if problem.code == "tx.too_long" {
            too_long()
        } else {
            problem
        }
    })?;
    let hex = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| hex::decode(text.trim()).ok());
    let bytes = hex.unwrap_or(bytes);
    if bytes.len() > SIGNED_TX_BYTES_MAX {
        return Err(too_long().into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_much_too_long_it_is_the_answer_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tx");
        let of = |bytes: Vec<u8>| {
            std::fs::write(&path, bytes).unwrap();
            bytes_of(&path).map_err(|error| error.downcast::<Problem>().unwrap())
        };
        let longest = vec![1; SIGNED_TX_BYTES_MAX];
        let hex = |bytes: &[u8]| format!("{}\n", hex::encode(bytes)).into_bytes();
        assert_eq!(of(longest.clone()).unwrap(), longest);
        assert_eq!(of(hex(&longest)).unwrap(), longest);
        let longer = [longest, vec![1]].concat();
        let first = of(longer.clone()).unwrap_err();
        assert_eq!((first.code.as_str(), first.exit_code), ("tx.too_long", 5));
        for bytes in [hex(&longer), vec![1; 40_000], vec![1; 70_000]] {
            assert_eq!(of(bytes).unwrap_err(), first);
        }
        std::fs::remove_file(&path).unwrap();
        let missing = bytes_of(&path).unwrap_err().downcast::<Problem>().unwrap();
        assert_eq!(missing.code, "file.unreadable");
    }
}
