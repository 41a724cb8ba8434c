//! `testnet down`.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::print;
use crate::cli::{Context, Which};
use crate::files::NetDir;
use crate::net::Net;

pub(crate) fn run(which: &Which, purge: bool, context: &Context<'_>) -> Result<()> {
    let net = Net::open(NetDir::of(&which.name)?)?;
    let was_up = net.supervisor()?.is_some();
    net.stop()?;
    if purge {
        std::fs::remove_dir_all(net.dir.path())
            .with_context(|| format!("cannot remove {}", net.dir.path().display()))?;
    }
    let document = json!({
        "schema": "palisade.testnet-down/1", "name": which.name, "was_up": was_up, "purged": purge,
    });
    print(context, &document, || {
        let ended = if was_up { "ended" } else { "was down already" };
        format!("net {} {ended}", which.name)
    })
}
