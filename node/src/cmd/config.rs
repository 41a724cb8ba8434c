//! `palisade config …`

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::Context;
use crate::config::load::commented_default;
use crate::exit::Exit;
use crate::problem::refuse;

/// What to do with the configuration.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Print a commented file with every default.
    Default,
    /// Check the file, the environment and their fit to the chain.
    Check,
    /// Print what holds.
    Show {
        /// Say where each value that is no default comes from.
        #[arg(long)]
        origins: bool,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    if matches!(verb, Verb::Default) {
        let text = commented_default();
        context.output.document(
            &json!({"schema": "palisade.config/1", "toml": text}),
            || text.clone(),
        );
        return Ok(Exit::Ok);
    }
    let loaded = context.home.load_config(context.global.config.as_deref())?;
    let chain = context
        .home
        .genesis_file()
        .exists()
        .then(|| context.home.chain())
        .transpose()?;
    let chain_name = chain.as_ref().map(|chain| &*chain.genesis.chain_name);
    loaded.check(chain_name)?;
    let root = context.home.root();
    if matches!(verb, Verb::Check) && loaded.file.is_none() && !root.exists() {
        refuse!("home.missing", "{}: nothing to check", root.display());
    }
    let file = loaded.file.as_ref().map(|path| path.display().to_string());
    let origins: Vec<_> = loaded
        .origins
        .iter()
        .map(|origin| json!({"key": origin.key, "from": origin.from}))
        .collect();
    let document = json!({
        "schema": "palisade.config/1", "ok": true, "file": file,
        "config": loaded.config, "origins": origins,
    });
    context.output.document(&document, || match verb {
        Verb::Show { origins } => {
            let mut text = toml::to_string(&loaded.config).unwrap_or_default();
            for origin in loaded.origins.iter().filter(|_| *origins) {
                text.push_str(&format!("# {} from {}\n", origin.key, origin.from));
            }
            text
        }
        _ => format!("ok: {}", file.as_deref().unwrap_or("no file, all defaults")),
    });
    Ok(Exit::Ok)
}
