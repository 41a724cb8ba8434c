//! `testnet run FILE`: a scenario from set-up to verdict.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::assert::becomes_true;
use super::{note, print};
use crate::cli::Context;
use crate::clock::{Deadline, Stopwatch, poll};
use crate::error::CommandError;
use crate::expect::{Expr, Truth, evaluate};
use crate::files::NetDir;
use crate::home::KeySource;
use crate::manifest::{Expect, Manifest, Perturbation, duration_ms};
use crate::models::Model;
use crate::net::{Net, Tie};
use crate::palisade::Palisade;
use crate::setup::{Addresses, Setup};
use crate::slot::Slot;
use crate::supervisor::{Fault, Request};

/// Between two perturbations of one node.
const PERTURB_INTERVAL: Duration = Duration::from_secs(10);
/// How long a kill or pause lasts.
const PERTURB_LENGTH: Duration = Duration::from_secs(3);
/// `within` of an expectation that gives none.
const WITHIN_MS: u64 = 60_000;

pub(crate) fn run(file: &Path, keep: bool, name: &str, context: &Context<'_>) -> Result<()> {
    let manifest = super::up::read_manifest(file)?;
    let clock = Stopwatch::start();
    let net = fresh(name, &manifest, context)?;
    net.start(Tie::Tied)?;
    let judged = judge(&net, &manifest);
    if keep {
        note(&format!("left up: `palisade testnet status --name {name}`"));
    } else {
        net.stop()?;
    }
    let (expects, faults) = judged?;
    let ok = expects.iter().all(|row| row["ok"] == true);
    let document = json!({
        "schema": "palisade.testnet-run/1", "ok": ok, "seed": manifest.seed,
        "version": env!("CARGO_PKG_VERSION"), "duration_s": clock.seconds(),
        "expects": expects, "faults": faults,
    });
    net.dir.write("run.json", &document)?;
    print(context, &document, || {
        let row = |row: &Value| {
            let mark = if row["ok"] == true { "true " } else { "FALSE" };
            format!("{mark} {}", row["that"].as_str().unwrap_or_default())
        };
        expects.iter().map(row).collect::<Vec<_>>().join("\n")
    })?;
    if ok {
        Ok(())
    } else {
        Err(CommandError::assertion("an expectation does not hold").into())
    }
}

/// A new net of a manifest, replacing what is there.
fn fresh(name: &str, manifest: &Manifest, context: &Context<'_>) -> Result<Net> {
    let dir = NetDir::of(name);
    if dir.path().exists() {
        if let Ok(net) = Net::open(dir.clone()) {
            net.stop()?;
        }
        std::fs::remove_dir_all(dir.path())?;
    }
    let slot = Slot::claim(None)?;
    let setup = Setup {
        name,
        dir: &dir,
        manifest,
        keys: KeySource::Dev(manifest.seed),
        addresses: Addresses::Slot(slot.number()),
        fund: &[],
        client: None,
        genesis_time: crate::clock::wall(),
        allow_degraded: &[],
        api_port: None,
        metrics_port: None,
    };
    setup.write(context.host)?;
    drop(slot);
    Net::open(dir)
}

/// Perturbs, loads and judges until every expectation is decided.
fn judge(net: &Net, manifest: &Manifest) -> Result<(Vec<Value>, Vec<Value>)> {
    let expectations = manifest.expectations()?;
    let total = expectations
        .iter()
        .map(|(expect, _)| within(expect))
        .sum::<u64>();
    let over = Deadline::after(Duration::from_millis(total));
    let mut faults = Vec::new();
    let mut load = manifest
        .load
        .as_ref()
        .map(|load| Loader::start(net, load))
        .transpose()?;
    for name in manifest.names() {
        for perturbation in &manifest.node[&name].perturb {
            faults.push(perturb(net, &name, *perturbation)?);
            if let Some(load) = &mut load {
                load.submit()?;
            }
        }
    }
    let mut rows = Vec::new();
    for (expect, expression) in &expectations {
        rows.push(decide(net, expect, expression, &over, load.as_mut())?);
    }
    Ok((rows, faults))
}

fn within(expect: &Expect) -> u64 {
    expect
        .within
        .as_deref()
        .and_then(duration_ms)
        .unwrap_or(WITHIN_MS)
}

fn decide(
    net: &Net,
    expect: &Expect,
    expression: &Expr,
    over: &Deadline,
    mut load: Option<&mut Loader>,
) -> Result<Value> {
    let clock = Stopwatch::start();
    let limit = Duration::from_millis(within(expect)).min(over.left().max(PERTURB_LENGTH));
    let from = net.api(&net.plan.nodes[0].name)?;
    let due = poll(limit, || {
        from.height()
            .ok()
            .filter(|height| *height >= expect.from_height)
    });
    let mut submit = || match load.as_deref_mut() {
        Some(load) => load.submit(),
        None => Ok(()),
    };
    let ok = if due.is_none() {
        false
    } else if expect.always {
        let broken = poll(limit, || {
            submit().ok()?;
            let view = net.view().ok()?;
            (evaluate(expression, &view) != Truth::True).then_some(())
        });
        broken.is_none()
    } else {
        submit()?;
        becomes_true(net, expression, limit)
    };
    let height = from.height().ok();
    Ok(json!({
        "that": expect.that, "ok": ok, "at_height": height, "waited_s": clock.seconds(),
    }))
}

/// Does one thing to a node and undoes it.
fn perturb(net: &Net, name: &str, perturbation: Perturbation) -> Result<Value> {
    let nodes = vec![name.to_owned()];
    let height = net.api(&net.plan.nodes[0].name)?.height().ok();
    let ask = |kind| {
        net.ask(&Request::Fault {
            kind,
            nodes: nodes.clone(),
        })
    };
    let kind = match perturbation {
        Perturbation::Kill => Fault::Kill,
        Perturbation::Pause => Fault::Pause,
        Perturbation::Restart => Fault::Restart,
    };
    ask(kind)?;
    if perturbation != Perturbation::Restart {
        // A perturbation lasts for a time by definition; nothing is waited for.
        std::thread::sleep(PERTURB_LENGTH);
        ask(Fault::Resume)?;
    }
    std::thread::sleep(PERTURB_INTERVAL);
    Ok(json!({ "at_height": height, "kind": kind, "node": name }))
}

/// Submits jobs while a run lasts.
struct Loader {
    client: Palisade,
    model: std::path::PathBuf,
    inputs: Vec<std::path::PathBuf>,
    per_call: u32,
}

impl Loader {
    fn start(net: &Net, load: &crate::manifest::Load) -> Result<Self> {
        let shipped = Model::by_name(&load.model).ok_or_else(|| {
            CommandError::config(
                format!("no model `{}`", load.model),
                "demo/echo, demo/spin …",
            )
        })?;
        let (model, inputs) = shipped.write(&net.dir.file("models"))?;
        let client = Palisade::new(net.api(&net.plan.nodes[0].name)?.base(), &net.dir);
        Ok(Self {
            client,
            model,
            inputs,
            per_call: load.jobs_per_s,
        })
    }

    fn submit(&mut self) -> Result<()> {
        for _ in 0..self.per_call {
            self.client.submit(&self.model, &self.inputs, false)?;
        }
        Ok(())
    }
}
