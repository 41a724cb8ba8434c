//! Goal: a node that is killed without warning comes back, signs again, and never signs two values.
//! Method: three nodes here, the fourth in a process of its own (this test binary again), which is
//! killed at odd moments.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use actors::tamper::{NoProfiles, Profiles};
use net::Multiaddr;
use protocol::keys::PublicKey;
use protocol::units::Height;

use crate::cluster::{Cluster, genesis, start_node};
use crate::fake::Gate;

const HOME: &str = "PALISADE_TEST_HOME";
const PEERS: &str = "PALISADE_TEST_PEERS";
const FOURTH: usize = 3;

/// The fourth node, when this binary is started as one; nothing otherwise. It ends with its parent.
#[test]
fn the_fourth_node() {
    let (Ok(home), Ok(peers)) = (std::env::var(HOME), std::env::var(PEERS)) else {
        return;
    };
    let peers: Vec<Multiaddr> = peers.split(',').map(|text| text.parse().unwrap()).collect();
    let profiles: Arc<dyn Profiles> = Arc::new(NoProfiles);
    let _node = start_node(
        &genesis(4),
        Path::new(&home),
        FOURTH,
        peers,
        &profiles,
        &Gate::default(),
    );
    let mut closed = [0];
    while std::io::stdin()
        .read(&mut closed)
        .is_ok_and(|count| count > 0)
    {}
}

fn spawn(cluster: &Cluster) -> Child {
    let peers: Vec<String> = cluster
        .addresses()
        .iter()
        .map(Multiaddr::to_string)
        .collect();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_fourth_node", "--nocapture"])
        .env(HOME, cluster.home(FOURTH))
        .env(PEERS, peers.join(","))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until a block above this height carries the fourth node's signature.
fn wait_signature(cluster: &Cluster, key: PublicKey, above: Height) -> Height {
    let signed = |snapshot: &actors::snapshot::Snapshot| {
        snapshot.height > above
            && snapshot
                .certificate
                .as_ref()
                .is_some_and(|c| c.signatures.iter().any(|signature| signature.signer == key))
    };
    cluster
        .wait(0, "a signature of the killed node", signed)
        .height
}

#[test]
fn a_killed_node_comes_back_and_signs() {
    let mut cluster = Cluster::of(4);
    for index in 0..FOURTH {
        cluster.start_node(index);
    }
    let key = cluster.genesis.validators[FOURTH].consensus_pk;
    let mut child = spawn(&cluster);
    let mut height = wait_signature(&cluster, key, Height(0));
    for round in 0..5 {
        // Not always at the same place of a height.
        cluster.wait(0, "another moment", |s| s.height >= height.plus(round % 3));
        child.kill().unwrap();
        child.wait().unwrap();
        let down = cluster.node(0).snapshot().height;
        cluster.wait(0, "life without it", |s| s.height >= down.plus(2));
        let up = cluster.node(0).snapshot().height;
        child = spawn(&cluster);
        height = wait_signature(&cluster, key, up);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for node in cluster.running() {
        assert_eq!(*node.fatal().borrow(), None);
        assert!(
            node.snapshot().state.evidence.is_empty(),
            "nobody contradicted itself"
        );
    }
    // What it has on disk is what everybody has.
    cluster.start_node(FOURTH);
    let tip = cluster.node(0).snapshot().height;
    cluster.wait_height(tip.0);
    cluster.assert_agreement();
}
