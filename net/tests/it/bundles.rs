//! Goal: transactions that share a message share nothing else: each is verified, charged and delivered
//! by itself, one bad one condemns the message, and nobody's is worth repeating.
//! Method: bundles of our own making (`u16 count | u32 length, envelope …`), from a peer that says what
//! it likes.

use std::collections::BTreeSet;

use net::Topic;

use crate::support::{Carrier, Node, cluster, config, consensus_key, next, stranger};
use crate::transfers::transfer;

fn forged(seed: u8, nonce: u64) -> Vec<u8> {
    let mut envelope = transfer(seed, nonce);
    let last = envelope.len() - 1;
    envelope[last] ^= 1;
    envelope
}

fn bundle(envelopes: &[Vec<u8>]) -> Vec<u8> {
    let mut out = u16::try_from(envelopes.len())
        .unwrap()
        .to_be_bytes()
        .to_vec();
    for envelope in envelopes {
        let length = u32::try_from(envelope.len()).unwrap();
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(envelope);
    }
    out
}

fn say(node: &Node, bytes: Vec<u8>) {
    node.handle.publish_raw(Topic::Tx, bytes).unwrap();
}

/// The next transaction's account and nonce.
fn heard(node: &mut Node) -> (u8, u64) {
    next(&mut node.lanes.tx, "a transaction", |event| {
        let tx = event.tx.message();
        let seed = (0..=u8::MAX).find(|seed| consensus_key(*seed).public() == tx.signer);
        Some((seed.unwrap(), tx.nonce))
    })
}

fn messages(node: &Node, outcome: &str) -> f64 {
    let labels = [("topic", "tx"), ("direction", "in"), ("outcome", outcome)];
    node.metric("p2p_messages_total", &labels)
}

fn wait_messages(node: &Node, outcome: &str, expected: f64) {
    let labels = [("topic", "tx"), ("direction", "in"), ("outcome", outcome)];
    node.wait_metric("p2p_messages_total", &labels, |count| count == expected);
}

/// A host, and a stranger that is connected to it.
fn pair() -> (Node, Node) {
    let host = Node::start(config(1, Carrier::Quic));
    let mut guest = stranger(50, Carrier::Quic);
    guest.static_peers = vec![host.address()];
    let guest = Node::start(guest);
    guest.wait_for_peers(1);
    (host, guest)
}

/// A node that hears only what the host forwards, from now on.
fn beyond(host: &Node) -> Node {
    let mut config = config(2, Carrier::Quic);
    config.static_peers = vec![host.address()];
    let node = Node::start(config);
    host.wait_metric("p2p_gossip_mesh_peers", &[("topic", "tx")], |count| {
        count == 2.0
    });
    node
}

/// A burst of one node reaches all others whole, once, whatever travelled with what.
#[test]
fn transactions_travel_together_and_arrive_one_by_one() {
    let mut nodes = cluster(3, Carrier::Quic);
    let sent: BTreeSet<(u8, u64)> = (100..250).map(|seed| (seed, 0)).collect();
    for (seed, nonce) in &sent {
        let envelope = transfer(*seed, *nonce);
        nodes[0].handle.publish(Topic::Tx, envelope).unwrap();
    }
    for node in &mut nodes[1..] {
        let got: BTreeSet<(u8, u64)> = sent.iter().map(|_| heard(node)).collect();
        assert_eq!(got, sent);
        assert_eq!(messages(node, "accepted"), sent.len() as f64);
    }
}

/// What is told to a node that hears nobody is not lost: it goes out when somebody listens.
#[test]
fn transactions_wait_for_somebody_who_listens() {
    let host = Node::start(config(1, Carrier::Quic));
    for seed in 100..110 {
        host.handle.publish(Topic::Tx, transfer(seed, 0)).unwrap();
    }
    let mut late = config(2, Carrier::Quic);
    late.static_peers = vec![host.address()];
    let mut late = Node::start(late);
    let got: BTreeSet<(u8, u64)> = (100..110).map(|_| heard(&mut late)).collect();
    assert_eq!(got, (100..110).map(|seed| (seed, 0)).collect());
}

/// Whoever forwards a message has verified all of it: one forged part ends the message there, and its
/// sender pays.
#[test]
fn one_forged_part_condemns_the_message() {
    let (mut host, guest) = pair();
    let mut beyond = beyond(&host);
    say(&guest, bundle(&[transfer(100, 0), forged(101, 0)]));
    assert_eq!(heard(&mut host), (100, 0), "what is good is good");
    wait_messages(&host, "rejected", 1.0);
    host.wait("charged", |view| {
        view.peers.iter().any(|row| row.score < -9.0)
    });
    say(&guest, bundle(&[transfer(102, 0)]));
    assert_eq!(heard(&mut beyond), (102, 0), "and nothing before it");
}

/// Bytes that are no bundle: counted once, charged, and nothing of them is looked at.
#[test]
fn what_is_no_bundle_is_malformed() {
    let (host, guest) = pair();
    let mut wrong_count = bundle(&[transfer(100, 0), transfer(101, 0)]);
    wrong_count[1] = 1;
    let cases = [transfer(100, 0), bundle(&[]), wrong_count];
    for (index, bytes) in cases.into_iter().enumerate() {
        say(&guest, bytes);
        wait_messages(&host, "rejected", index as f64 + 1.0);
    }
    assert_eq!(messages(&host, "accepted"), 0.0);
}

/// One good transaction in forty bundles: checked once, and its signer is charged once, or it would
/// have nothing left to say.
#[test]
fn a_repeated_transaction_costs_its_signer_nothing() {
    let (mut host, guest) = pair();
    for filler in 0..40 {
        say(
            &guest,
            bundle(&[transfer(100, 0), transfer(101 + filler, 0)]),
        );
        while heard(&mut host) != (101 + filler, 0) {}
    }
    wait_messages(&host, "duplicate", 39.0);
    say(&guest, bundle(&[transfer(100, 1)]));
    assert_eq!(heard(&mut host), (100, 1));
}

/// A bundle of nothing new goes no further, however it is put together.
#[test]
fn repetition_is_not_forwarded() {
    let (mut host, guest) = pair();
    let beyond = beyond(&host);
    let (one, other) = (transfer(100, 0), transfer(101, 0));
    say(&guest, bundle(&[one.clone(), other.clone()]));
    heard(&mut host);
    heard(&mut host);
    wait_messages(&beyond, "accepted", 2.0);
    say(&guest, bundle(&[other, one.clone()]));
    wait_messages(&host, "duplicate", 2.0);
    // What comes after it has overtaken nothing.
    say(&guest, bundle(&[one, transfer(102, 0)]));
    wait_messages(&beyond, "accepted", 3.0);
    assert_eq!(messages(&beyond, "duplicate"), 1.0);
}
