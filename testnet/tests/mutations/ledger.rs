//! Faults of the ledger and of the workflows.

use testnet::sim::app::Broken;
use testnet::sim::keys::Signatures;
use testnet::sim::plan::{Profile, Setup};
use testnet::sim::run::everything;
use testnet::sim::trace::Tracing;

use crate::{compare, documented};

const SETUP: Setup = Setup {
    nodes: 4,
    heights: 5,
    profile: Profile::Mixed,
    signatures: Signatures::Simulated,
};

/// Rows that come before these: those of agreement, and for workflows those of the ledger.
const AGREEMENT: usize = consensus::planted::Bug::ALL.len();
const LEDGER: usize = AGREEMENT + ledger::planted::Bug::ALL.len();

fn broken(seed: u64) -> Option<Broken> {
    everything(seed, SETUP, Tracing::Off).broken
}

/// Goal: money, blame, jail terms and draws that go wrong are seen.
#[test]
fn every_fault_of_the_ledger_is_found() {
    use ledger::planted::{Bug, Plant};
    let rows = &documented()[AGREEMENT..LEDGER];
    compare(&Bug::ALL, rows, |bug| Plant::new(*bug), broken);
}

/// Goal: a workflow that gives itself away is seen.
#[test]
fn every_fault_of_the_workflows_is_found() {
    use actors::planted::{Bug, Plant};
    let rows = &documented()[LEDGER..];
    compare(&Bug::ALL, rows, |bug| Plant::new(*bug), broken);
}

/// Goal: it is the fault that is found, not the feature.
#[test]
fn nothing_planted_in_the_ledger_nothing_found() {
    assert_eq!((0..20).find_map(broken), None);
}
