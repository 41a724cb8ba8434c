//! One seed from beginning to end.

use std::collections::BTreeMap;

use super::app::{App, Broken};
use super::keys::Signatures;
use super::ledger::Ledger;
use super::plan::{Plan, Profile, Setup};
use super::stub::Stub;
use super::time::Micros;
use super::trace::Tracing;
use super::world::{Counts, World};

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was asked for.
    pub setup: Setup,
    /// The profile that the seed drew.
    pub drawn: Profile,
    /// The same for every run of this seed.
    pub digest: u64,
    /// What it cost.
    pub counts: Counts,
    /// Virtual time that passed.
    pub virtual_time: Micros,
    /// Heights that all honest nodes reached.
    pub heights: u64,
    /// The oracle that is broken, if one is.
    pub broken: Option<Broken>,
    /// Whether it ended without a verdict, since nothing was promised any more.
    pub is_void: bool,
    /// How often what happened, as far as the layer counts it.
    pub tally: BTreeMap<&'static str, u64>,
    /// The column log, if it was asked for.
    pub lines: Vec<String>,
}

impl Outcome {
    /// The command that does it again.
    #[must_use]
    pub fn replay(&self, layer: &str) -> String {
        let Setup {
            nodes,
            heights,
            profile,
            signatures,
        } = self.setup;
        let real = match signatures {
            Signatures::Simulated => "",
            Signatures::Real => " --real-signatures",
        };
        let (seed, profile) = (self.seed, profile.name());
        format!(
            "palisade testnet sim --layer {layer} --seed {seed} --n {nodes} --heights {heights} --profile {profile}{real} --trace"
        )
    }
}

/// Runs a seed of layer 1.
#[must_use]
pub fn agreement(seed: u64, setup: Setup, tracing: Tracing) -> Outcome {
    run::<Stub>(seed, setup, tracing)
}

/// Runs a seed of layer 2.
#[must_use]
pub fn everything(seed: u64, setup: Setup, tracing: Tracing) -> Outcome {
    run::<Ledger>(seed, setup, tracing)
}

/// Runs a seed of any layer.
#[must_use]
pub fn run<A: App>(seed: u64, setup: Setup, tracing: Tracing) -> Outcome {
    let mut world = World::<A>::new(Plan::draw(seed, setup), tracing);
    world.run();
    Outcome {
        seed,
        setup,
        drawn: world.plan.profile,
        digest: world.trace.digest(),
        counts: world.counts,
        virtual_time: world.now,
        heights: world.heights(),
        is_void: A::is_void(&world.shared),
        tally: A::tally(&world.shared),
        broken: world.broken.clone(),
        lines: world.trace.lines().map(str::to_owned).collect(),
    }
}
