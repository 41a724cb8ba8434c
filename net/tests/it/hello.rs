//! Goal: a peer is nobody until `hello`, and what it claims there is checked.

use net::{Clock, Config, PROOF_LIFETIME_MS_MAX, Proof, Role, Service};
use protocol::digest::{ChainId, Digest};

use crate::raw::Raw;
use crate::support::{
    Carrier, Node, block_on, chain, config, node_key, poll, proof, session_key, stranger, validator,
};

/// Another chain whose id begins like ours, so that protocol names agree and only `hello` tells.
fn chain_with_our_prefix() -> ChainId {
    let mut bytes = *chain().as_bytes();
    bytes[31] ^= 1;
    ChainId(Digest(bytes))
}

/// Node 2 of the given chain dials node 1 of ours.
fn dial_from(other: ChainId, carrier: Carrier) -> (Node, Node) {
    let host = Node::start(config(1, carrier));
    let mut guest = Config {
        chain: other,
        ..stranger(2, carrier)
    };
    guest.static_peers = vec![host.address()];
    let guest = Node::start(guest);
    (host, guest)
}

#[test]
fn wrong_chain_stops_at_hello() {
    let elsewhere = ChainId::of_genesis(b"elsewhere");
    for (carrier, label) in [(Carrier::Tls, "tcp"), (Carrier::Quic, "quic")] {
        for other in [elsewhere, chain_with_our_prefix()] {
            let (host, guest) = dial_from(other, carrier);
            let labels = [("transport", label), ("reason", "wrong_chain")];
            let seen = |node: &Node| node.metric("p2p_handshake_failures_total", &labels);
            // Whoever reads the other's hello first closes; the other may never know why.
            poll("one of them sees it", || seen(&host) + seen(&guest) >= 1.0);
            assert!(host.handle.view().peers.is_empty());
            assert!(guest.handle.view().peers.is_empty());
            assert!(
                guest.handle.view().bans.is_empty(),
                "an honest mistake over TLS"
            );
        }
    }
}

#[test]
fn wrong_chain_fails_in_the_noise_handshake() {
    let (host, guest) = dial_from(chain_with_our_prefix(), Carrier::Noise);
    // Both sides of a plain noise net: the guest may not fall back to TLS.
    drop(guest);
    let mut noise_only = Config {
        chain: chain_with_our_prefix(),
        ..stranger(3, Carrier::Noise)
    };
    noise_only.tcp_security = net::TcpSecurity::Noise;
    noise_only.static_peers = vec![host.address()];
    let guest = Node::start(noise_only);
    let labels = [("transport", "tcp"), ("reason", "transport")];
    guest.wait_metric("p2p_handshake_failures_total", &labels, |count| {
        count >= 1.0
    });
    assert_eq!(
        host.metric(
            "p2p_requests_total",
            &[("protocol", "hello"), ("outcome", "ok")]
        ),
        0.0
    );
    assert!(host.handle.view().peers.is_empty());
}

#[test]
fn foreign_proof_is_fatal() {
    let host = Node::start(config(1, Carrier::Quic));
    let mut thief = stranger(2, Carrier::Quic);
    thief.proof = Some(proof(3));
    thief.static_peers = vec![host.address()];
    let thief = Node::start(thief);
    let view = host.wait("the thief is banned", |view| !view.bans.is_empty());
    assert_eq!(view.bans[0].peer, thief.handle.peer_id());
    assert_eq!(view.bans[0].reason, "foreign_proof");
    assert!(
        view.bans[0].until_ms - view.bans[0].since_ms >= 15 * 60_000,
        "a ban, not a refusal"
    );
    host.wait("and gone", |view| view.peers.is_empty());
}

#[test]
fn expired_unsigned_and_missing_proofs_give_no_role() {
    let host = Node::start(config(1, Carrier::Quic));
    let long_ago = Clock::system().unix_ms() - 2 * PROOF_LIFETIME_MS_MAX;
    let peer = |seed| node_key(seed).peer_id();
    let sign = |key, seed, at| {
        Proof::sign(
            &session_key(key),
            &chain(),
            Role::Validator,
            validator(seed),
            peer(seed),
            at,
        )
    };
    let expired = sign(2, 2, long_ago);
    let unsigned = sign(9, 3, Clock::system().unix_ms());
    let cases = [(2, Some(expired)), (3, Some(unsigned)), (4, None)];
    let mut guests = Vec::new();
    for (seed, proof) in cases {
        let mut guest = config(seed, Carrier::Quic);
        guest.proof = proof;
        guest.static_peers = vec![host.address()];
        guests.push(Node::start(guest));
    }
    let view = host.wait("all three greeted", |view| view.peers.len() == 3);
    for row in &view.peers {
        assert_eq!(
            (row.role, row.validator),
            (Role::Full, None),
            "{}",
            row.peer
        );
    }
}

#[test]
fn proof_counts_once_its_validator_is_admitted() {
    let host = Node::start(config(1, Carrier::Quic));
    let mut guest = config(20, Carrier::Quic);
    guest.static_peers = vec![host.address()];
    let guest = Node::start(guest);
    host.wait("greeted", |view| {
        view.peers.len() == 1 && view.peers[0].validator.is_none()
    });
    host.handle.admit(vec![crate::support::member(20)]).unwrap();
    host.wait("admitted", |view| {
        view.peers[0].validator == Some(validator(20))
    });
    host.handle.admit(Vec::new()).unwrap();
    host.wait("dismissed", |view| view.peers[0].validator.is_none());
    drop(guest);
}

#[test]
fn who_says_nothing_is_gone_after_five_seconds() {
    for carrier in [Carrier::Quic, Carrier::Noise] {
        let host = Node::start(config(1, carrier));
        block_on(async {
            let mut raw = Raw::connect(host.address(), Service::Status).await;
            raw.disconnected().await;
        });
        let labels = [("reason", "hello_timeout")];
        host.wait_metric("p2p_handshake_failures_total", &labels, |count| {
            count == 1.0
        });
        assert!(host.handle.view().bans.is_empty());
    }
}
