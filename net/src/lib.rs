//! # net: messages between strangers
//!
//! Moves signed messages between nodes so that no peer can read them, stop them, or make a node
//! spend more than its budget on them. It decides nothing about their meaning.
//!
//! ```text
//!            gossip                requests
//! peers ──▶ ip_guard ─ tap ─▶ engine ◀─ frame ◀── peers
//!                              │  ▲
//!          gate, slots, buckets│  │ verdict
//!                              ▼  │
//!                             verify ──▶ lanes ──▶ the node
//! ```
//! Reading order: [`Config`], [`ports`](Gate), [`ConsensusEvent`] and its siblings, [`NetHandle`];
//! then `tap`, `engine`, `verify`, `ladder`.
//!
//! Invariants: a lane carries only `Verified<..>` values, hints that say they are none, and bytes
//! that say they are unchecked; the loop never awaits; every queue and table is bounded; every
//! topic and request protocol has a quota; every gossip message gets exactly one verdict.
//!
//! It is not: a judge of votes, blocks or money (`consensus`, `ledger`), a store (`storage`), or a
//! user of actors. Discovery beyond static peers and peers met before is absent, and so are
//! sentries' private peer lists.
#![forbid(unsafe_code)]

mod bans;
mod behaviour;
mod book;
mod buckets;
mod bundle;
mod clock;
mod config;
mod engine;
mod event;
mod frame;
mod gossip;
mod handle;
mod ip_guard;
mod ladder;
mod lanes;
mod limits;
mod memory;
mod messages;
mod metrics;
mod node_key;
mod peers;
mod ports;
mod proof;
mod relayers;
mod role;
mod seen;
mod service;
mod signers;
mod slots;
mod start;
mod tap;
mod topic;
mod transport;
mod verify;
mod wire;

pub use libp2p::{Multiaddr, PeerId};

pub use bans::Ban;
pub use book::KnownPeer;
pub use clock::Clock;
pub use config::{Config, ConnectionLimits, Dns, NoisePrologue, TcpSecurity};
pub use event::{BulkEvent, ConsensusEvent, EvidenceEvent, FetchFailure, Lanes, TxEvent};
pub use gossip::PAYLOAD_BYTES_MAX;
pub use handle::{CommandError, NetHandle, View};
pub use ip_guard::IpGuardLimits;
pub use ladder::Offence;
pub use limits::{Limits, Rate, ServiceLimits, TopicLimits};
pub use memory::JsonMemory;
pub use messages::{BlobRequest, CHUNK_BYTES, Chunk, DecidedBlock, SYNC_BLOCKS_MAX, Tip};
pub use metrics::Metrics;
pub use node_key::{NodeKey, NodeKeyError};
pub use peers::{Direction, Member, PeerRow};
pub use ports::{Access, Admission, Blobs, Chain, Gate, PeerMemory};
pub use proof::{PROOF_LIFETIME_MS_MAX, Proof, ProofError};
pub use role::Role;
pub use service::Service;
pub use start::{Ports, StartError, start};
pub use topic::Topic;
