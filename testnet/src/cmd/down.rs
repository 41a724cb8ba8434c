//! `testnet down`.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::print;
use crate::claim::Claim;
use crate::cli::{Context, Which};
use crate::clock::poll;
use crate::files::NetDir;
use crate::net::{end, missing};

/// A command that waits for a net to come up hears of its end within this.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn run(which: &Which, purge: bool, context: &Context<'_>) -> Result<()> {
    let dir = NetDir::of(&which.name)?;
    let was_up = end(&dir)?;
    if !was_up && !dir.file("plan.json").exists() {
        return Err(missing(&dir).into());
    }
    if purge {
        // Whoever was waiting for this net to come up notices first that it has ended.
        let claim = poll(CLAIM_TIMEOUT, || Claim::of(&dir).ok());
        claim.map_or_else(|| Claim::of(&dir), Ok)?.clear()?;
    }
    let document = json!({
        "schema": "palisade.testnet-down/1", "name": which.name, "was_up": was_up, "purged": purge,
    });
    print(context, &document, || {
        let ended = if was_up { "ended" } else { "was down already" };
        format!("net {} {ended}", which.name)
    })
}
