//! Goal: a node that was down, or lost its state, is back with the same blocks, and signs nothing
//! twice.

use protocol::units::Height;

use crate::cluster::Cluster;

#[test]
fn a_stopped_node_catches_up() {
    let mut cluster = Cluster::start(4);
    cluster.wait_height(3);
    cluster.stop_node(3);
    let tip = cluster.node(0).snapshot().height;
    cluster.wait(0, "five heights without it", |s| s.height >= tip.plus(5));
    cluster.start_node(3);
    cluster.wait_height(tip.plus(8).0);
    cluster.assert_agreement();
    for node in cluster.running() {
        assert_eq!(*node.fatal().borrow(), None);
        assert!(
            node.snapshot().state.evidence.is_empty(),
            "nobody contradicted itself"
        );
    }
}

#[test]
fn all_nodes_stopped_go_on_where_they_were() {
    let mut cluster = Cluster::start(4);
    cluster.wait_height(3);
    for index in 0..4 {
        cluster.stop_node(index);
    }
    for index in 0..4 {
        cluster.start_node(index);
    }
    cluster.wait_height(6);
    cluster.assert_agreement();
}

/// The state's database is rebuildable: without it the block log is replayed.
#[test]
fn a_lost_state_is_rebuilt_from_the_block_log() {
    let mut cluster = Cluster::start(4);
    cluster.wait_height(4);
    cluster.stop_node(2);
    std::fs::remove_dir_all(cluster.home(2).join("data/state")).unwrap();
    cluster.start_node(2);
    assert!(
        cluster.node(2).snapshot().height >= Height(4),
        "before any peer could have helped"
    );
    let tip = cluster.node(0).snapshot().height;
    cluster.wait_height(tip.plus(2).0);
    cluster.assert_agreement();
}
