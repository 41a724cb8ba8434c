//! `testnet init`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::Result;
use protocol::genesis::is_local_name;
use protocol::units::TimeMs;
use serde::Serialize;

use super::print;
use crate::cli::{Context, InitArgs, KeysFrom};
use crate::error::CommandError;
use crate::files::{NetDir, check_name};
use crate::home::KeySource;
use crate::manifest::{Manifest, NODE_NAMES};
use crate::plan::Plan;
use crate::setup::{Addresses, Setup};

/// The last millisecond of the year 9999: later times have no common text form.
const TIME_MS_MAX: u64 = 253_402_300_799_999;

pub(crate) fn run(args: &InitArgs, context: &Context<'_>) -> Result<()> {
    let names = names(args)?;
    check(args, names.len())?;
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
        return print(context, &Written::of(&plan), || {
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
    print(context, &Written::of(&plan), || {
        format!(
            "wrote {} homes in {}, chain {}",
            plan.nodes.len(),
            args.dir.display(),
            plan.chain_id
        )
    })
}

/// What the arguments must not say together.
fn check(args: &InitArgs, nodes: usize) -> Result<(), CommandError> {
    check_addresses(args, nodes)?;
    if args.keys == KeysFrom::Dev && !is_local_name(&args.chain_name) {
        let detail = format!(
            "--chain-name {}: development keys are public",
            args.chain_name
        );
        let hint = "`--keys random`, or a name that begins with palisade-local- or palisade-dev-";
        return Err(CommandError::config(detail, hint));
    }
    if let Some(time) = args.genesis_time_ms.filter(|time| *time > TIME_MS_MAX) {
        let detail = format!("--genesis-time-ms {time} is after the year 9999");
        return Err(CommandError::config(detail, "milliseconds since 1970"));
    }
    if args.client.is_some() && args.keys == KeysFrom::Dev {
        let detail = "--client goes with --keys random".to_owned();
        let hint = "development nets have client-0 to client-3: palisade testnet accounts";
        return Err(CommandError::config(detail, hint));
    }
    if let Some(name) = &args.client {
        check_name("--client", name)?;
    }
    Ok(())
}

/// `palisade.testnet-init/1`: the plan, as it is on disk.
#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    #[serde(flatten)]
    plan: &'a Plan,
}

impl<'a> Written<'a> {
    const fn of(plan: &'a Plan) -> Self {
        let schema = "palisade.testnet-init/1";
        Self { schema, plan }
    }
}

/// One IPv4 address a node, no two the same: all listen on one port. Those of a local chain stay on
/// loopback, since development keys are public.
fn check_addresses(args: &InitArgs, nodes: usize) -> Result<(), CommandError> {
    let given = &args.addr;
    let refuse = |detail| {
        Err(CommandError::config(
            detail,
            "--addr takes one address a node",
        ))
    };
    if !given.is_empty() && given.len() != nodes {
        return refuse(format!("{} addresses for {nodes} nodes", given.len()));
    }
    let mut seen = BTreeSet::new();
    for text in given {
        let Ok(address) = text.parse::<Ipv4Addr>() else {
            return refuse(format!("--addr: `{text}` is no IPv4 address"));
        };
        if !seen.insert(address) {
            return refuse(format!("--addr: {address} is given to two nodes"));
        }
        if is_local_name(&args.chain_name) && !address.is_loopback() {
            let name = &args.chain_name;
            let detail = format!("--addr: {text} on {name}: a local chain stays on loopback");
            let hint = "`--keys random --chain-name NAME`, where NAME begins with neither \
                        palisade-local- nor palisade-dev-";
            return Err(CommandError::config(detail, hint));
        }
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
