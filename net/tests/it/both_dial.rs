//! Goal: two nodes that dial each other at once hear each other ever after.
//! Method: fixed addresses of this test's own, each node knows the other from the start.

use net::{Config, Multiaddr};

use crate::support::{Carrier, Node, config, node_key, vote};

/// An address that only this run has: another run of this test gets another port.
fn address(seed: u8, attempt: u8) -> Multiaddr {
    let host = format!("127.92.{attempt}.{seed}");
    let socket = std::net::UdpSocket::bind((host.as_str(), 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    format!("/ip4/{host}/udp/{port}/quic-v1").parse().unwrap()
}

fn node(seed: u8, own: &Multiaddr, other: u8, others: &Multiaddr) -> Config {
    let mut config = config(seed, Carrier::Quic);
    config.listen = vec![own.clone()];
    let peer = node_key(other).peer_id();
    config.static_peers = vec![others.clone().with_p2p(peer).unwrap()];
    config
}

#[test]
fn simultaneous_dials_lose_no_subscription() {
    for attempt in 1..=5 {
        let (a, b) = (address(1, attempt), address(2, attempt));
        let configs = [node(1, &a, 2, &b), node(2, &b, 1, &a)];
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
