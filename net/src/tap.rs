//! `GossipTap` sits between the connections and gossipsub and sees every message first.
//!
//! ```text
//! connection ─▶ tap: topic? size? standing? relayer's buckets? ─▶ gossipsub ─▶ loop
//!                 └─ dropped and counted
//! ```
//! Gossipsub remembers a message's id before anybody has judged it; a copy that is ignored later
//! poisons an honest relayer's copy. So whatever a relayer may not send is taken out *here*, before
//! the id is remembered. The tap also counts what each peer sends, duplicates included: gossip can
//! die silently on a connection that still answers pings, and only the absence of such events shows
//! it.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::gossipsub::{self, IdentityTransform, RawMessage};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use crate::bundle;
use crate::gossip::{Filter, PAYLOAD_BYTES_MAX, SCORE_SILENCED};
use crate::relayers::RelayerBuckets;
use crate::topic::{Topic, Topics};

/// Gossipsub as we use it.
pub(crate) type Gossip = gossipsub::Behaviour<IdentityTransform, Filter>;
type HandlerEvent =
    <<Gossip as NetworkBehaviour>::ConnectionHandler as ConnectionHandler>::ToBehaviour;

/// What a relayer may do on gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not greeted yet: nothing.
    Stranger,
    /// Within its buckets, everything.
    Open,
    /// Over quota: nothing for a while, and what it sends still counts.
    Muted,
    /// A validator over quota: `cons` only, at a tenth.
    Quarantined,
}

/// Why the tap dropped messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TapDrop {
    /// Sent before `hello`.
    Early,
    /// Over the relayer's quota, or sent while muted.
    Overflow,
    /// Larger than any envelope, on a topic that is not ours, or with libp2p's own signature.
    Malformed,
}

/// What the tap tells the loop.
#[derive(Debug)]
pub(crate) enum TapEvent {
    /// From gossipsub itself.
    Gossip(gossipsub::Event),
    /// Messages that gossipsub never saw.
    Dropped {
        peer: PeerId,
        topic: Option<Topic>,
        why: TapDrop,
        count: u32,
    },
}

#[derive(Debug)]
struct Relayer {
    standing: Standing,
    connections: u32,
    /// Handler events since the last look.
    events: u64,
}

/// Gossipsub behind the tap.
pub(crate) struct GossipTap {
    pub(crate) gossip: Gossip,
    topics: Topics,
    buckets: RelayerBuckets,
    relayers: HashMap<PeerId, Relayer>,
    queue: VecDeque<TapEvent>,
    bytes_dropped: u64,
}

/// Drop reports that may wait; more than the loop drains in a turn is merged into the last.
const QUEUE_MAX: usize = 1_024;

impl GossipTap {
    pub(crate) fn new(gossip: Gossip, topics: Topics, buckets: RelayerBuckets) -> Self {
        Self {
            gossip,
            topics,
            buckets,
            relayers: HashMap::new(),
            queue: VecDeque::new(),
            bytes_dropped: 0,
        }
    }

    /// Sets what a connected peer may do, and with which score gossipsub sees it.
    pub(crate) fn set_standing(&mut self, peer: &PeerId, standing: Standing, score: f64) {
        if let Some(relayer) = self.relayers.get_mut(peer) {
            relayer.standing = standing;
            let score = match standing {
                Standing::Stranger | Standing::Muted => SCORE_SILENCED,
                Standing::Open | Standing::Quarantined => score,
            };
            self.gossip.set_application_score(peer, score);
        }
    }

    /// Events a peer caused since the last call.
    pub(crate) fn take_events(&mut self, peer: &PeerId) -> u64 {
        self.relayers
            .get_mut(peer)
            .map_or(0, |relayer| std::mem::take(&mut relayer.events))
    }

    /// Payload bytes dropped since the last call; the loop counts those that passed.
    pub(crate) fn take_dropped_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.bytes_dropped)
    }

    pub(crate) fn prune(&self) {
        self.buckets.prune();
    }

    fn screen(
        &mut self,
        peer: &PeerId,
        message: &RawMessage,
    ) -> Result<(), (Option<Topic>, TapDrop)> {
        let standing = self
            .relayers
            .get(peer)
            .map_or(Standing::Stranger, |relayer| relayer.standing);
        let topic = self
            .topics
            .find(&message.topic)
            .ok_or((None, TapDrop::Malformed))?;
        let refuse = |why| Err((Some(topic), why));
        match standing {
            Standing::Stranger => return refuse(TapDrop::Early),
            Standing::Muted => return refuse(TapDrop::Overflow),
            Standing::Quarantined if topic != Topic::Cons => return refuse(TapDrop::Overflow),
            Standing::Open | Standing::Quarantined => {}
        }
        if message.data.len() > PAYLOAD_BYTES_MAX {
            return refuse(TapDrop::Malformed);
        }
        let count = parts(Some(topic), message);
        let bytes = message.data.len();
        if !self.buckets.take(peer, topic, (count, bytes), standing) {
            return refuse(TapDrop::Overflow);
        }
        Ok(())
    }

    fn report(&mut self, peer: PeerId, topic: Option<Topic>, why: TapDrop, count: u32) {
        for event in self.queue.iter_mut().rev() {
            if let TapEvent::Dropped {
                peer: p,
                topic: t,
                why: w,
                count: c,
            } = event
                && *p == peer
                && *t == topic
                && *w == why
            {
                *c = c.saturating_add(count);
                return;
            }
        }
        if self.queue.len() < QUEUE_MAX {
            self.queue.push_back(TapEvent::Dropped {
                peer,
                topic,
                why,
                count,
            });
        }
    }
}

/// As how many messages one counts. A bundle that says it holds more than it may will not open.
fn parts(topic: Option<Topic>, message: &RawMessage) -> u32 {
    let most = u32::try_from(bundle::TXS_MAX).unwrap_or(u32::MAX);
    match topic {
        Some(Topic::Tx) => bundle::claimed(&message.data).min(most),
        _ => 1,
    }
}

impl std::fmt::Debug for GossipTap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GossipTap")
            .field("relayers", &self.relayers.len())
            .finish_non_exhaustive()
    }
}

impl NetworkBehaviour for GossipTap {
    type ConnectionHandler = <Gossip as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = TapEvent;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.gossip
            .handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.gossip
            .handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.gossip.on_swarm_event(event);
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let peer = established.peer_id;
                let relayer = self.relayers.entry(peer).or_insert(Relayer {
                    standing: Standing::Stranger,
                    connections: 0,
                    events: 0,
                });
                relayer.connections += 1;
                if relayer.standing == Standing::Stranger {
                    self.gossip.set_application_score(&peer, SCORE_SILENCED);
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                if closed.remaining_established == 0 {
                    self.relayers.remove(&closed.peer_id);
                } else if let Some(relayer) = self.relayers.get_mut(&closed.peer_id) {
                    relayer.connections = relayer.connections.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if let Some(relayer) = self.relayers.get_mut(&peer) {
            relayer.events = relayer.events.saturating_add(1);
        }
        let event = match event {
            HandlerEvent::Message {
                mut rpc,
                invalid_messages,
            } => {
                for (message, _) in &invalid_messages {
                    let topic = self.topics.find(&message.topic);
                    self.report(peer, topic, TapDrop::Malformed, 1);
                }
                let messages = std::mem::take(&mut rpc.messages);
                for message in messages {
                    match self.screen(&peer, &message) {
                        Ok(()) => rpc.messages.push(message),
                        Err((topic, why)) => {
                            let bytes = message.data.len() as u64;
                            self.bytes_dropped = self.bytes_dropped.saturating_add(bytes);
                            self.report(peer, topic, why, parts(topic, &message));
                        }
                    }
                }
                HandlerEvent::Message {
                    rpc,
                    invalid_messages,
                }
            }
            other => other,
        };
        self.gossip
            .on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(event) = self.queue.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(event));
        }
        self.gossip
            .poll(cx)
            .map(|event| event.map_out(TapEvent::Gossip))
    }
}
