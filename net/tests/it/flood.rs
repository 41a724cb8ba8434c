//! Goal: a flood costs the flooder, and never the chain.
//! Method: a node whose own pace is lifted publishes well-formed transactions as fast as it can.

use net::{CommandError, Config, Limits, Topic};

use protocol::units::Height;

use crate::support::{Carrier, Node, cluster, config, stranger, vote};
use crate::transfers::transfer;

/// Lifts the pace that an honest node holds itself to.
fn unpaced(mut config: Config) -> Config {
    let mut limits = Limits::default();
    limits.tx.relayer_messages = limits.tx.relayer_messages.times(1_000);
    limits.tx.relayer_bytes = limits.tx.relayer_bytes.times(100);
    config.limits = limits;
    config
}

/// Publishes until the condition holds or 20,000 messages are out.
fn flood(flooder: &Node, mut until: impl FnMut() -> bool) {
    for nonce in 0..20_000 {
        if nonce % 64 == 0 && until() {
            return;
        }
        let bytes = transfer(77, nonce);
        while flooder.handle.publish(Topic::Tx, bytes.clone()) == Err(CommandError::Stuck) {
            std::thread::yield_now();
        }
    }
}

#[test]
fn flooder_is_rate_limited_then_banned() {
    let host = Node::start(config(1, Carrier::Quic));
    let mut guest = unpaced(stranger(50, Carrier::Quic));
    guest.static_peers = vec![host.address()];
    let flooder = Node::start(guest);
    flooder.wait_for_peers(1);
    flood(&flooder, || !host.handle.view().bans.is_empty());
    let view = host.wait("banned", |view| !view.bans.is_empty());
    assert_eq!(view.bans[0].peer, flooder.handle.peer_id());
    assert_eq!(view.bans[0].reason, "overflow");
    host.wait("disconnected", |view| view.peers.is_empty());
    let limited = host.metric("p2p_rate_limited_total", &[("scope", "relayer")]);
    assert!(limited >= 70.0, "rate-limited before: {limited}");
    host.wait_metric("p2p_bans_total", &[("reason", "overflow")], |count| {
        count == 1.0
    });
    host.wait_metric("p2p_banned_peers", &[], |count| count == 1.0);
}

#[test]
fn validator_is_quarantined_not_banned() {
    let mut host = Node::start(config(1, Carrier::Quic));
    let mut guest = unpaced(config(2, Carrier::Quic));
    guest.static_peers = vec![host.address()];
    let flooder = Node::start(guest);
    host.wait("greeted", |view| {
        view.peers.iter().any(|row| row.validator.is_some())
    });
    flooder.wait_for_peers(1);
    flood(&flooder, || {
        host.handle
            .view()
            .peers
            .first()
            .is_some_and(|row| row.rate_limited > 1_000)
    });
    let view = host.wait("quarantined", |view| {
        view.peers
            .first()
            .is_some_and(|row| row.standing == "quarantined")
    });
    assert!(view.bans.is_empty(), "rate alone bans no validator");
    assert_eq!(view.peers[0].score, 0.0, "nor does it cost score");
    flooder
        .handle
        .broadcast_vote(&vote(2, 9, 0, b"still here"))
        .unwrap();
    assert_eq!(host.next_vote().height, Height(9), "its votes still count");
}

#[test]
fn others_are_heard_during_a_flood() {
    let mut nodes = cluster(3, Carrier::Quic);
    let mut guest = unpaced(stranger(50, Carrier::Quic));
    guest.static_peers = nodes.iter().map(Node::address).collect();
    let flooder = Node::start(guest);
    flooder.wait_for_peers(3);
    let all_banned = |nodes: &[Node]| nodes.iter().all(|node| !node.handle.view().bans.is_empty());
    // No more than a signer may say at once, however long the flood lasts.
    let burst = u64::from(Limits::default().cons.signer_messages.burst);
    let mut height = 0;
    flood(&flooder, || {
        if height < burst {
            height += 1;
            nodes[0]
                .handle
                .broadcast_vote(&vote(1, height, 0, b"block"))
                .unwrap();
        }
        all_banned(&nodes)
    });
    for node in &mut nodes[1..] {
        node.wait("banned", |view| !view.bans.is_empty());
        let heights: std::collections::BTreeSet<u64> =
            (1..=height).map(|_| node.next_vote().height.0).collect();
        assert_eq!(heights.len() as u64, height, "every vote arrived");
        let view = node.handle.view();
        assert_eq!(view.bans.len(), 1, "and no honest peer was banned");
        assert_eq!(view.bans[0].peer, flooder.handle.peer_id());
    }
}
