//! What a node's operator decides about its network.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use libp2p::Multiaddr;
use protocol::digest::ChainId;

use crate::clock::Clock;
use crate::ip_guard::IpGuardLimits;
use crate::limits::Limits;
use crate::node_key::NodeKey;
use crate::proof::Proof;
use crate::role::Role;

/// Everything [`crate::start`] needs beside the ports.
#[derive(Clone, Debug)]
pub struct Config {
    /// The chain; peers of another are refused.
    pub chain: ChainId,
    /// Who we are on the transport.
    pub node_key: NodeKey,
    /// What we claim to be in `hello`.
    pub role: Role,
    /// The validator's word for us, if we speak for one. Renewed by
    /// [`crate::NetHandle::set_proof`].
    pub proof: Option<Proof>,
    /// What we call ourselves: printable ASCII, at most 64 bytes.
    pub agent: String,
    /// Where to listen: `/ip4/…/tcp/…` and `/ip4/…/udp/…/quic-v1`.
    pub listen: Vec<Multiaddr>,
    /// Peers to stay connected to, best with a `/p2p/…` suffix.
    pub static_peers: Vec<Multiaddr>,
    /// What TCP connections are secured with.
    pub tcp_security: TcpSecurity,
    /// Whether the noise handshake is bound to the chain. Off only for clients that cannot.
    pub noise_prologue: NoisePrologue,
    /// Quotas.
    pub limits: Limits,
    /// How many connections of which kind.
    pub connections: ConnectionLimits,
    /// Limits per address, before any cryptography.
    pub ip_guard: IpGuardLimits,
    /// Addresses without per-address limits, here and in gossip's colocation score.
    pub ip_exempt: HashSet<IpAddr>,
    /// Resident memory above 0.7 of this refuses new connections.
    pub memory_bytes: Option<usize>,
    /// Our uplink; blobs get at most 60 % of it.
    pub uplink_bytes_per_second: u32,
    /// Resolve `/dns4/…` addresses. Needs the system's resolver configuration.
    pub dns: Dns,
    /// A validator whose gossip falls silent for three such spans while others speak is redialled.
    pub silence_window: Duration,
    /// Where time comes from.
    pub clock: Clock,
}

/// Security of TCP connections; QUIC always has its own TLS 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpSecurity {
    /// Noise preferred, TLS 1.3 accepted.
    NoiseThenTls,
    /// Noise alone.
    Noise,
    /// TLS 1.3 alone.
    Tls,
}

/// Whether noise handshakes carry `palisade/p2p/1/‖chain_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoisePrologue {
    /// A peer of another chain fails in the handshake already.
    BoundToChain,
    /// It fails at `hello` only.
    Empty,
}

/// Whether names are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dns {
    /// Only addresses that are numbers can be dialled.
    Off,
    /// The system's resolver.
    System,
}

/// Connections, counted. Admitted validators and static peers bypass all but `pending_in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Inbound, not yet authenticated.
    pub pending_in: u32,
    /// Outbound, not yet authenticated.
    pub pending_out: u32,
    /// Inbound.
    pub established_in: u32,
    /// Outbound.
    pub established_out: u32,
    /// With one peer: both sides may dial at once.
    pub per_peer: u32,
    /// All together.
    pub total: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            pending_in: 32,
            pending_out: 16,
            established_in: 64,
            established_out: 32,
            per_peer: 2,
            total: 96,
        }
    }
}

impl Config {
    /// The design's defaults for a node of this role, listening nowhere and knowing nobody.
    #[must_use]
    pub fn new(chain: ChainId, node_key: NodeKey, role: Role) -> Self {
        Self {
            chain,
            node_key,
            role,
            proof: None,
            agent: concat!("palisade/", env!("CARGO_PKG_VERSION_MAJOR")).to_owned(),
            listen: Vec::new(),
            static_peers: Vec::new(),
            tcp_security: TcpSecurity::NoiseThenTls,
            noise_prologue: NoisePrologue::BoundToChain,
            limits: Limits::default(),
            connections: ConnectionLimits::default(),
            ip_guard: IpGuardLimits::default(),
            ip_exempt: HashSet::new(),
            memory_bytes: None,
            uplink_bytes_per_second: 100_000_000,
            dns: Dns::Off,
            silence_window: Duration::from_secs(5),
            clock: Clock::system(),
        }
    }
}
