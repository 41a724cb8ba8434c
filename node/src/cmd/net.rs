//! `palisade net …` and `palisade quiesce`

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};

use super::Context;
use crate::admin;
use crate::client::{number, text};
use crate::exit::Exit;

/// What to look at.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// The peers of this node.
    Peers,
    /// Who is refused, and until when.
    Bans,
}

/// Which way.
#[derive(clap::Args, Debug)]
pub(crate) struct QuiesceArgs {
    /// Take seats again.
    #[arg(long)]
    off: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let value = context.resolve()?.api.get("/v1/peers")?;
    let (key, line): (_, fn(&Value) -> String) = match verb {
        Verb::Peers => ("peers", |row| {
            format!(
                "{:<54} {:<9} {:<9} {:>7} {}",
                text(row, "peer_id"),
                text(row, "role"),
                text(row, "direction"),
                row["score"],
                text(row, "state")
            )
        }),
        Verb::Bans => ("bans", |row| {
            format!(
                "{:<54} until {} {}",
                text(row, "peer_id"),
                number(row, "until"),
                text(row, "reason")
            )
        }),
    };
    context.output.document(&value, || {
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
    });
    Ok(Exit::Ok)
}

/// Tells the running node to be quiet, or to go on.
pub(crate) fn quiesce(context: &Context, args: &QuiesceArgs) -> Result<Exit> {
    let mut value = admin::post(
        &context.home,
        "/v1/admin/quiesce",
        &json!({"on": !args.off}),
    )?;
    value["schema"] = json!("palisade.quiesce/1");
    context.output.document(&value, || {
        if args.off {
            "taking seats again"
        } else {
            "takes no seats; votes go on"
        }
        .to_owned()
    });
    Ok(Exit::Ok)
}
