//! Faults of agreement.

use consensus::planted::{Bug, Plant};
use testnet::sim::app::Broken;
use testnet::sim::keys::Signatures;
use testnet::sim::plan::{Profile, Setup};
use testnet::sim::run::agreement;
use testnet::sim::trace::Tracing;

use crate::{compare, documented};

const SETUP: Setup = Setup {
    nodes: 4,
    heights: 5,
    profile: Profile::Mixed,
    signatures: Signatures::Simulated,
};

fn broken(seed: u64) -> Option<Broken> {
    agreement(seed, SETUP, Tracing::Off).broken
}

/// A seed may move when the simulator or agreement changes; then docs/simulator.md moves with it.
#[test]
fn every_planted_fault_is_found() {
    let rows = &documented()[..Bug::ALL.len()];
    compare(&Bug::ALL, rows, |bug| Plant::new(*bug), broken);
}

/// Goal: it is the fault that is found, not the feature.
#[test]
fn nothing_planted_nothing_found() {
    assert_eq!((0..40).find_map(broken), None);
}
