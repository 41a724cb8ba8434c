//! `testnet endpoints` and `testnet accounts`: files, printed.

use anyhow::Result;

use super::print;
use crate::cli::{Context, Which};
use crate::error::CommandError;
use crate::files::{Accounts, Endpoints, NetDir};
use crate::supervisor::running_pid;

pub(crate) fn endpoints(which: &Which, context: &Context<'_>) -> Result<()> {
    let dir = NetDir::of(&which.name)?;
    // A supervisor that was killed leaves its file behind.
    let found: Option<Endpoints> = match running_pid(&dir)? {
        Some(_) => dir.read("endpoints.json")?,
        None => None,
    };
    let endpoints = found.ok_or_else(|| {
        CommandError::unavailable(
            format!("net `{}` is not up", which.name),
            "`palisade testnet up`",
        )
    })?;
    print(context, &endpoints, || {
        let row = |node: &crate::files::Endpoint| {
            format!(
                "{:<8} {}  {}  {}",
                node.name, node.api, node.metrics, node.p2p
            )
        };
        endpoints
            .nodes
            .iter()
            .map(row)
            .collect::<Vec<_>>()
            .join("\n")
    })
}

pub(crate) fn accounts(which: &Which, context: &Context<'_>) -> Result<()> {
    let found: Option<Accounts> = NetDir::of(&which.name)?.read("accounts.json")?;
    let accounts = found.ok_or_else(|| {
        CommandError::not_found(format!("no net `{}`", which.name), "`palisade testnet up`")
    })?;
    print(context, &accounts, || {
        let row = |account: &crate::files::Account| {
            format!("{:<18} {}  {}", account.name, account.address, account.path)
        };
        let mut rows: Vec<String> = accounts.accounts.iter().map(row).collect();
        rows.push("DEV ONLY — public keys, worthless".to_owned());
        rows.join("\n")
    })
}
