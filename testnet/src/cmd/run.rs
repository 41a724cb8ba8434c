//! `testnet run FILE`: a scenario from set-up to verdict.

mod judge;
mod load;
mod perturb;

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use self::judge::{Judged, judge};
use super::{note, print};
use crate::claim::Claim;
use crate::cli::Context;
use crate::clock::Stopwatch;
use crate::error::CommandError;
use crate::files::NetDir;
use crate::home::KeySource;
use crate::manifest::Manifest;
use crate::net::{Net, Tie};
use crate::setup::{Addresses, Setup};
use crate::slot::{SLOTS, Slot};

pub(crate) fn run(file: &Path, keep: bool, name: &str, context: &Context<'_>) -> Result<()> {
    let manifest = super::up::read_manifest(file)?;
    let clock = Stopwatch::start();
    let claim = Claim::of(&NetDir::of(name)?)?;
    let net = fresh(name, &manifest, &claim, context)?;
    let tie = if keep { Tie::Detached } else { Tie::Tied };
    net.start(tie)?;
    drop(claim);
    let judged = judge(&net, &manifest);
    if keep {
        note(&format!(
            "left up: `palisade testnet status --name {name}` shows it, `testnet down` ends it"
        ));
    } else {
        net.stop()?;
    }
    let judged = judged?;
    let document = json!({
        "schema": "palisade.testnet-run/1", "ok": judged.ok(), "seed": manifest.seed,
        "manifest_digest": protocol::digest::sha256(&std::fs::read(file)?).to_string(),
        "version": env!("CARGO_PKG_VERSION"), "duration_s": clock.seconds(),
        "expects": judged.expects, "faults": judged.faults, "load": judged.load,
        "halted": judged.halted,
    });
    net.dir.write("run.json", &document)?;
    print(context, &document, || table(&judged))?;
    verdict(&judged, name, keep)
}

fn table(judged: &Judged) -> String {
    let expect = |row: &Value| {
        let mark = if row["ok"] == true { "true " } else { "FALSE" };
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        format!("{mark} {}\n      {}", text("that"), text("detail"))
    };
    let halted = judged.halted.iter();
    let halted = halted.map(|name| format!("HALTED {name}: it ended by itself"));
    let rows: Vec<String> = judged.expects.iter().map(expect).chain(halted).collect();
    rows.join("\n")
}

fn verdict(judged: &Judged, name: &str, kept: bool) -> Result<()> {
    if judged.ok() {
        return Ok(());
    }
    let failed: Vec<&Value> = judged
        .expects
        .iter()
        .filter(|row| row["ok"] != true)
        .collect();
    let detail = match failed.first() {
        Some(first) => format!(
            "{} of {} do not hold, the first: `{}`: {}",
            failed.len(),
            judged.expects.len(),
            first["that"].as_str().unwrap_or_default(),
            first["detail"].as_str().unwrap_or_default()
        ),
        None => format!("ended by themselves: {}", judged.halted.join(", ")),
    };
    let look = if kept {
        format!("`palisade testnet status --name {name}` shows the net")
    } else {
        "`--keep` leaves the net up to be looked at".to_owned()
    };
    let hint = format!("`palisade testnet logs --name {name}` shows what the nodes said; {look}");
    Err(CommandError {
        hint,
        ..CommandError::assertion(detail)
    }
    .into())
}

/// A new net of a manifest, replacing what is there.
fn fresh(name: &str, manifest: &Manifest, claim: &Claim, context: &Context<'_>) -> Result<Net> {
    let dir = NetDir::of(name)?;
    let setup = |slot| Setup {
        name,
        dir: &dir,
        manifest,
        keys: KeySource::Dev(manifest.seed),
        addresses: Addresses::Slot(slot),
        fund: &[],
        client: None,
        genesis_time: crate::clock::wall(),
        allow_degraded: &[],
        api_port: None,
        metrics_port: None,
    };
    setup(*SLOTS.start()).check(context.host)?;
    claim.clear()?;
    let slot = Slot::free(&dir)?;
    claim.make(&setup(slot.number()), context.host)
}
