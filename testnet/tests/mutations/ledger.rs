//! Faults of the ledger and of the workflows.

use testnet::sim::app::Broken;
use testnet::sim::keys::Signatures;
use testnet::sim::plan::{Profile, Setup};
use testnet::sim::run::everything;
use testnet::sim::trace::Tracing;

const SEEDS: u64 = 2_000;
const SETUP: Setup = Setup {
    nodes: 4,
    heights: 5,
    profile: Profile::Mixed,
    signatures: Signatures::Simulated,
};

fn first(seeds: u64) -> Option<(u64, Broken)> {
    let broken = |seed| Some((seed, everything(seed, SETUP, Tracing::Off).broken?));
    (0..seeds).find_map(broken)
}

fn found<P>(plant: P, bug: impl std::fmt::Debug) {
    let found = first(SEEDS);
    drop(plant);
    let Some((seed, broken)) = found else {
        panic!("no oracle saw {bug:?} within {SEEDS} seeds");
    };
    let text: String = broken.text.chars().take(120).collect();
    println!("{bug:?}: seed {seed}, {}: {text}", broken.oracle);
}

/// Goal: money, blame and draws that go wrong are seen.
#[test]
fn every_fault_of_the_ledger_is_found() {
    for bug in ledger::planted::Bug::ALL {
        found(ledger::planted::Plant::new(bug), bug);
    }
}

/// Goal: a workflow that gives itself away is seen.
#[test]
fn every_fault_of_the_workflows_is_found() {
    for bug in actors::planted::Bug::ALL {
        found(actors::planted::Plant::new(bug), bug);
    }
}

/// Goal: it is the fault that is found, not the feature.
#[test]
fn nothing_planted_in_the_ledger_nothing_found() {
    assert_eq!(first(20), None);
}
