//! `testnet init`.

use std::net::Ipv4Addr;

use anyhow::Result;
use protocol::genesis::is_local_name;
use protocol::units::TimeMs;

use super::print;
use crate::cli::{Context, InitArgs, KeysFrom};
use crate::error::CommandError;
use crate::files::{NetDir, check_name};
use crate::home::KeySource;
use crate::manifest::{Manifest, NODE_NAMES};
use crate::plan::Plan;
use crate::setup::{Addresses, Setup};

pub(crate) fn run(args: &InitArgs, context: &Context<'_>) -> Result<()> {
    let names = names(args)?;
    if !args.addr.is_empty() && args.addr.len() != names.len() {
        let detail = format!("{} addresses for {} nodes", args.addr.len(), names.len());
        return Err(CommandError::config(detail, "--addr takes one address a node").into());
    }
    for text in &args.addr {
        check_address(text, &args.chain_name)?;
    }
    if args.client.is_some() && args.keys == KeysFrom::Dev {
        let detail = "--client goes with --keys random".to_owned();
        let hint = "development nets have client-0 to client-3: palisade testnet accounts";
        return Err(CommandError::config(detail, hint).into());
    }
    if let Some(name) = &args.client {
        check_name("--client", name)?;
    }
    let mut manifest = Manifest::of_names(&names, &args.chain_name);
    manifest.order = names;
    manifest.check_names().map_err(|error| {
        let hint = "name each node once, as in `--names alice,bob,carol,dave`";
        CommandError::config(format!("--names: {error}"), hint)
    })?;
    let dir = NetDir::at(&args.dir);
    if args.if_missing
        && let Some(plan) = dir.read::<Plan>("plan.json")?
    {
        return print(context, &plan, || {
            format!(
                "{} holds chain {} already",
                args.dir.display(),
                plan.chain_id
            )
        });
    }
    let setup = Setup {
        name: &args.chain_name,
        dir: &dir,
        manifest: &manifest,
        keys: match args.keys {
            KeysFrom::Dev => KeySource::Dev(manifest.seed),
            KeysFrom::Random => KeySource::Random,
        },
        addresses: if args.addr.is_empty() {
            Addresses::Slot(*crate::slot::SLOTS.start())
        } else {
            Addresses::Given(args.addr.clone())
        },
        fund: &[],
        client: args.client.as_deref(),
        genesis_time: args.genesis_time_ms.map_or_else(crate::clock::wall, TimeMs),
        allow_degraded: &[],
        api_port: None,
        metrics_port: None,
    };
    let plan = setup.write(context.host)?;
    print(context, &plan, || {
        format!(
            "wrote {} homes in {}, chain {}",
            plan.nodes.len(),
            args.dir.display(),
            plan.chain_id
        )
    })
}

/// An address that a node of this chain can listen on: development keys are public.
fn check_address(text: &str, chain_name: &str) -> Result<(), CommandError> {
    let address: Ipv4Addr = text.parse().map_err(|_| {
        let detail = format!("--addr: {text:?} is no IPv4 address");
        CommandError::config(
            detail,
            "one address a node, as in `--addr 10.77.1.11,10.77.1.12`",
        )
    })?;
    if is_local_name(chain_name) && !address.is_loopback() {
        let detail = format!("--addr: {text} on {chain_name}: a local chain stays on loopback");
        let hint = "`--keys random --chain-name NAME`, where NAME begins with neither \
                    palisade-local- nor palisade-dev-";
        return Err(CommandError::config(detail, hint));
    }
    Ok(())
}

/// The names given, or the usual ones.
fn names(args: &InitArgs) -> Result<Vec<String>> {
    if !args.names.is_empty() {
        return Ok(args.names.clone());
    }
    let usual = NODE_NAMES
        .get(..args.nodes)
        .filter(|names| !names.is_empty());
    let usual = usual.ok_or_else(|| {
        let detail = format!("--nodes {}: 1 to {} nodes", args.nodes, NODE_NAMES.len());
        CommandError::config(detail, "`--nodes 4` is the default")
    })?;
    Ok(usual.iter().map(|name| (*name).to_owned()).collect())
}
