//! `palisade testnet sim`: seeds, one or many, on as many threads as asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{note, print};
use crate::cli::{Context, Output, SimArgs};
use crate::clock::Stopwatch;
use crate::error::CommandError;
use crate::sim::economics::{self, Preset};
use crate::sim::keys::Signatures;
use crate::sim::plan::{Profile, Setup};
use crate::sim::run::{Outcome, agreement, everything};
use crate::sim::trace::Tracing;

/// The lines of a column log that a failure prints; with `--trace` all that are kept.
const LINES_SHOWN: usize = 60;
/// One seed in so many is run twice, to see that it does the same.
const TWICE: u64 = 32;

/// One layer of the simulator.
#[derive(Debug, Clone, Copy)]
struct Layer {
    name: &'static str,
    run: fn(u64, Setup, Tracing) -> Outcome,
}

const LAYERS: [Layer; 2] = [
    Layer {
        name: "1",
        run: agreement,
    },
    Layer {
        name: "2",
        run: everything,
    },
];

/// A failure, as it is printed.
#[derive(Debug, Clone, Serialize)]
struct Failure {
    layer: &'static str,
    seed: u64,
    oracle: String,
    detail: String,
    replay: String,
}

/// What all seeds of a run came to.
#[derive(Debug, Default, Serialize)]
struct Report {
    schema: &'static str,
    ok: bool,
    first: u64,
    end: u64,
    nodes: usize,
    profile: &'static str,
    scenarios: u64,
    rerun: u64,
    events: u64,
    messages: u64,
    /// Of those messages, as they would be on the wire.
    bytes: u64,
    heights: u64,
    virtual_s: u64,
    virtual_ms_max: u64,
    cpu_ms: u64,
    wall_ms: u64,
    /// The most that the process had in memory at once, in KiB; 0 where the kernel does not say.
    memory_kib: u64,
    /// Of all traces; the same for the same seeds on every machine.
    digest: String,
    failures: Vec<Failure>,
}

struct Totals {
    report: Report,
    digests: BTreeMap<(u64, &'static str), u64>,
}

/// Runs what was asked for.
///
/// # Errors
/// [`CommandError`] if an argument is wrong or an oracle is broken.
pub(crate) fn run(args: &SimArgs, context: &Context<'_>) -> Result<()> {
    if args.economics {
        return money(args, context);
    }
    let (seeds, setup) = (range(args)?, setup(args)?);
    let layers: Vec<Layer> = layers(&args.layer)?;
    let end = seeds.end.saturating_sub(1);
    note(&format!(
        "seeds {}..={end}, {} validators, profile {}",
        seeds.start,
        setup.nodes,
        setup.profile.name()
    ));
    if args.trace {
        for layer in &layers {
            for line in (layer.run)(seeds.start, setup, Tracing::On).lines {
                note(&line);
            }
        }
    }
    let totals = Mutex::new(Totals {
        report: Report {
            schema: "palisade.sim/1",
            first: seeds.start,
            end: seeds.end,
            nodes: setup.nodes,
            profile: setup.profile.name(),
            ..Report::default()
        },
        digests: BTreeMap::new(),
    });
    let watch = Stopwatch::start();
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..args.threads.clamp(1, 64) {
            scope.spawn(|| worker(&seeds, &next, setup, &layers, &totals, context.output));
        }
    });
    let mut totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    totals.report.wall_ms = millis(watch.elapsed());
    totals.report.memory_kib = memory_kib();
    finish(totals, context)
}

/// Plays the strategies of the economics report.
fn money(args: &SimArgs, context: &Context<'_>) -> Result<()> {
    let args = economics::EconomicsArgs {
        presets: args
            .preset
            .map_or(Preset::ALL.to_vec(), |preset| vec![preset]),
        jobs: args.jobs,
        seed: args.seed.unwrap_or(1),
    };
    let report = economics::report(&args).map_err(anyhow::Error::msg)?;
    print(context, &report, || report.table())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Processor time of this thread, from the kernel's accounts; 0 where they are not kept.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|ns| ns.parse().ok())
        .unwrap_or(0)
}

fn memory_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0)
}

fn finish(totals: Totals, context: &Context<'_>) -> Result<()> {
    let Totals {
        mut report,
        digests,
    } = totals;
    let all = digests
        .values()
        .fold(0, |all, digest| crate::sim::rng::mix(all ^ digest));
    report.digest = format!("{all:016x}");
    report.failures.sort_by_key(|failure| failure.seed);
    report.ok = report.failures.is_empty();
    if context.output == Output::JsonLines {
        for failure in &report.failures {
            print(context, failure, String::new)?;
        }
    }
    print(context, &report, || {
        let per_s = (report.scenarios + report.rerun) * 1_000 / report.cpu_ms.max(1);
        format!(
            "{} scenarios, {} broken, {} heights, {} events, {per_s} scenarios per CPU second, digest {}",
            report.scenarios,
            report.failures.len(),
            report.heights,
            report.events,
            report.digest
        )
    })?;
    match report.failures.first() {
        None => Ok(()),
        Some(first) => {
            let detail = format!(
                "{} seeds broke an oracle; again with: {}",
                report.failures.len(),
                first.replay
            );
            Err(CommandError::assertion(detail).into())
        }
    }
}

/// Takes seeds until none is left. Each world lives and dies on this thread.
fn worker(
    seeds: &Range<u64>,
    next: &AtomicU64,
    setup: Setup,
    layers: &[Layer],
    totals: &Mutex<Totals>,
    output: Output,
) {
    let begun = cpu_ns();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if !seeds.contains(&seed) {
            let used = Duration::from_nanos(cpu_ns().saturating_sub(begun));
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.report.cpu_ms += millis(used);
            return;
        }
        for layer in layers {
            let outcome = (layer.run)(seed, setup, Tracing::Off);
            let again = seed
                .is_multiple_of(TWICE)
                .then(|| (layer.run)(seed, setup, Tracing::Off));
            let failure = failure(*layer, &outcome, again.as_ref());
            if let Some(failure) = &failure {
                show(*layer, setup, failure, output);
            }
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.digests.insert((seed, layer.name), outcome.digest);
            let report = &mut totals.report;
            report.scenarios += 1;
            report.rerun += u64::from(again.is_some());
            report.events += outcome.counts.events;
            report.messages += outcome.counts.messages;
            report.bytes += outcome.counts.bytes;
            report.heights += outcome.heights;
            report.virtual_s += outcome.virtual_time.ms() / 1_000;
            report.virtual_ms_max = report.virtual_ms_max.max(outcome.virtual_time.ms());
            report.failures.extend(failure);
        }
    }
}

fn failure(layer: Layer, outcome: &Outcome, again: Option<&Outcome>) -> Option<Failure> {
    let broken = outcome.broken.clone().or_else(|| {
        let again = again.filter(|again| again.digest != outcome.digest)?;
        let text = format!("digest {:016x}, then {:016x}", outcome.digest, again.digest);
        Some(crate::sim::app::Broken::new("D", text))
    })?;
    Some(Failure {
        layer: layer.name,
        seed: outcome.seed,
        oracle: broken.oracle.to_owned(),
        detail: broken.text,
        replay: outcome.replay(layer.name),
    })
}

/// Runs a failed seed again with the column log, and prints its end.
fn show(layer: Layer, setup: Setup, failure: &Failure, output: Output) {
    let lines = (layer.run)(failure.seed, setup, Tracing::On).lines;
    let mut text: Vec<String> = lines.into_iter().rev().take(LINES_SHOWN).collect();
    text.reverse();
    text.push(format!(
        "seed {}: {}: {}",
        failure.seed, failure.oracle, failure.detail
    ));
    text.push(format!("again: {}", failure.replay));
    if output != Output::Json {
        note(&text.join("\n"));
    }
}

fn layers(text: &str) -> Result<Vec<Layer>, CommandError> {
    let found: Vec<Layer> = LAYERS
        .into_iter()
        .filter(|layer| text == "both" || layer.name == text)
        .collect();
    if found.is_empty() {
        let names: Vec<&str> = LAYERS.iter().map(|layer| layer.name).collect();
        return Err(CommandError::config(
            format!("--layer: `{text}` is no layer"),
            format!("take one of {}, both", names.join(", ")),
        ));
    }
    Ok(found)
}

fn range(args: &SimArgs) -> Result<Range<u64>, CommandError> {
    let hint = "write `--seed 7` or `--seeds 0..2000`";
    match (args.seed, args.seeds.as_deref()) {
        (Some(seed), None) => Ok(seed..seed.saturating_add(1)),
        (None, Some(text)) => {
            let parts = text
                .split_once("..")
                .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            match parts {
                Some((first, end)) if first < end => Ok(first..end),
                _ => Err(CommandError::config(
                    format!("--seeds: `{text}` is no range"),
                    hint,
                )),
            }
        }
        _ => Err(CommandError::config("which seeds?", hint)),
    }
}

fn setup(args: &SimArgs) -> Result<Setup, CommandError> {
    if !(1..=128).contains(&args.nodes) {
        return Err(CommandError::config(
            format!("--n: {} validators", args.nodes),
            "take 1 to 128",
        ));
    }
    if !(1..=10_000).contains(&args.heights) {
        return Err(CommandError::config(
            format!("--heights: {}", args.heights),
            "take 1 to 10000",
        ));
    }
    let profile: Profile = args.profile.parse().map_err(|text| {
        CommandError::config(format!("--profile: {text}"), "see docs/simulator.md")
    })?;
    let signatures = if args.real_signatures {
        Signatures::Real
    } else {
        Signatures::Simulated
    };
    Ok(Setup {
        nodes: args.nodes,
        heights: args.heights,
        profile,
        signatures,
    })
}
