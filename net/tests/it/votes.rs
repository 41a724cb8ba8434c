//! Goal: a vote published by one node reaches every other, verified, over each carrier.
//! Method: two and four nodes on loopback, each votes, each must see the others' votes.

use net::ConsensusEvent;
use protocol::digest::{BlockId, sha256};
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{BodyPlace, Proposal};

use crate::support::{Carrier, Node, chain, cluster, config, consensus_key, vote};

fn exchange(nodes: &mut [Node]) {
    for seed in 1..=nodes.len() {
        let seed8 = u8::try_from(seed).unwrap();
        nodes[seed - 1]
            .handle
            .broadcast_vote(&vote(seed8, 5, 0, b"block"))
            .unwrap();
    }
    let others = nodes.len() - 1;
    for node in nodes {
        let mut signers: Vec<_> = (0..others).map(|_| node.next_vote().signer).collect();
        signers.sort();
        signers.dedup();
        assert_eq!(signers.len(), others, "each other's vote, once");
    }
}

#[test]
fn two_nodes_over_quic() {
    exchange(&mut cluster(2, Carrier::Quic));
}

#[test]
fn two_nodes_over_noise() {
    exchange(&mut cluster(2, Carrier::Noise));
}

#[test]
fn two_nodes_over_tls() {
    exchange(&mut cluster(2, Carrier::Tls));
}

#[test]
fn four_nodes_over_quic() {
    exchange(&mut cluster(4, Carrier::Quic));
}

#[test]
fn four_nodes_over_noise() {
    exchange(&mut cluster(4, Carrier::Noise));
}

#[test]
fn proposal_brings_its_block() {
    let mut nodes = cluster(2, Carrier::Quic);
    let key = consensus_key(1);
    let block = vec![7; 40_000];
    let message = Proposal {
        height: Height(5),
        round: Round(0),
        pol_round: None,
        block: BlockId(sha256(&block)),
        body: BodyPlace::Inline,
        signer: key.public(),
    };
    let proposal = Signed::sign(message, &key, &chain());
    nodes[0]
        .handle
        .broadcast_proposal(&proposal, &block)
        .unwrap();
    let (peer, found) = nodes[1].next("the proposal", |event| match event {
        ConsensusEvent::Proposal { peer, block, .. } => Some((peer, block)),
        _ => None,
    });
    assert_eq!(peer, nodes[0].handle.peer_id());
    assert_eq!(found, Some(block));
}

#[test]
fn peer_table_names_role_and_validator() {
    let nodes = cluster(2, Carrier::Quic);
    let view = nodes[0].handle.view();
    let row = &view.peers[0];
    assert_eq!(row.peer, nodes[1].handle.peer_id());
    assert_eq!(row.validator, Some(crate::support::validator(2)));
    assert_eq!(row.role, net::Role::Validator);
    assert_eq!(row.standing, "open");
    nodes[0].wait_metric("p2p_peers", &[], |count| count == 1.0);
}

#[test]
fn quic_keeps_the_dialers_address() {
    let mut host = config(1, Carrier::Quic);
    host.listen = vec!["/ip4/127.91.1.1/udp/0/quic-v1".parse().unwrap()];
    let host = Node::start(host);
    let mut guest = config(2, Carrier::Quic);
    guest.listen = vec!["/ip4/127.91.2.1/udp/0/quic-v1".parse().unwrap()];
    guest.static_peers = vec![host.address()];
    let guest = Node::start(guest);
    let view = host.wait("greeted", |view| view.peers.len() == 1);
    let address = view.peers[0].address.to_string();
    assert!(
        address.starts_with("/ip4/127.91.2.1/"),
        "limits per address need it: {address}"
    );
    drop(guest);
}
