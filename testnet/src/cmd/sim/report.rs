//! What a run of the simulator came to, as a document and as one line.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Layer, Orders};
use crate::sim::app::Broken;
use crate::sim::rng::mix;
use crate::sim::run::Outcome;

/// A failure, as it is printed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failure {
    pub(super) layer: &'static str,
    pub(super) seed: u64,
    pub(super) oracle: String,
    pub(super) detail: String,
    pub(super) replay: String,
}

impl Failure {
    /// The oracle that is broken, D among them if a second run went otherwise.
    pub(super) fn of(layer: Layer, outcome: &Outcome, again: Option<&Outcome>) -> Option<Self> {
        let broken = outcome.broken.clone().or_else(|| {
            let again = again.filter(|again| again.digest != outcome.digest)?;
            let text = format!("digest {:016x}, then {:016x}", outcome.digest, again.digest);
            Some(Broken::new("D", text))
        })?;
        Some(Self {
            layer: layer.name,
            seed: outcome.seed,
            oracle: broken.oracle.to_owned(),
            detail: broken.text,
            replay: outcome.replay(layer.name),
        })
    }
}

/// One scenario that is over, the run that repeated it, and what both cost.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) layer: &'static str,
    pub(super) outcome: Outcome,
    pub(super) rerun: bool,
    pub(super) cpu_ns: u64,
    pub(super) failure: Option<Failure>,
}

/// What the scenarios of one layer or one profile came to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Part {
    scenarios: u64,
    broken: u64,
    /// Ended without a verdict: those who may fail came to hold a third.
    without_verdict: u64,
    cpu_ms: u64,
    scenarios_per_cpu_s: u64,
    #[serde(skip)]
    cpu_ns: u64,
    #[serde(skip)]
    runs: u64,
}

impl Part {
    fn add(&mut self, played: &Played) {
        self.scenarios += 1;
        self.broken += u64::from(played.failure.is_some());
        self.without_verdict += u64::from(played.outcome.is_void);
        self.runs += 1 + u64::from(played.rerun);
        self.cpu_ns += played.cpu_ns;
        self.cpu_ms = self.cpu_ns / 1_000_000;
        let per_s = u128::from(self.runs) * 1_000_000_000 / u128::from(self.cpu_ns.max(1));
        self.scenarios_per_cpu_s = u64::try_from(per_s).unwrap_or(u64::MAX);
    }
}

/// What all seeds of a run came to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    schema: &'static str,
    ok: bool,
    /// Whether every seed was run.
    pub(super) complete: bool,
    first: u64,
    end: u64,
    nodes: usize,
    heights_min: u64,
    profile: &'static str,
    pub(super) seeds_done: u64,
    scenarios: u64,
    rerun: u64,
    without_verdict: u64,
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
    layers: BTreeMap<&'static str, Part>,
    /// By what the seeds drew.
    profiles: BTreeMap<&'static str, Part>,
    /// How often what happened, as far as a layer counts it.
    tally: BTreeMap<&'static str, u64>,
    pub(super) failures: Vec<Failure>,
    #[serde(skip)]
    folded: u64,
    #[serde(skip)]
    last_layer: &'static str,
}

impl Report {
    pub(super) fn new(orders: &Orders) -> Self {
        Self {
            schema: "palisade.sim/1",
            first: orders.seeds.start,
            end: orders.seeds.end,
            nodes: orders.setup.nodes,
            heights_min: orders.setup.heights,
            profile: orders.setup.profile.name(),
            last_layer: orders.layers.last().map_or("", |layer| layer.name),
            ..Self::default()
        }
    }

    /// Adds a scenario. In which order they come does not matter.
    pub(super) fn add(&mut self, played: Played) {
        self.layers.entry(played.layer).or_default().add(&played);
        let drawn = played.outcome.drawn.name();
        self.profiles.entry(drawn).or_default().add(&played);
        let outcome = played.outcome;
        for (name, count) in &outcome.tally {
            *self.tally.entry(*name).or_default() += count;
        }
        let place = played.layer.bytes().fold(outcome.seed, |all, byte| {
            mix(all).wrapping_add(u64::from(byte))
        });
        self.folded = self.folded.wrapping_add(mix(mix(place) ^ outcome.digest));
        self.seeds_done += u64::from(played.layer == self.last_layer);
        self.scenarios += 1;
        self.rerun += u64::from(played.rerun);
        self.without_verdict += u64::from(outcome.is_void);
        self.events += outcome.counts.events;
        self.messages += outcome.counts.messages;
        self.bytes += outcome.counts.bytes;
        self.heights += outcome.heights;
        self.virtual_s += outcome.virtual_time.ms() / 1_000;
        self.virtual_ms_max = self.virtual_ms_max.max(outcome.virtual_time.ms());
        self.failures.extend(played.failure);
    }

    /// All are in.
    pub(super) fn close(mut self, wall_ms: u64) -> Self {
        self.wall_ms = wall_ms;
        self.cpu_ms = self.layers.values().map(|part| part.cpu_ms).sum();
        self.memory_kib = memory_kib();
        self.digest = format!("{:016x}", self.folded);
        self.failures
            .sort_by_key(|failure| (failure.seed, failure.layer));
        self.complete = self.seeds_done == self.end.saturating_sub(self.first);
        self.ok = self.complete && self.failures.is_empty();
        self
    }

    /// How far a run has come.
    pub(super) fn progress(&self) -> String {
        let all = self.end.saturating_sub(self.first);
        let broken = self.failures.len();
        format!("{} of {all} seeds, {broken} broken", self.seeds_done)
    }

    /// The result in a few lines.
    pub(super) fn summary(&self) -> String {
        let mut lines = vec![format!(
            "{} scenarios, {} broken, {} without a verdict, {} heights, {} events, digest {}",
            self.scenarios,
            self.failures.len(),
            self.without_verdict,
            self.heights,
            self.events,
            self.digest
        )];
        lines.extend(self.layers.iter().map(|(name, part)| {
            let (count, per_s) = (part.scenarios, part.scenarios_per_cpu_s);
            format!("layer {name}: {count} scenarios, {per_s} per CPU second")
        }));
        lines.join("\n")
    }
}

fn memory_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0)
}
