//! A peer of our own making: speaks the transport and one request protocol, and says what it likes.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, Codec, Message, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise, tls, yamux};
use net::Service;

use crate::support::{PATIENCE, chain};

/// Writes requests as they are, prefix included, and reads whatever comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes;

impl Codec for Bytes {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        if bytes.is_empty() {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(bytes)
        }
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&request).await?;
        io.close().await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&response).await?;
        io.close().await
    }
}

type Requests = request_response::Behaviour<Bytes>;

#[derive(NetworkBehaviour)]
pub(crate) struct RawBehaviour {
    hello: Requests,
    other: Requests,
}

fn requests(service: Service) -> Requests {
    let prefix: String = chain().to_string().chars().take(8).collect();
    let name = format!("/palisade/{prefix}/{}/1", service.name());
    let protocol = StreamProtocol::try_from_owned(name).unwrap();
    let config = request_response::Config::default()
        .with_request_timeout(PATIENCE)
        .with_max_concurrent_streams(100);
    Requests::with_codec(Bytes, [(protocol, ProtocolSupport::Full)], config)
}

/// The peer.
pub(crate) struct Raw {
    swarm: Swarm<RawBehaviour>,
    target: PeerId,
}

/// How a request ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Answered(Vec<u8>),
    Failed,
    Disconnected,
}

/// A frame with a true prefix.
pub(crate) fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// A `hello` of a client at height zero, by the layout of the design.
pub(crate) fn hello() -> Vec<u8> {
    let mut out = vec![0, 2];
    out.extend_from_slice(chain().as_ref());
    out.extend_from_slice(&[7; 8]);
    out.push(3);
    out.extend_from_slice(&[0; 40]);
    out.extend_from_slice(&[3]);
    out.extend_from_slice(b"raw");
    out.push(0);
    out
}

impl Raw {
    /// Connects; says nothing yet.
    pub(crate) async fn connect(address: Multiaddr, service: Service) -> Self {
        let key = Keypair::generate_secp256k1();
        let prologue = [b"palisade/p2p/1/".as_slice(), chain().as_ref()].concat();
        let noise = move |key: &Keypair| {
            noise::Config::new(key).map(|config| config.with_prologue(prologue))
        };
        let behaviour = RawBehaviour {
            hello: requests(Service::Hello),
            other: requests(service),
        };
        let mut swarm = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_tcp(
                Default::default(),
                (noise, tls::Config::new),
                yamux::Config::default,
            )
            .unwrap()
            .with_quic()
            .with_behaviour(move |_| behaviour)
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        swarm.dial(address).unwrap();
        let connected = tokio::time::timeout(PATIENCE, async {
            loop {
                if let SwarmEvent::ConnectionEstablished { peer_id, .. } =
                    swarm.select_next_some().await
                {
                    return peer_id;
                }
            }
        });
        let target = connected.await.expect("connects");
        Self { swarm, target }
    }

    /// Connects and says `hello`.
    pub(crate) async fn greeted(address: Multiaddr, service: Service) -> Self {
        let mut raw = Self::connect(address, service).await;
        let ended = raw.say_hello(frame(&hello())).await;
        assert!(matches!(ended, Ended::Answered(_)), "{ended:?}");
        raw
    }

    pub(crate) fn peer_id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    pub(crate) async fn say_hello(&mut self, bytes: Vec<u8>) -> Ended {
        self.swarm
            .behaviour_mut()
            .hello
            .send_request(&self.target, bytes);
        self.end().await
    }

    pub(crate) async fn ask(&mut self, bytes: Vec<u8>) -> Ended {
        self.swarm
            .behaviour_mut()
            .other
            .send_request(&self.target, bytes);
        self.end().await
    }

    /// Waits until the other side has had enough.
    pub(crate) async fn disconnected(&mut self) {
        while self.end().await != Ended::Disconnected {}
    }

    /// The next thing that ends.
    async fn end(&mut self) -> Ended {
        let ended = tokio::time::timeout(PATIENCE, async {
            loop {
                match self.swarm.select_next_some().await {
                    SwarmEvent::ConnectionClosed { .. } => return Ended::Disconnected,
                    SwarmEvent::Behaviour(
                        RawBehaviourEvent::Hello(event) | RawBehaviourEvent::Other(event),
                    ) => match event {
                        request_response::Event::Message {
                            message: Message::Response { response, .. },
                            ..
                        } => return Ended::Answered(response),
                        request_response::Event::OutboundFailure { .. } => return Ended::Failed,
                        _ => {}
                    },
                    _ => {}
                }
            }
        });
        ended.await.expect("ends")
    }
}
