//! `palisade chain …`

use anyhow::Result;
use clap::Subcommand;
use serde_json::Value;

use super::Context;
use crate::client::{number, text};
use crate::exit::Exit;
use crate::output::pal;
use crate::printable::printable;

/// What to look at.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Height, state root and where all the money is.
    Show,
    /// The chain's parameters.
    Params,
    /// One block, the latest by default.
    Block {
        /// Its height.
        height: Option<u64>,
    },
    /// All validators.
    Validators,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let node = context.resolve()?;
    let value = match verb {
        Verb::Show => node.api.get("/v1/chain")?,
        Verb::Params => node.api.get("/v1/chain/params")?,
        Verb::Block {
            height: Some(height),
        } => node.api.get(&format!("/v1/blocks/{height}"))?,
        Verb::Block { height: None } => {
            let height = number(&node.api.get("/v1/status")?, "height");
            node.api.get(&format!("/v1/blocks/{height}"))?
        }
        Verb::Validators => node.api.get("/v1/validators")?,
    };
    context.output.document(&value, || match verb {
        Verb::Validators => validators(&value),
        _ => pairs(&value),
    });
    Ok(Exit::Ok)
}

/// `key value` lines of an object, for people.
pub(crate) fn pairs(value: &Value) -> String {
    let lines = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "schema");
    let shown = lines.map(|(key, value)| match value {
        Value::String(text) => format!("{key:<16} {}", printable(text)),
        Value::Object(_) => {
            let inner = pairs(value);
            let inner: Vec<String> = inner.lines().map(|line| format!("  {line}")).collect();
            format!("{key}\n{}", inner.join("\n"))
        }
        other => format!("{key:<16} {}", printable(&other.to_string())),
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn validators(value: &Value) -> String {
    let rows = value["validators"].as_array().into_iter().flatten();
    rows.map(|row| {
        format!(
            "{:<12} {:<11} {:>14} {}",
            printable(text(row, "moniker")),
            text(row, "state"),
            pal(number(row, "stake")),
            text(row, "id")
        )
    })
    .collect::<Vec<_>>()
    .join("\n")
}
