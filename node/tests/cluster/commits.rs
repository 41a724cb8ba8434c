//! Goal: `up --detach` ends with a committing net whose nodes agree, and a net that was ended goes on
//! where it was. Method: the printed endpoints, then blocks read from every node.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::{list, number, text};
use crate::cluster::{Cluster, NAMES};

/// What a release build promises on two cores; a debug build is several times slower.
const FIRST_COMMIT_MAX: Duration = Duration::from_secs(5);

#[test]
fn four_validators_commit_the_same_blocks() {
    let net = Cluster::up("commits");
    let endpoints = &net.endpoints;
    assert_eq!(endpoints["schema"], "palisade.endpoints/1");
    assert_eq!(endpoints["name"], "commits");
    let nodes = list(&endpoints["nodes"]);
    let distinct = |key: &str| {
        nodes
            .iter()
            .map(|node| text(&node[key]))
            .collect::<BTreeSet<_>>()
    };
    for key in ["api", "metrics", "p2p", "validator", "peer_id"] {
        assert_eq!(distinct(key).len(), 4, "{key}: {endpoints}");
    }
    assert_eq!(distinct("name"), BTreeSet::from(NAMES));
    assert_eq!(net.testnet("endpoints", &[]), *endpoints);

    net.wait("height >= 3 && agree && all(signing, validators)");
    for height in 1..=3_u64 {
        let shown = height.to_string();
        let blocks: Vec<_> = NAMES
            .iter()
            .map(|node| net.ask(node, &["chain", "block", &shown]))
            .collect();
        for block in &blocks {
            assert_eq!(number(&block["height"]), height);
            assert_eq!(block["id"], blocks[0]["id"], "height {height}");
            assert_eq!(
                block["state_root"], blocks[0]["state_root"],
                "height {height}"
            );
        }
        if height > 1 {
            let before = net.ask("bob", &["chain", "block", &(height - 1).to_string()]);
            assert_eq!(
                blocks[0]["parent"], before["id"],
                "height {height} has another parent"
            );
        }
    }
    net.holds(&[
        "supply_conserved",
        "none(slashed, validators)",
        "all(synced, validators)",
    ]);
}

#[test]
fn a_transfer_reaches_every_node_to_the_unit() {
    let net = Cluster::up("transfer");
    let (from, to) = (
        net.balance("alice", "client-0"),
        net.balance("alice", "client-1"),
    );
    let burned = net.compartment("alice", "burned");
    let to_address = {
        let accounts = net.testnet("accounts", &[]);
        let row = list(&accounts["accounts"])
            .iter()
            .find(|row| row["name"] == "client-1")
            .unwrap();
        text(&row["address"]).to_owned()
    };
    let sent = net.ask("bob", &["account", "transfer", &to_address, "1.5PAL"]);
    let (fee, height) = (number(&sent["fee"]), number(&sent["height"]));
    assert_eq!(sent["result"]["applied"], true, "{sent}");
    net.wait(&format!("height >= {height}"));
    for node in NAMES {
        assert_eq!(
            net.balance(node, "client-0"),
            from - 1_500_000 - fee,
            "{node}"
        );
        assert_eq!(net.balance(node, "client-1"), to + 1_500_000, "{node}");
        let shown = net.ask(node, &["tx", "show", text(&sent["tx"])]);
        assert_eq!(shown["status"], "included", "{node}");
        assert_eq!(number(&shown["height"]), height, "{node}");
        assert_eq!(net.compartment(node, "burned"), burned + fee / 2, "{node}");
    }
    net.holds(&["supply_conserved", "agree"]);
}

#[test]
fn an_ended_net_goes_on_where_it_was() {
    let mut net = Cluster::up_alone("resume");
    let first = net.started_in;
    net.wait("height >= 3");
    let block = net.ask("carol", &["chain", "block", "2"]);
    let top = number(&net.testnet("status", &[])["height"]);
    assert_eq!(net.testnet("down", &[])["was_up"], true);
    assert_eq!(
        net.testnet("down", &[])["was_up"],
        false,
        "down is idempotent"
    );

    let chain = net.endpoints["chain_id"].clone();
    net.start_again(&[]);
    assert_eq!(net.endpoints["chain_id"], chain);
    net.wait(&format!("height > {top} && agree"));
    for node in NAMES {
        let now = net.ask(node, &["chain", "block", "2"]);
        // Each node keeps a certificate of its own; the block is one.
        for key in ["id", "parent", "state_root", "txs", "time_ms"] {
            assert_eq!(now[key], block[key], "{node}: {key}");
        }
    }
    net.holds(&["none(slashed, validators)", "supply_conserved"]);
    if cfg!(debug_assertions) {
        eprintln!("first commit after {first:?}: judged in release builds only");
    } else {
        assert!(first <= FIRST_COMMIT_MAX, "first commit after {first:?}");
    }
}
