//! What the swarm reports: connections, and the behaviours' events.

use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, DialError, ListenError, SwarmEvent};
use libp2p::{PeerId, connection_limits, gossipsub, memory_connection_limits};

use super::Engine;
use crate::behaviour::BehaviourEvent;
use crate::event::ConsensusEvent;
use crate::ip_guard::IpRefused;
use crate::peers::{Connection, Direction, transport_name};
use crate::service::Service;
use crate::tap::TapEvent;

/// Connections this close in time were dialled at once: nobody begins to dial whom it is connected to,
/// so they are no further apart than a handshake is long. Who is back sooner than that is told from
/// its first life by `hello`.
const AT_ONCE: Duration = Duration::from_secs(1);

impl Engine {
    pub(super) fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => {
                tracing::debug!(event = "connection_closed", peer = %peer_id, ?cause);
                self.on_closed(peer_id, connection_id);
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error,
                ..
            } => {
                self.on_incoming_error(transport_name(&send_back_addr), error);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                self.on_outgoing_error(peer_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(event = "listening", %address);
                self.listening.push(address);
                self.refresh_view();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening.retain(|known| *known != address);
            }
            SwarmEvent::ListenerClosed {
                addresses, reason, ..
            } => {
                tracing::error!(event = "listener_closed", ?addresses, ?reason);
            }
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Tap(TapEvent::Gossip(event)) => self.on_gossip(event),
            BehaviourEvent::Tap(TapEvent::Dropped {
                peer,
                topic,
                why,
                count,
            }) => {
                self.on_tap_drop(peer, topic, why, count);
            }
            BehaviourEvent::Hello(event) => self.on_requests(Service::Hello, event),
            BehaviourEvent::Status(event) => self.on_requests(Service::Status, event),
            BehaviourEvent::Voteset(event) => self.on_requests(Service::Voteset, event),
            BehaviourEvent::Body(event) => self.on_requests(Service::Body, event),
            BehaviourEvent::Sync(event) => self.on_requests(Service::Sync, event),
            BehaviourEvent::Blob(event) => self.on_requests(Service::Blob, event),
            // Identify and ping matter to others; the rest have no events.
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => self.on_message(propagation_source, message_id, message),
            gossipsub::Event::Subscribed { peer_id, topic } => {
                if let (Some(topic), Some(entry)) =
                    (self.topics.find(&topic), self.peers.get_mut(&peer_id))
                {
                    entry.topics.insert(topic);
                    self.refresh_view();
                }
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                if let (Some(topic), Some(entry)) =
                    (self.topics.find(&topic), self.peers.get_mut(&peer_id))
                {
                    entry.topics.remove(&topic);
                }
            }
            gossipsub::Event::GossipsubNotSupported { .. } | gossipsub::Event::SlowPeer { .. } => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let direction = match endpoint {
            ConnectedPoint::Dialer { .. } => Direction::Outbound,
            ConnectedPoint::Listener { .. } => Direction::Inbound,
        };
        let address = endpoint.get_remote_address().clone();
        let now = self.now();
        self.peers.connected(
            peer,
            Connection {
                id,
                address,
                direction,
                since: now,
            },
            now,
        );
        if self.book.is_static(&peer) {
            self.swarm
                .behaviour_mut()
                .connection_limits
                .bypass_peer_id(&peer);
        }
        self.meet_again(peer);
        let greeting_sent = self.peers.get(&peer).is_none_or(|peer| peer.greeting_sent);
        if direction == Direction::Outbound && !greeting_sent {
            self.send_hello(peer);
        }
    }

    /// A further connection to a peer. Dialled at once by both sides: both stay, because gossip
    /// tells its subscriptions on the first one only, and closing that would lose them. Otherwise
    /// the peer has forgotten the old one, having restarted for example, and would not hear our
    /// subscriptions on a second: so all are closed, and one side dials again. Nobody dials a peer
    /// it is connected to, so whoever comes in a second time has forgotten the first, however young.
    fn meet_again(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get(&peer) else {
            return;
        };
        let now = self.now();
        let old = |open: &&Connection| now.saturating_sub(open.since) > AT_ONCE;
        let came_in = |open: &&Connection| open.direction == Direction::Inbound;
        let open = &entry.connections;
        let again = open.iter().filter(came_in).count() > 1 || open.iter().any(|open| old(&open));
        if open.len() > 1 && again {
            tracing::info!(event = "peer_came_back", %peer);
            self.disconnect(&peer);
        }
    }

    fn on_closed(&mut self, peer: PeerId, id: ConnectionId) {
        let Some(gone) = self.peers.closed(&peer, id) else {
            return;
        };
        if gone.greeted.is_some() {
            // Whoever never got as far as `hello` is left to the backoff.
            let now = self.now();
            self.book.lost(&peer, now);
            tracing::info!(event = "peer_down", %peer);
            self.tell(ConsensusEvent::PeerDown { peer });
            self.refresh_view();
        }
        if !self.book.is_static(&peer) {
            self.swarm
                .behaviour_mut()
                .connection_limits
                .remove_peer_id(&peer);
        }
    }

    fn on_incoming_error(&mut self, transport: &str, error: ListenError) {
        let failure = match error {
            ListenError::Denied { cause } => {
                let reason = if cause.downcast_ref::<IpRefused>().is_some() {
                    "ip_guard"
                } else if cause
                    .downcast_ref::<connection_limits::Exceeded>()
                    .is_some()
                {
                    "limit"
                } else if cause
                    .downcast_ref::<memory_connection_limits::MemoryUsageLimitExceeded>()
                    .is_some()
                {
                    "memory"
                } else if cause
                    .downcast_ref::<libp2p::allow_block_list::Blocked>()
                    .is_some()
                {
                    "banned"
                } else {
                    "other"
                };
                self.metrics
                    .connections_refused
                    .with_label_values(&[reason])
                    .inc();
                "denied"
            }
            ListenError::WrongPeerId { .. } => "wrong_peer",
            ListenError::Transport(_) => "transport",
            _ => "other",
        };
        self.metrics
            .handshake_failures
            .with_label_values(&[transport, failure])
            .inc();
    }

    fn on_outgoing_error(&mut self, peer: Option<PeerId>, error: &DialError) {
        tracing::debug!(event = "dial_failed", ?peer, %error);
        let (transport, reason) = match error {
            DialError::WrongPeerId { address, .. } => (transport_name(address), "wrong_peer"),
            DialError::Transport(errors) => {
                let first = errors
                    .first()
                    .map_or("tcp", |(address, _)| transport_name(address));
                (first, "transport")
            }
            DialError::Denied { .. } => ("tcp", "denied"),
            _ => return,
        };
        self.metrics
            .handshake_failures
            .with_label_values(&[transport, reason])
            .inc();
    }

    pub(super) fn disconnect(&mut self, peer: &PeerId) {
        if self.swarm.disconnect_peer_id(*peer).is_err() {
            tracing::debug!(event = "already_disconnected", %peer);
        }
    }
}
