//! Goal: gossip that has died on a living connection is noticed and repaired.
//! Method: of two validators one talks and one has nothing to say; to the host the latter looks like
//! a dead gossip stream.

use std::time::Duration;

use crate::support::{Carrier, Node, config, poll, vote};

#[test]
fn silent_validator_is_redialled_while_others_speak() {
    let mut host = config(1, Carrier::Quic);
    host.silence_window = Duration::from_millis(300);
    let host = Node::start(host);
    let guests: Vec<Node> = [2, 3]
        .map(|seed| {
            let mut guest = config(seed, Carrier::Quic);
            guest.static_peers = vec![host.address()];
            Node::start(guest)
        })
        .into();
    host.wait("two validators", |view| {
        view.peers
            .iter()
            .filter(|row| row.validator.is_some())
            .count()
            == 2
    });
    assert_eq!(host.metric("p2p_gossip_redials_total", &[]), 0.0);
    let mut height = 0;
    poll("redialled", || {
        height += 1;
        guests[0]
            .handle
            .broadcast_vote(&vote(2, height, 0, b"block"))
            .unwrap();
        host.metric("p2p_gossip_redials_total", &[]) >= 1.0
    });
    host.wait("and back", |view| view.peers.len() == 2);
}
