//! Goal: what is wrong with an envelope is found, told apart and charged to the right peer.
//! Method: a stranger publishes bytes of its making to one host, whose gate admits everything.

use std::time::Duration;

use net::{Admission, Config, ConsensusEvent, Rate, Topic};
use protocol::envelope::seal_vote;
use protocol::units::Height;

use crate::support::{Carrier, Node, config, lock, stranger, vote};

fn pair() -> (Node, Node) {
    pair_with(config(1, Carrier::Quic))
}

fn pair_with(config: Config) -> (Node, Node) {
    let host = Node::start(config);
    let mut guest = stranger(50, Carrier::Quic);
    guest.static_peers = vec![host.address()];
    let guest = Node::start(guest);
    host.wait_for_peers(1);
    guest.wait_for_peers(1);
    (host, guest)
}

fn messages(node: &Node, outcome: &str) -> f64 {
    node.metric(
        "p2p_messages_total",
        &[("direction", "in"), ("outcome", outcome)],
    )
}

fn wait_messages(node: &Node, outcome: &str, count: f64) {
    let labels = [("direction", "in"), ("outcome", outcome)];
    node.wait_metric("p2p_messages_total", &labels, |found| found == count);
}

#[test]
fn bad_copy_first_then_the_good_one() {
    let (mut host, guest) = pair();
    let good = seal_vote(&vote(2, 5, 0, b"block"));
    let mut bad = good.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    guest.handle.publish(Topic::Cons, bad).unwrap();
    wait_messages(&host, "rejected", 1.0);
    guest.handle.publish(Topic::Cons, good).unwrap();
    assert_eq!(host.next_vote().height, Height(5));
}

#[test]
fn five_bad_signatures_end_in_a_ban() {
    let (host, guest) = pair();
    for height in 0..5 {
        let mut bad = seal_vote(&vote(2, height, 0, b"block"));
        bad[100] ^= 1;
        guest.handle.publish(Topic::Cons, bad).unwrap();
    }
    let view = host.wait("refused or banned", |view| !view.bans.is_empty());
    assert_eq!(view.bans[0].peer, guest.handle.peer_id());
    assert_eq!(view.bans[0].reason, "bad_signature");
    assert_eq!(messages(&host, "accepted"), 0.0, "none forwarded");
}

/// A host that takes one message of each signer on the consensus topic, and then none for an hour.
fn frugal() -> Config {
    let mut config = config(1, Carrier::Quic);
    config.limits.cons.signer_messages = Rate {
        count: 1,
        per: Duration::from_secs(3_600),
        burst: 1,
    };
    config
}

#[test]
fn forged_messages_do_not_spend_the_quota_of_the_signer_they_name() {
    let (mut host, guest) = pair_with(frugal());
    let mut forged = seal_vote(&vote(2, 5, 0, b"block"));
    let last = forged.len() - 1;
    forged[last] ^= 1;
    guest.handle.publish(Topic::Cons, forged).unwrap();
    wait_messages(&host, "rejected", 1.0);
    let honest = seal_vote(&vote(2, 6, 0, b"block"));
    guest.handle.publish(Topic::Cons, honest).unwrap();
    assert_eq!(host.next_vote().height, Height(6));
    // Its own messages are what it pays for.
    for (height, refused) in [(7, 1.0), (8, 2.0)] {
        let more = seal_vote(&vote(2, height, 0, b"block"));
        guest.handle.publish(Topic::Cons, more).unwrap();
        host.wait_metric("p2p_rate_limited_total", &[("scope", "signer")], |count| {
            count == refused
        });
    }
    assert_eq!(messages(&host, "accepted"), 1.0);
    let other = seal_vote(&vote(3, 7, 0, b"block"));
    guest.handle.publish(Topic::Cons, other).unwrap();
    assert_eq!(host.next_vote().height, Height(7), "of another signer");
}

#[test]
fn a_vote_on_the_transaction_topic_is_malformed() {
    let (host, guest) = pair();
    guest
        .handle
        .publish(Topic::Tx, seal_vote(&vote(2, 5, 0, b"block")))
        .unwrap();
    wait_messages(&host, "rejected", 1.0);
    host.wait("charged", |view| {
        view.peers.first().is_some_and(|row| row.score < -9.0)
    });
}

#[test]
fn trailing_byte_and_garbage_are_malformed() {
    let (host, guest) = pair();
    let mut trailing = seal_vote(&vote(2, 5, 0, b"block"));
    trailing.push(0);
    guest.handle.publish(Topic::Cons, trailing).unwrap();
    wait_messages(&host, "rejected", 1.0);
    guest
        .handle
        .publish(Topic::Cons, b"garbage".to_vec())
        .unwrap();
    wait_messages(&host, "rejected", 2.0);
    assert_eq!(messages(&host, "accepted"), 0.0);
}

#[test]
fn a_slot_takes_two_values_and_no_third() {
    let (mut host, guest) = pair();
    for block in 0..20u8 {
        guest
            .handle
            .publish(Topic::Cons, seal_vote(&vote(2, 5, 0, &[block])))
            .unwrap();
    }
    wait_messages(&host, "accepted", 2.0);
    wait_messages(&host, "ignored", 18.0);
    assert_ne!(
        host.next_vote().block,
        host.next_vote().block,
        "the two make evidence"
    );
    assert!(!host.has(|event| matches!(event, ConsensusEvent::Vote { .. })));
    assert_eq!(
        host.handle.view().peers[0].score,
        0.0,
        "the relayer is not charged"
    );
}

#[test]
fn the_gate_decides_before_any_signature_check() {
    let (mut host, guest) = pair();
    let answers = [
        Admission::Late,
        Admission::Ahead,
        Admission::UnknownSet,
        Admission::Duplicate,
    ];
    for (height, admission) in (1..).zip(answers) {
        lock(&host.world.admissions).insert(height, admission);
        guest
            .handle
            .publish(Topic::Cons, seal_vote(&vote(2, height, 0, b"x")))
            .unwrap();
    }
    wait_messages(&host, "late", 1.0);
    wait_messages(&host, "ignored", 2.0);
    wait_messages(&host, "duplicate", 1.0);
    let (mut late, mut hint) = (None, None);
    while late.is_none() || hint.is_none() {
        host.next("the late vote and the hint", |event| match event {
            ConsensusEvent::Vote { vote, .. } => {
                late = Some(vote.message().height);
                Some(())
            }
            ConsensusEvent::Ahead { height, .. } => {
                hint = Some(height);
                Some(())
            }
            _ => None,
        });
    }
    assert_eq!(late, Some(Height(1)), "late votes may be evidence");
    assert_eq!(hint, Some(Height(2)));
    lock(&host.world.admissions).insert(9, Admission::Foreign);
    guest
        .handle
        .publish(Topic::Cons, seal_vote(&vote(2, 9, 0, b"x")))
        .unwrap();
    wait_messages(&host, "rejected", 1.0);
}
