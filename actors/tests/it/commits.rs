//! Goal: four nodes agree on blocks, empty ones and full ones.

use actors::mempool::Admission;
use protocol::digest::Address;
use protocol::tx::{Transfer, TxBody};
use protocol::units::Amount;

use crate::cluster::{Cluster, wallet};

#[test]
fn four_nodes_commit_and_a_transfer_reaches_all() {
    let cluster = Cluster::start(4);
    cluster.wait_height(3);
    cluster.assert_agreement();
    let to = Address([7; 20]);
    let body = TxBody::Transfer(Transfer {
        to,
        amount: Amount::pal(5),
    });
    let admission = cluster.submit(1, &wallet(1), body.clone());
    assert!(matches!(admission, Admission::Admitted(_)), "{admission:?}");
    for index in 0..4 {
        cluster.wait(index, "the transfer", |s| {
            s.state.balance(&to) == Amount::pal(5)
        });
    }
    cluster.assert_agreement();
}

/// Names of operations.md that dashboards and alerts rely on.
#[test]
fn a_running_node_shows_its_metrics() {
    let cluster = Cluster::start(1);
    cluster.wait_height(2);
    let names: Vec<String> = cluster.nodes[0]
        .as_ref()
        .map(|node| node.registry.gather())
        .unwrap_or_default()
        .iter()
        .map(|family| family.name().to_owned())
        .collect();
    for name in [
        "palisade_consensus_height",
        "palisade_consensus_last_commit_timestamp_seconds",
        "palisade_actor_mailbox_depth",
        "palisade_slashing_slashes_total",
        "palisade_jobs_total",
        "palisade_escrow_flow_upal_total",
        "palisade_sandbox_slots",
        "palisade_storage_flush_seconds",
        "palisade_validator_state",
        "palisade_audit_records_total",
    ] {
        assert!(
            names.iter().any(|found| found == name),
            "{name} is missing from {names:?}"
        );
    }
}
