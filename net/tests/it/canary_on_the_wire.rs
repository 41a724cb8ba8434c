//! Goal: whoever records the wire sees no message and no topic name.
//! Method: two nodes talk through a relay of the test's own, which keeps every byte; then a canary
//! that travelled as gossip and as a blob is looked for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use net::{BlobRequest, ConsensusEvent, Multiaddr};
use protocol::digest::{BlockId, sha256};
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{BodyPlace, Proposal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::{Carrier, Node, chain, config, consensus_key, lock, next};

const CANARY: &[u8; 32] = b"canary-7f3a-4411-9d07-b2c85e0f61";

type Tape = Arc<Mutex<Vec<u8>>>;

/// Relays in the background for as long as its runtime lives.
struct Relay {
    runtime: tokio::runtime::Runtime,
    tape: Tape,
}

impl Relay {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            tape: Tape::default(),
        }
    }

    fn tcp(&self, target: SocketAddr) -> SocketAddr {
        let listener = self
            .runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let tape = Arc::clone(&self.tape);
        self.runtime.spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                let outbound = TcpStream::connect(target).await.unwrap();
                let (from_a, to_a) = inbound.into_split();
                let (from_b, to_b) = outbound.into_split();
                tokio::spawn(copy(from_a, to_b, Arc::clone(&tape)));
                tokio::spawn(copy(from_b, to_a, Arc::clone(&tape)));
            }
        });
        address
    }

    fn udp(&self, target: SocketAddr) -> SocketAddr {
        let near = self
            .runtime
            .block_on(UdpSocket::bind("127.0.0.1:0"))
            .unwrap();
        let far = self
            .runtime
            .block_on(UdpSocket::bind("127.0.0.1:0"))
            .unwrap();
        let address = near.local_addr().unwrap();
        let tape = Arc::clone(&self.tape);
        self.runtime.spawn(async move {
            let (mut a, mut b) = (vec![0; 65_536], vec![0; 65_536]);
            let mut client = None;
            loop {
                tokio::select! {
                    Ok((len, from)) = near.recv_from(&mut a) => {
                        client = Some(from);
                        lock(&tape).extend_from_slice(&a[..len]);
                        far.send_to(&a[..len], target).await.unwrap();
                    }
                    Ok((len, _)) = far.recv_from(&mut b) => {
                        lock(&tape).extend_from_slice(&b[..len]);
                        if let Some(client) = client {
                            near.send_to(&b[..len], client).await.unwrap();
                        }
                    }
                }
            }
        });
        address
    }

    fn saw(&self, needle: &[u8]) -> bool {
        lock(&self.tape)
            .windows(needle.len())
            .any(|window| window == needle)
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    tape: Tape,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        lock(&tape).extend_from_slice(&buffer[..len]);
        if to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}

fn socket(address: &Multiaddr) -> SocketAddr {
    let parts: Vec<String> = address.to_string().split('/').map(str::to_owned).collect();
    format!("{}:{}", parts[2], parts[4]).parse().unwrap()
}

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
