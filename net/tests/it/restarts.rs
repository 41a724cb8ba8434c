//! Goal: a peer that dies without a word is heard again as soon as it is back.
//! Method: the first life talks through a relay that is cut, so that its host believes the QUIC
//! connection alive for half a minute; the second life, with the same key, dials directly.

use std::time::Duration;

use net::{Config, Multiaddr};

use crate::relay::{Relay, socket};
use crate::support::{Carrier, Node, PATIENCE, config, vote};

/// A dead connection is given up after half a minute, and what it kept from being heard is heard then.
const BEFORE_THE_FIRST_IS_BURIED: Duration = Duration::from_secs(20);

/// Silence heals a deaf connection too, but here only long after the test has lost its patience.
fn patient(mut config: Config) -> Config {
    config.silence_window = PATIENCE * 10;
    config
}

/// Where a node is reached through a relay that can be cut.
fn relayed(relay: &Relay, node: &Node) -> Multiaddr {
    let port = relay.udp(socket(&node.address())).port();
    let through: Multiaddr = format!("/ip4/127.0.0.1/udp/{port}/quic-v1")
        .parse()
        .unwrap();
    through.with_p2p(node.handle.peer_id()).unwrap()
}

/// The guest, dialling its host through a relay.
fn through(relay: &Relay, host: &Node) -> Config {
    let mut guest = patient(config(2, Carrier::Quic));
    guest.static_peers = vec![relayed(relay, host)];
    guest
}

/// Both connections come in within the second in which two are otherwise taken for one that
/// each side dialled at once.
#[test]
fn a_peer_that_restarts_within_seconds_stays_deaf() {
    let mut host = Node::start(patient(config(1, Carrier::Quic)));
    let relay = Relay::new();
    let mut guest = through(&relay, &host);
    let first = Node::start(guest.clone());
    host.wait("greeted", |view| {
        view.peers.iter().any(|row| row.topics == 4)
    });
    drop(relay);
    drop(first);

    guest.static_peers = vec![host.address()];
    let mut second = Node::start(guest);
    let heard = |view: &net::View| view.peers.iter().any(|row| row.topics == 4);
    second.wait_within(
        BEFORE_THE_FIRST_IS_BURIED,
        "the host's subscriptions",
        heard,
    );
    let young = |view: &net::View| view.peers.len() == 1 && view.peers[0].topics == 4;
    host.wait_within(BEFORE_THE_FIRST_IS_BURIED, "one greeted peer", young);
    let news = vote(2, 7, 0, b"back");
    second.handle.broadcast_vote(&news).unwrap();
    assert_eq!(host.next_vote().height.0, 7);
    let answer = vote(1, 8, 0, b"welcome");
    host.handle.broadcast_vote(&answer).unwrap();
    assert_eq!(second.next_vote().height.0, 8);
}

/// The host dials a guest, which dies after so many seconds and dials the host in its second life.
fn dialled_and_back_after(seconds: u64) {
    let relay = Relay::new();
    let mut guest = patient(config(2, Carrier::Quic));
    let first = Node::start(guest.clone());
    let mut host = patient(config(1, Carrier::Quic));
    host.static_peers = vec![relayed(&relay, &first)];
    let host = Node::start(host);
    host.wait("greeted", |view| {
        let old = |row: &net::PeerRow| row.topics == 4 && row.connected_seconds >= seconds;
        view.peers.iter().any(old)
    });
    drop(relay);
    drop(first);

    guest.static_peers = vec![host.address()];
    let second = Node::start(guest);
    second.wait_within(
        BEFORE_THE_FIRST_IS_BURIED,
        "the host's subscriptions",
        |view| view.peers.iter().any(|row| row.topics == 4),
    );
}

/// Who was dialled and is back two seconds later, by a dial of its own, was not dialled at once.
#[test]
fn a_peer_that_was_dialled_comes_back_by_itself() {
    dialled_and_back_after(2);
}

/// One connection each way within the second in which both sides may have dialled at once.
#[test]
fn a_peer_that_was_just_dialled_comes_back_by_itself() {
    dialled_and_back_after(0);
}

#[test]
fn second_life_is_heard_before_the_first_is_buried() {
    let mut host = Node::start(patient(config(1, Carrier::Quic)));
    let relay = Relay::new();
    let mut guest = through(&relay, &host);
    let first = Node::start(guest.clone());
    let greeted = host.wait("greeted", |view| {
        view.peers.iter().any(|row| row.connected_seconds > 2)
    });
    let relayed = greeted.peers[0].address.clone();
    drop(relay);
    drop(first);

    guest.static_peers = vec![host.address()];
    let mut second = Node::start(guest);
    let replaced = |view: &net::View| view.peers.len() == 1 && view.peers[0].address != relayed;
    host.wait_within(
        BEFORE_THE_FIRST_IS_BURIED,
        "the old connection is gone",
        replaced,
    );
    second.wait_for_peers(1);
    second
        .handle
        .broadcast_vote(&vote(2, 7, 0, b"back"))
        .unwrap();
    assert_eq!(host.next_vote().height.0, 7);
    host.wait_for_peers(1);
    host.handle
        .broadcast_vote(&vote(1, 8, 0, b"welcome"))
        .unwrap();
    assert_eq!(second.next_vote().height.0, 8);
}
