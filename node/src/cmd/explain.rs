//! `palisade explain CODE`

use anyhow::Result;
use serde_json::json;

use super::Context;
use crate::exit::Exit;
use crate::problem::{REGISTRY, entry, refuse};

/// Which code.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A problem's code such as `tx.stale_nonce`, an exit code such as 75, or `all`.
    code: String,
}

/// Prints what the one registry knows.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit> {
    let wanted_exit = args.code.parse::<u8>().ok().and_then(Exit::from_code);
    let found: Vec<_> = match (args.code.as_str(), wanted_exit) {
        ("all", _) => REGISTRY.to_vec(),
        (_, Some(exit)) => REGISTRY
            .iter()
            .filter(|entry| entry.exit == exit)
            .copied()
            .collect(),
        (code, None) => entry(code).into_iter().collect(),
    };
    if found.is_empty() && wanted_exit.is_none() {
        refuse!("code.unknown", "{}", args.code);
    }
    let codes: Vec<_> = found
        .iter()
        .map(|entry| {
            json!({
                "code": entry.code, "title": entry.title, "hint": entry.hint,
                "status": entry.status, "exit_code": entry.exit.code(),
            })
        })
        .collect();
    let document = json!({"schema": "palisade.explain/1", "codes": codes});
    context.output.document(&document, || {
        let mut text = String::new();
        if let Some(exit) = wanted_exit {
            text.push_str(&format!("exit {}: {exit:?}\n", exit.code()));
        }
        for entry in found {
            text.push_str(&format!(
                "{}\n  {}.\n  next: {}\n  HTTP {}, exit {}\n",
                entry.code,
                entry.title,
                entry.hint,
                entry.status,
                entry.exit.code()
            ));
        }
        text
    });
    Ok(Exit::Ok)
}
