//! Who is connected, and what we know about them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use protocol::digest::ValidatorId;
use protocol::keys::PublicKey;

use crate::messages::{Life, Tip};
use crate::proof::Proof;
use crate::role::Role;
use crate::tap::Standing;
use crate::topic::Topic;

/// A validator that the chain admits now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub validator: ValidatorId,
    /// The key that signs peer proofs.
    pub session_key: PublicKey,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// They did.
    Inbound,
    /// We did.
    Outbound,
}

/// One row of the peer table, as `/v1/peers` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerRow {
    /// Who.
    pub peer: PeerId,
    /// Where.
    pub address: Multiaddr,
    /// Who dialled.
    pub direction: Direction,
    /// What it is: validator or sentry only with a proof.
    pub role: Role,
    /// For which admitted validator it proved to speak.
    pub validator: Option<ValidatorId>,
    /// What it calls itself: printable ASCII, but a stranger's.
    pub agent: String,
    /// Where it says its chain ends.
    pub tip: Tip,
    /// Seconds since it connected.
    pub connected_seconds: u64,
    /// Score on the ladder; zero is spotless.
    pub score: f64,
    /// Messages and requests above quota on this connection.
    pub rate_limited: u64,
    /// Gossip topics it has told us it wants; before that nothing is sent to it.
    pub topics: usize,
    /// `open`, `muted` or `quarantined`.
    pub standing: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) address: Multiaddr,
    pub(crate) direction: Direction,
    pub(crate) since: Duration,
}

/// What `hello` told.
#[derive(Clone, Debug)]
pub(crate) struct Greeted {
    pub(crate) life: Life,
    pub(crate) claimed: Role,
    pub(crate) agent: String,
    pub(crate) tip: Tip,
    pub(crate) proof: Option<Proof>,
    /// Set while the proof holds against the admitted set.
    pub(crate) validator: Option<ValidatorId>,
}

impl Greeted {
    /// The role we act on: a validator without a proof is a full node.
    pub(crate) fn role(&self) -> Role {
        match (self.validator, &self.proof, self.claimed) {
            (Some(_), Some(proof), _) => proof.role,
            (_, _, Role::Validator | Role::Sentry) => Role::Full,
            (_, _, claimed) => claimed,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) connections: Vec<Connection>,
    pub(crate) since: Duration,
    pub(crate) greeted: Option<Greeted>,
    pub(crate) greeting_sent: bool,
    pub(crate) muted_until: Option<Duration>,
    pub(crate) quarantined_until: Option<Duration>,
    pub(crate) rate_limited: u64,
    pub(crate) blobs_in_flight: usize,
    pub(crate) silent_windows: u32,
    pub(crate) topics: BTreeSet<Topic>,
    /// No hint of this peer is passed on before that.
    pub(crate) hint_at: Duration,
}

impl Peer {
    pub(crate) fn standing(&self) -> Standing {
        if self.greeted.is_none() {
            Standing::Stranger
        } else if self.quarantined_until.is_some() {
            Standing::Quarantined
        } else if self.muted_until.is_some() {
            Standing::Muted
        } else {
            Standing::Open
        }
    }

    pub(crate) fn validator(&self) -> Option<ValidatorId> {
        self.greeted.as_ref().and_then(|greeted| greeted.validator)
    }
}

/// The connected peers.
#[derive(Debug, Default)]
pub(crate) struct Peers(HashMap<PeerId, Peer>);

impl Peers {
    pub(crate) fn connected(&mut self, peer: PeerId, connection: Connection, now: Duration) {
        let entry = self.0.entry(peer).or_insert_with(|| Peer {
            connections: Vec::new(),
            since: now,
            greeted: None,
            greeting_sent: false,
            muted_until: None,
            quarantined_until: None,
            rate_limited: 0,
            blobs_in_flight: 0,
            silent_windows: 0,
            topics: BTreeSet::new(),
            hint_at: Duration::ZERO,
        });
        entry.connections.push(connection);
    }

    /// Removes a connection; gives the peer back if that was its last.
    pub(crate) fn closed(&mut self, peer: &PeerId, connection: ConnectionId) -> Option<Peer> {
        let entry = self.0.get_mut(peer)?;
        entry.connections.retain(|open| open.id != connection);
        if entry.connections.is_empty() {
            self.0.remove(peer)
        } else {
            None
        }
    }

    pub(crate) fn get(&self, peer: &PeerId) -> Option<&Peer> {
        self.0.get(peer)
    }

    pub(crate) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.0.get_mut(peer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&PeerId, &mut Peer)> {
        self.0.iter_mut()
    }

    pub(crate) fn is_connected(&self, peer: &PeerId) -> bool {
        self.0.contains_key(peer)
    }

    pub(crate) fn is_greeted(&self, peer: &PeerId) -> bool {
        self.0.get(peer).is_some_and(|peer| peer.greeted.is_some())
    }

    /// Greeted peers, those that speak for validators first.
    pub(crate) fn greeted(&self) -> Vec<PeerId> {
        let mut greeted: Vec<(&PeerId, &Peer)> = self
            .0
            .iter()
            .filter(|(_, peer)| peer.greeted.is_some())
            .collect();
        greeted.sort_by_key(|(id, peer)| (peer.validator().is_none(), **id));
        greeted.into_iter().map(|(id, _)| *id).collect()
    }

    /// Whether anybody greeted listens to a topic.
    pub(crate) fn listen_to(&self, topic: Topic) -> bool {
        let listens = |peer: &Peer| peer.greeted.is_some() && peer.topics.contains(&topic);
        self.0.values().any(listens)
    }

    /// Greeted peers that speak for validators.
    pub(crate) fn validators(&self) -> HashSet<PeerId> {
        let speaking = self.0.iter().filter(|(_, peer)| peer.validator().is_some());
        speaking.map(|(id, _)| *id).collect()
    }
}

/// The carrier of a peer's connection, as metrics call it.
pub(crate) fn connection_name(peer: &Peer) -> &'static str {
    peer.connections
        .first()
        .map_or("tcp", |connection| transport_name(&connection.address))
}

/// The carrier of an address, as metrics call it.
pub(crate) fn transport_name(address: &Multiaddr) -> &'static str {
    let quic = address.iter().any(|part| matches!(part, Protocol::QuicV1));
    if quic { "quic" } else { "tcp" }
}
