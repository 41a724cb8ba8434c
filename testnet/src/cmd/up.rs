//! `testnet up`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use protocol::digest::Address;
use protocol::units::Amount;

use super::{note, print};
use crate::cli::{Context, Output, UpArgs};
use crate::clock::Stopwatch;
use crate::error::CommandError;
use crate::files::{Endpoints, NetDir};
use crate::home::KeySource;
use crate::manifest::{Manifest, NODE_NAMES};
use crate::net::{Net, Tie};
use crate::setup::{Addresses, Setup};
use crate::slot::Slot;

/// More than this many validators crowd two cores.
const NODES_COMFORTABLE: usize = 7;

pub(crate) fn run(args: &UpArgs, context: &Context<'_>) -> Result<()> {
    let clock = Stopwatch::start();
    let net = prepare(args, context)?;
    let tie = if args.detach {
        Tie::Detached
    } else {
        Tie::Tied
    };
    let endpoints = net.start(tie)?;
    note(&format!(
        "first block on every node after {:.1} s",
        clock.seconds()
    ));
    print(context, &endpoints, || describe(&net, &endpoints))?;
    if args.detach {
        return Ok(());
    }
    watch(&net, context)
}

/// The net as it is, or a new one.
fn prepare(args: &UpArgs, context: &Context<'_>) -> Result<Net> {
    let dir = NetDir::of(&args.which.name)?;
    let exists = dir.file("plan.json").exists();
    if exists && !args.fresh {
        if args.file.is_some() || !args.fund.is_empty() || !args.allow_degraded.is_empty() {
            let detail = format!(
                "`{}` exists: its genesis and homes are written",
                args.which.name
            );
            return Err(CommandError::config(detail, "`--fresh` begins anew").into());
        }
        note(&format!("resuming the net in {}", dir.path().display()));
        let mut net = Net::open(dir)?;
        net.plan.api_port = args.api_port;
        net.plan.metrics_port = args.metrics_port;
        net.dir
            .write("plan.json", &net.plan)
            .map_err(CommandError::of_disk)?;
        return Ok(net);
    }
    if dir.path().exists() {
        if let Ok(net) = Net::open(dir.clone()) {
            net.stop()?;
        }
        std::fs::remove_dir_all(dir.path())
            .with_context(|| format!("cannot remove {}", dir.path().display()))?;
    }
    let manifest = manifest(args)?;
    if manifest.node.len() > NODES_COMFORTABLE {
        note(&format!(
            "{} nodes: two cores carry 4 to 7 comfortably",
            manifest.node.len()
        ));
    }
    note(&format!("a fresh net in {}", dir.path().display()));
    create(&args.which.name, &dir, &manifest, args, context)?;
    Net::open(dir)
}

fn create(
    name: &str,
    dir: &NetDir,
    manifest: &Manifest,
    args: &UpArgs,
    context: &Context<'_>,
) -> Result<()> {
    let fund: Vec<(Address, Amount)> = args
        .fund
        .iter()
        .map(|text| funded(text))
        .collect::<Result<_>>()?;
    let slot = Slot::claim(None)?;
    let setup = Setup {
        name,
        dir,
        manifest,
        keys: KeySource::Dev(manifest.seed),
        addresses: Addresses::Slot(slot.number()),
        fund: &fund,
        client: None,
        genesis_time: crate::clock::wall(),
        allow_degraded: &args.allow_degraded,
        api_port: args.api_port,
        metrics_port: args.metrics_port,
    };
    setup.write(context.host).map(drop)
}

fn manifest(args: &UpArgs) -> Result<Manifest> {
    if let Some(path) = &args.file {
        return read_manifest(path);
    }
    if !(1..=NODE_NAMES.len()).contains(&args.nodes) {
        let detail = format!("--nodes {}: 1 to {} nodes", args.nodes, NODE_NAMES.len());
        return Err(CommandError::config(detail, "`--nodes 4` is the default").into());
    }
    let names: Vec<String> = NODE_NAMES[..args.nodes]
        .iter()
        .map(|n| (*n).to_owned())
        .collect();
    Ok(Manifest::of_names(&names, "palisade-local-1"))
}

/// Reads a manifest file.
///
/// # Errors
/// [`CommandError`] with exit code 78 and the place of the mistake.
pub(crate) fn read_manifest(path: &std::path::Path) -> Result<Manifest> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let detail = format!("{}: {error}", path.display());
        match error.kind() {
            // It was found, and is something else.
            std::io::ErrorKind::InvalidData => {
                CommandError::config(detail, "a manifest is TOML: docs/reference/manifest.md")
            }
            _ => CommandError::not_found(detail, "give a manifest file"),
        }
    })?;
    let manifest = Manifest::parse(&text).map_err(|error| {
        let detail = format!("{}: {error}", path.display());
        CommandError::config(detail, "docs/reference/manifest.md lists the keys")
    })?;
    let misbehaves = manifest
        .node
        .values()
        .any(|node| !node.byzantine.is_empty());
    if misbehaves && crate::byzantine::NAMES.is_empty() {
        return Err(CommandError::left_out("this manifest").into());
    }
    Ok(manifest)
}

fn funded(text: &str) -> Result<(Address, Amount)> {
    let parsed = text
        .split_once(':')
        .and_then(|(address, pal)| Some((address.parse().ok()?, Amount::pal(pal.parse().ok()?))));
    parsed.ok_or_else(|| {
        let detail = format!("--fund: `{text}` is not like pal1…:1000");
        CommandError::config(detail, "an address, a colon, whole PAL").into()
    })
}

fn describe(net: &Net, endpoints: &Endpoints) -> String {
    let mut text = format!(
        "net {}   chain {}   {}\n",
        endpoints.name, endpoints.chain_name, endpoints.chain_id
    );
    for node in &endpoints.nodes {
        text.push_str(&format!(
            "  {:<8} API {}   {}\n",
            node.name, node.api, node.validator
        ));
    }
    let accounts = net.dir.file("accounts.json");
    text.push_str(&format!("accounts: {}\n", accounts.display()));
    text.push_str("DEV ONLY — public keys, worthless");
    text
}

/// Prints a live line until interrupted, then ends the net.
fn watch(net: &Net, context: &Context<'_>) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    note("running; Ctrl-C ends the net");
    let mut last = None;
    while !stop.load(Ordering::Relaxed) && net.supervisor()?.is_some() {
        let report = super::status::report(net)?;
        if last.as_ref() != Some(&report.height) {
            last = Some(report.height);
            if context.output == Output::Human {
                note(&report.line());
            }
        }
        std::thread::park_timeout(Duration::from_millis(250));
    }
    net.stop()
}
