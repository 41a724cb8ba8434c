//! Goal: two nodes that dial each other at once hear each other ever after.
//! Method: fixed addresses of this test's own, each node knows the other from the start.

use net::{Config, Multiaddr};

use crate::support::{Carrier, Node, config, node_key, vote};

fn node(seed: u8, other: u8, attempt: u8) -> Config {
    let address = |seed: u8| -> Multiaddr {
        // Two runs of this test at the same time must not meet.
        let port = 10_000 + std::process::id() % 20_000;
        format!("/ip4/127.92.{attempt}.{seed}/udp/{port}/quic-v1")
            .parse()
            .unwrap()
    };
    let mut config = config(seed, Carrier::Quic);
    config.listen = vec![address(seed)];
    config.static_peers = vec![address(other).with_p2p(node_key(other).peer_id()).unwrap()];
    config
}

#[test]
fn simultaneous_dials_lose_no_subscription() {
    for attempt in 1..=5 {
        let configs = [node(1, 2, attempt), node(2, 1, attempt)];
        let starting = configs.map(|config| std::thread::spawn(move || Node::start(config)));
        let [mut one, mut two] = starting.map(|thread| thread.join().unwrap());
        one.wait_for_peers(1);
        two.wait_for_peers(1);
        one.handle.broadcast_vote(&vote(1, 5, 0, b"x")).unwrap();
        two.handle.broadcast_vote(&vote(2, 5, 0, b"x")).unwrap();
        assert_eq!(two.next_vote().height.0, 5);
        assert_eq!(one.next_vote().height.0, 5);
    }
}
