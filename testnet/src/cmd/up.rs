//! `testnet up`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use protocol::digest::Address;
use protocol::units::Amount;

use super::{note, print};
use crate::claim::Claim;
use crate::cli::{Context, Output, UpArgs};
use crate::clock::Stopwatch;
use crate::error::CommandError;
use crate::files::{Endpoints, NetDir};
use crate::home::KeySource;
use crate::manifest::{Manifest, NODE_NAMES};
use crate::net::{Net, Tie};
use crate::setup::{Addresses, Setup};
use crate::slot::{SLOTS, Slot};

/// More than this many validators crowd two cores.
const NODES_COMFORTABLE: usize = 7;

pub(crate) fn run(args: &UpArgs, context: &Context<'_>) -> Result<()> {
    let clock = Stopwatch::start();
    let order = Order::read(args)?;
    let claim = Claim::of(&order.dir)?;
    let net = prepare(&order, &claim, context)?;
    let tie = if args.detach {
        Tie::Detached
    } else {
        Tie::Tied
    };
    let endpoints = net.start(tie)?;
    drop(claim);
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

/// What is asked for, read whole before anything is touched.
struct Order<'a> {
    args: &'a UpArgs,
    dir: NetDir,
    manifest: Manifest,
    fund: Vec<(Address, Amount)>,
}

impl<'a> Order<'a> {
    fn read(args: &'a UpArgs) -> Result<Self> {
        let fund = args.fund.iter().map(|text| funded(text));
        Ok(Self {
            args,
            dir: NetDir::of(&args.which.name)?,
            manifest: manifest(args)?,
            fund: fund.collect::<Result<_>>()?,
        })
    }

    fn setup(&self, slot: u8) -> Setup<'_> {
        Setup {
            name: &self.args.which.name,
            dir: &self.dir,
            manifest: &self.manifest,
            keys: KeySource::Dev(self.manifest.seed),
            addresses: Addresses::Slot(slot),
            fund: &self.fund,
            client: None,
            genesis_time: crate::clock::wall(),
            allow_degraded: &self.args.allow_degraded,
            api_port: self.args.api_port,
            metrics_port: self.args.metrics_port,
        }
    }
}

/// The net as it is, or a new one.
fn prepare(order: &Order<'_>, claim: &Claim, context: &Context<'_>) -> Result<Net> {
    if !order.args.fresh && order.dir.file("plan.json").exists() {
        return resume(order.args, &order.dir);
    }
    order.setup(*SLOTS.start()).check(context.host)?;
    if order.args.fresh {
        claim.clear()?;
    }
    let nodes = order.manifest.node.len();
    if nodes > NODES_COMFORTABLE {
        note(&format!(
            "{nodes} nodes: two cores carry 4 to 7 comfortably"
        ));
    }
    note(&format!("a fresh net in {}", order.dir.path().display()));
    let slot = Slot::free(&order.dir)?;
    claim.make(&order.setup(slot.number()), context.host)
}

fn resume(args: &UpArgs, dir: &NetDir) -> Result<Net> {
    if args.file.is_some() || !args.fund.is_empty() || !args.allow_degraded.is_empty() {
        let detail = format!(
            "`{}` exists: its genesis and homes are written",
            args.which.name
        );
        return Err(CommandError::config(detail, "`--fresh` begins anew").into());
    }
    let mut net = Net::open(dir.clone())?;
    net.require_down()?;
    note(&format!("resuming the net in {}", dir.path().display()));
    net.plan.api_port = args.api_port;
    net.plan.metrics_port = args.metrics_port;
    net.dir
        .write("plan.json", &net.plan)
        .map_err(CommandError::of_disk)?;
    Ok(net)
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
