//! Faults of agreement.

use consensus::planted::{Bug, Plant};
use testnet::sim::app::Broken;
use testnet::sim::keys::Signatures;
use testnet::sim::plan::{Profile, Setup};
use testnet::sim::run::agreement;
use testnet::sim::trace::Tracing;

const SEEDS: u64 = 2_000;
const SETUP: Setup = Setup {
    nodes: 4,
    heights: 5,
    profile: Profile::Mixed,
    signatures: Signatures::Simulated,
};

fn first(bug: Option<Bug>, seeds: u64) -> Option<(u64, Broken)> {
    let _plant = bug.map(Plant::new);
    let broken = |seed| Some((seed, agreement(seed, SETUP, Tracing::Off).broken?));
    (0..seeds).find_map(broken)
}

/// Where each fault is first seen, and by which oracle. A seed may move when the simulator or
/// agreement changes; then this table and docs/simulator.md move with it.
#[test]
fn every_planted_fault_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        match first(Some(bug), SEEDS) {
            Some((seed, broken)) => {
                let text: String = broken.text.chars().take(120).collect();
                println!("{bug:?}: seed {seed}, {}: {text}", broken.oracle);
            }
            None => missed.push(bug),
        }
    }
    assert!(
        missed.is_empty(),
        "no oracle saw {missed:?} within {SEEDS} seeds"
    );
}

/// Goal: it is the fault that is found, not the feature.
#[test]
fn nothing_planted_nothing_found() {
    assert_eq!(first(None, 40), None);
}
