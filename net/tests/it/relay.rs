//! A relay between two nodes that keeps every byte; when it is dropped, the wire is cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use net::Multiaddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::lock;

pub(crate) type Tape = Arc<Mutex<Vec<u8>>>;

/// Relays in the background for as long as its runtime lives.
pub(crate) struct Relay {
    runtime: tokio::runtime::Runtime,
    pub(crate) tape: Tape,
}

impl Relay {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn tcp(&self, target: SocketAddr) -> SocketAddr {
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

    pub(crate) fn udp(&self, target: SocketAddr) -> SocketAddr {
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

    pub(crate) fn saw(&self, needle: &[u8]) -> bool {
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

pub(crate) fn socket(address: &Multiaddr) -> SocketAddr {
    let parts: Vec<String> = address.to_string().split('/').map(str::to_owned).collect();
    format!("{}:{}", parts[2], parts[4]).parse().unwrap()
}
