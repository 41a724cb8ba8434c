//! Goal: bodies, decided blocks and chunks are fetched whole, and every question gets an answer.

use net::{
    Access, BlobRequest, BulkEvent, CHUNK_BYTES, ConsensusEvent, DecidedBlock, FetchFailure, PeerId,
};
use protocol::digest::{BlockId, sha256};
use protocol::units::Height;

use crate::support::{Carrier, Node, cluster, config, lock, next, stranger};

fn body(node: &mut Node) -> Option<Vec<u8>> {
    node.next("a body", |event| match event {
        ConsensusEvent::Body { bytes, .. } => Some(bytes),
        _ => None,
    })
}

fn synced(node: &mut Node) -> Vec<DecidedBlock> {
    node.next("blocks", |event| match event {
        ConsensusEvent::Synced { blocks, .. } => Some(blocks),
        _ => None,
    })
}

fn chunk(node: &mut Node) -> BulkEvent {
    next(&mut node.lanes.bulk, "a chunk", Some)
}

#[test]
fn largest_body_and_a_missing_one() {
    let mut nodes = cluster(2, Carrier::Quic);
    let held = BlockId(sha256(b"held"));
    let bytes = vec![3; 1 << 20];
    lock(&nodes[0].world.bodies).insert(held, bytes.clone());
    let peer = nodes[0].handle.peer_id();
    nodes[1].handle.fetch_body(peer, held).unwrap();
    assert_eq!(body(&mut nodes[1]), Some(bytes));
    nodes[1]
        .handle
        .fetch_body(peer, BlockId(sha256(b"other")))
        .unwrap();
    assert_eq!(body(&mut nodes[1]), None);
}

#[test]
fn sixty_four_blocks_at_a_time() {
    let mut nodes = cluster(2, Carrier::Quic);
    let block = |height: u8| DecidedBlock {
        block: vec![height; 900],
        certificate: vec![1; 300],
    };
    *lock(&nodes[0].world.decided) = (0..100).map(block).collect();
    let peer = nodes[0].handle.peer_id();
    nodes[1].handle.ask_height(peer, Height(10)).unwrap();
    let blocks = synced(&mut nodes[1]);
    assert_eq!(blocks, (10..74).map(block).collect::<Vec<_>>());
}

#[test]
fn chunks_of_a_blob_and_who_may_have_them() {
    let host = Node::start(config(1, Carrier::Quic));
    let blob: Vec<u8> = (0..CHUNK_BYTES + 1_000)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let key = sha256(&blob);
    *lock(&host.world.blob) = blob.clone();
    let mut fetched = Vec::new();
    let mut guest = config(2, Carrier::Quic);
    guest.static_peers = vec![host.address()];
    let mut guest = Node::start(guest);
    guest.wait_for_peers(1);
    host.wait("proven", |view| {
        view.peers.iter().any(|row| row.validator.is_some())
    });
    for offset in [0, CHUNK_BYTES as u64] {
        let request = BlobRequest { key, offset };
        guest
            .handle
            .fetch_chunk(host.handle.peer_id(), request)
            .unwrap();
        let chunk = chunk(&mut guest).outcome.unwrap();
        assert_eq!(chunk.size, blob.len() as u64);
        fetched.extend_from_slice(&chunk.bytes);
    }
    assert_eq!(fetched, blob);
    let mut other = stranger(50, Carrier::Quic);
    other.static_peers = vec![host.address()];
    let mut other = Node::start(other);
    other.wait_for_peers(1);
    host.wait_for_peers(2);
    let request = BlobRequest {
        key: sha256(b"unknown"),
        offset: 0,
    };
    other
        .handle
        .fetch_chunk(host.handle.peer_id(), request)
        .unwrap();
    assert_eq!(chunk(&mut other).outcome, Err(FetchFailure::NotHeld));
    let accesses = lock(&host.world.accesses).clone();
    assert_eq!(
        accesses,
        [Access::Validator, Access::Validator, Access::Public]
    );
}

/// A file of 64 MiB is 256 requests, more than a peer takes at once: we hold them back ourselves,
/// and the peer has nothing to count against us.
#[test]
fn a_large_file_does_not_overrun_its_holder() {
    let slow = |key: u8| {
        let mut config = config(key, Carrier::Quic);
        // What is spent does not come back during the test.
        config.limits.blob.requests.per *= 1_000;
        config
    };
    let host = Node::start(slow(1));
    let mut guest = slow(2);
    guest.static_peers = vec![host.address()];
    let takes = guest.limits.blob.requests;
    let mut guest = Node::start(guest);
    guest.wait_for_peers(1);
    let blob = vec![7_u8; 1_000];
    let key = sha256(&blob);
    *lock(&host.world.blob) = blob;
    let (mut answered, mut held_back) = (0, 0);
    for _ in 0..2 * takes.burst {
        let request = BlobRequest { key, offset: 0 };
        guest
            .handle
            .fetch_chunk(host.handle.peer_id(), request)
            .unwrap();
        match chunk(&mut guest).outcome {
            Ok(_) => answered += 1,
            Err(FetchFailure::NoAnswer) => held_back += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(answered, takes.sending().burst);
    assert_eq!(answered + held_back, 2 * takes.burst);
    let refused = [("protocol", "blob"), ("outcome", "refused")];
    host.wait_metric("p2p_requests_total", &refused, |count| count == 0.0);
    host.wait_metric("p2p_rate_limited_total", &[("scope", "request")], |count| {
        count == 0.0
    });
}

#[test]
fn more_questions_than_streams_are_all_answered() {
    let mut nodes = cluster(2, Carrier::Quic);
    let peer = nodes[0].handle.peer_id();
    // Two streams; the others wait for one.
    for _ in 0..12 {
        nodes[1]
            .handle
            .fetch_body(peer, BlockId(sha256(b"missing")))
            .unwrap();
    }
    for _ in 0..12 {
        assert_eq!(body(&mut nodes[1]), None);
    }
    nodes[0].wait_metric(
        "p2p_requests_total",
        &[("protocol", "body"), ("outcome", "served")],
        |count| count == 12.0,
    );
}

#[test]
fn questions_to_a_peer_that_leaves_are_all_answered() {
    let mut nodes = cluster(2, Carrier::Quic);
    let mut asking = nodes.pop().unwrap();
    let leaving = nodes.pop().unwrap();
    for _ in 0..12 {
        asking
            .handle
            .fetch_body(leaving.handle.peer_id(), BlockId(sha256(b"x")))
            .unwrap();
    }
    drop(leaving);
    for _ in 0..12 {
        assert_eq!(body(&mut asking), None);
    }
}

#[test]
fn questions_to_nobody_are_answered_at_once() {
    let mut node = Node::start(config(1, Carrier::Quic));
    let nobody = PeerId::random();
    node.handle
        .fetch_body(nobody, BlockId(sha256(b"x")))
        .unwrap();
    assert_eq!(body(&mut node), None);
    node.handle.ask_height(nobody, Height(1)).unwrap();
    assert!(synced(&mut node).is_empty());
    let request = BlobRequest {
        key: sha256(b"x"),
        offset: 0,
    };
    node.handle.fetch_chunk(nobody, request).unwrap();
    assert_eq!(chunk(&mut node).outcome, Err(FetchFailure::NoAnswer));
}
