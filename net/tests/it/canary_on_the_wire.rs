//! Goal: whoever records the wire sees no message and no topic name.
//! Method: two nodes talk through a relay of the test's own, which keeps every byte; then a canary
//! that travelled as gossip and as a blob is looked for.

use net::{BlobRequest, ConsensusEvent, Multiaddr};
use protocol::digest::{BlockId, sha256};
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{BodyPlace, Proposal};

use crate::relay::{Relay, socket};
use crate::support::{Carrier, Node, chain, config, consensus_key, lock, next};

const CANARY: &[u8; 32] = b"canary-7f3a-4411-9d07-b2c85e0f61";

/// Sends the canary as gossip and as a blob through a relay.
fn talk_through(carrier: Carrier) -> Relay {
    let relay = Relay::new();
    let host = Node::start(config(1, carrier));
    let target = socket(&host.address());
    let through = match carrier {
        Carrier::Quic => format!("/ip4/127.0.0.1/udp/{}/quic-v1", relay.udp(target).port()),
        _ => format!("/ip4/127.0.0.1/tcp/{}", relay.tcp(target).port()),
    };
    let mut guest = config(2, carrier);
    guest.static_peers = vec![
        through
            .parse::<Multiaddr>()
            .unwrap()
            .with_p2p(host.handle.peer_id())
            .unwrap(),
    ];
    let mut guest = Node::start(guest);
    host.wait_for_peers(1);
    guest.wait_for_peers(1);

    let key = consensus_key(1);
    let message = Proposal {
        height: Height(5),
        round: Round(0),
        pol_round: None,
        block: BlockId(sha256(CANARY)),
        body: BodyPlace::Inline,
        signer: key.public(),
    };
    let proposal = Signed::sign(message, &key, &chain());
    host.handle.broadcast_proposal(&proposal, CANARY).unwrap();
    let block = guest.next("the proposal", |event| match event {
        ConsensusEvent::Proposal { block, .. } => block,
        _ => None,
    });
    assert_eq!(block, CANARY, "the canary did travel");
    *lock(&host.world.blob) = CANARY.to_vec();
    let request = BlobRequest {
        key: sha256(CANARY),
        offset: 0,
    };
    guest
        .handle
        .fetch_chunk(host.handle.peer_id(), request)
        .unwrap();
    let chunk = next(&mut guest.lanes.bulk, "the chunk", |event| {
        event.outcome.ok()
    });
    assert_eq!(chunk.bytes, CANARY, "twice");
    relay
}

#[test]
fn wire_shows_no_plaintext() {
    for (carrier, visible) in [
        (Carrier::Noise, Some("/noise")),
        (Carrier::Tls, Some("/tls/1.0.0")),
        (Carrier::Quic, None),
    ] {
        let relay = talk_through(carrier);
        assert!(
            lock(&relay.tape).len() > 1_000,
            "{carrier:?}: the relay recorded"
        );
        if let Some(security) = visible {
            assert!(
                relay.saw(b"/multistream/1.0.0"),
                "{carrier:?}: the recording can be read"
            );
            assert!(
                relay.saw(security.as_bytes()),
                "{carrier:?}: {security} was negotiated"
            );
        }
        assert!(!relay.saw(CANARY), "{carrier:?}: canary in the clear");
        for secret in ["/palisade/", "/meshsub/", "PLS1", "palisade/0"] {
            assert!(
                !relay.saw(secret.as_bytes()),
                "{carrier:?}: {secret} in the clear"
            );
        }
    }
}
