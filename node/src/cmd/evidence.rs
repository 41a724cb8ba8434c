//! `palisade evidence …` and `palisade slash list`

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use protocol::evidence::EvidenceKind;
use protocol::limits::EVIDENCE_MESSAGE_BYTES_MAX;
use protocol::tx::{SubmitEvidence, TxBody};
use serde_json::Value;

use super::Context;
use super::account::sent;
use super::chain::pairs;
use super::tx::id_part;
use crate::client::{number, text};
use crate::exit::Exit;
use crate::keys::file::read_given;
use crate::output::pal;
use crate::problem::Problem;

/// What to do with evidence.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// All evidence on the chain.
    List,
    /// One piece.
    Show {
        /// Its id or the first digits of it, 8 at least.
        id: String,
    },
    /// Report two messages that contradict each other.
    Submit {
        /// A file with the first signed message: its envelope bytes, or their hex.
        first: PathBuf,
        /// A file with the second.
        second: PathBuf,
    },
}

/// What to do with slashes.
#[derive(Subcommand, Debug)]
pub(crate) enum SlashVerb {
    /// All slashes on the chain.
    List,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let node = context.resolve()?;
    match verb {
        Verb::List => {
            let value = node.api.get("/v1/evidence")?;
            context
                .output
                .document(&value, || rows(&value, "evidence", evidence_line));
        }
        Verb::Show { id } => {
            let id = id_part(id, "evidence.unknown")?;
            let value = node.api.get(&format!("/v1/evidence/{id}"))?;
            context.output.document(&value, || pairs(&value));
        }
        Verb::Submit { first, second } => {
            let chain = node.chain()?;
            let signer = node.wallet(&chain)?;
            let (a, b) = (message(first)?, message(second)?);
            let kind = kind_of(&a, &b)?;
            let body = TxBody::SubmitEvidence(SubmitEvidence { kind, a, b });
            let (ready, included) = node.transact(&chain, &signer, |_| Ok(body))?;
            let document = sent("palisade.evidence-submit/1", &ready, &included);
            context.output.document(&document, || {
                format!(
                    "{} included at height {}",
                    kind.name(),
                    number(&included, "height")
                )
            });
        }
    }
    Ok(Exit::Ok)
}

/// Lists slashes.
pub(crate) fn slashes(context: &Context, verb: &SlashVerb) -> Result<Exit> {
    let SlashVerb::List = verb;
    let value = context.resolve()?.api.get("/v1/slashes")?;
    context.output.document(&value, || {
        rows(&value, "slashes", |row| {
            let amount = pal(number(row, "amount"));
            format!(
                "{:>8} {:<16} {amount:>14} {}",
                number(row, "height"),
                text(row, "offence"),
                text(row, "validator")
            )
        })
    });
    Ok(Exit::Ok)
}

fn rows(value: &Value, key: &str, line: impl Fn(&Value) -> String) -> String {
    let rows: Vec<String> = value[key]
        .as_array()
        .into_iter()
        .flatten()
        .map(line)
        .collect();
    if rows.is_empty() {
        "none".to_owned()
    } else {
        rows.join("\n")
    }
}

fn evidence_line(row: &Value) -> String {
    format!(
        "{:>8} {:<16} {} {}",
        number(row, "height"),
        text(row, "kind"),
        text(row, "validator"),
        text(row, "id")
    )
}

fn message(path: &Path) -> Result<Vec<u8>> {
    let max = u64::try_from(2 * EVIDENCE_MESSAGE_BYTES_MAX + 2)?;
    let bytes = read_given(path, max, "evidence.rejected")?;
    let hex = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| hex::decode(text.trim()).ok());
    Ok(hex.unwrap_or(bytes))
}

fn kind_of(a: &[u8], b: &[u8]) -> Result<EvidenceKind> {
    let kinds = [EvidenceKind::DoubleVote, EvidenceKind::DoubleProposal];
    let mut last = None;
    for kind in kinds {
        match protocol::evidence::ContradictingPair::parse(kind, a, b) {
            Ok(_) => return Ok(kind),
            Err(error) => last = Some(error),
        }
    }
    let why = last.map_or_else(String::new, |error| error.to_string());
    Err(Problem::new("evidence.rejected", why).into())
}
