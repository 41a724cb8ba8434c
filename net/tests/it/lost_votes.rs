//! Goal: what gossip loses, a pull brings.

use std::time::Duration;

use net::Rate;
use protocol::envelope::seal_vote;
use protocol::units::{Height, Round};

use crate::support::{Carrier, Node, cluster, config, lock, vote};

#[test]
fn offered_round_is_exchanged_both_ways() {
    let mut nodes = cluster(2, Carrier::Quic);
    let [ours, theirs] = [vote(1, 5, 3, b"block"), vote(2, 5, 3, b"block")];
    lock(&nodes[0].world.rounds).insert((5, 3), vec![seal_vote(&ours)]);
    lock(&nodes[1].world.rounds).insert((5, 3), vec![seal_vote(&theirs)]);
    nodes[0].handle.offer_round(Height(5), Round(3)).unwrap();
    assert_eq!(nodes[1].next_vote(), ours.message, "what was offered");
    assert_eq!(nodes[0].next_vote(), theirs.message, "what was missing");
    nodes[0].wait_metric("p2p_pull_repairs_total", &[], |count| count == 1.0);
}

#[test]
fn votes_above_the_signers_quota_are_pulled_later() {
    let host = Node::start(config(1, Carrier::Quic));
    let mut guest = config(2, Carrier::Quic);
    // Slow enough that not even a starved host takes the second vote for one of a later second.
    guest.limits.cons.signer_messages = Rate {
        count: 1,
        per: Duration::from_secs(3),
        burst: 1,
    };
    guest.static_peers = vec![host.address()];
    let mut guest = Node::start(guest);
    host.wait_for_peers(1);
    guest.wait_for_peers(1);
    for round in 0..3 {
        let vote = vote(1, 5, round, b"block");
        lock(&host.world.rounds).insert((5, round), vec![seal_vote(&vote)]);
        host.handle.broadcast_vote(&vote).unwrap();
    }
    // The pulls themselves obey the signer's quota: one vote in three seconds gets through.
    let mut rounds: Vec<u32> = (0..3).map(|_| guest.next_vote().round.0).collect();
    rounds.sort_unstable();
    assert_eq!(rounds, [0, 1, 2]);
    guest.wait_metric("p2p_pull_repairs_total", &[], |count| count >= 2.0);
}
