//! How many scenarios the simulator runs in a second, on one core.

use testnet::clock::Stopwatch;
use testnet::sim::keys::Signatures;
use testnet::sim::plan::{Profile, Setup};
use testnet::sim::run::agreement;
use testnet::sim::trace::Tracing;

/// Validators, and seeds that are run with so many.
const SIZES: [(usize, u32); 3] = [(4, 1_000), (7, 400), (16, 50)];

/// What one size came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenarios {
    /// Validators.
    pub nodes: usize,
    /// Layer-1 scenarios a second.
    pub per_s: f64,
}

/// Runs mixed faults of layer 1, one thread.
pub(crate) fn measure() -> Vec<Scenarios> {
    let one = |(nodes, seeds): (usize, u32)| {
        let setup = Setup {
            nodes,
            heights: 5,
            profile: Profile::Mixed,
            signatures: Signatures::Simulated,
        };
        let clock = Stopwatch::start();
        for seed in 0..u64::from(seeds) {
            std::hint::black_box(agreement(seed, setup, Tracing::Off));
        }
        let per_s = f64::from(seeds) / clock.seconds();
        Scenarios { nodes, per_s }
    };
    SIZES.into_iter().map(one).collect()
}
