//! What happens because time passes.

use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};

use super::Engine;
use super::greet::HELLO_DEADLINE;
use crate::handle::View;
use crate::metrics::{INBOUND, OUTBOUND};
use crate::peers::{Direction, Greeted, Peer, PeerRow, connection_name};
use crate::tap::Standing;
use crate::topic::Topic;

const SECOND: Duration = Duration::from_secs(1);
const STATUS: Duration = Duration::from_secs(10);
const PRUNE: Duration = Duration::from_secs(60);
/// Rounds pulled per tick.
pub(super) const PULLS_PER_TICK: usize = 4;
/// Silent windows after which a connection is given up.
const SILENT_WINDOWS: u32 = 3;

/// When the rarer things were last done.
#[derive(Debug, Default)]
pub(super) struct Last {
    second: Duration,
    status: Duration,
    prune: Duration,
    silence: Duration,
    /// Pulls in this tick.
    pub(super) pulls: usize,
    /// Turns round the peers.
    pub(super) turn: usize,
}

/// Whether a span has passed since `last`; if so `last` is now.
fn passed(last: &mut Duration, span: Duration, now: Duration) -> bool {
    let due = now.saturating_sub(*last) >= span;
    if due {
        *last = now;
    }
    due
}

impl Engine {
    pub(super) fn on_tick(&mut self) {
        let now = self.now();
        self.last.pulls = 0;
        self.end_late_hellos(now);
        self.end_mutes(now);
        for topic in [Topic::Evid, Topic::Duty] {
            self.drain_outbox(topic);
        }
        self.drain_bundles();
        self.heard.seen.age(now);
        self.pull_dirty();
        self.dial_due(now);
        if passed(&mut self.last.second, SECOND, now) {
            self.expire_bans();
            self.refresh_view();
            self.measure();
            self.persist();
        }
        if passed(&mut self.last.status, STATUS, now) {
            for peer in self.peers.greeted() {
                self.ask_status(peer);
            }
        }
        if passed(&mut self.last.silence, self.config.silence_window, now) {
            self.end_silence(now);
        }
        if passed(&mut self.last.prune, PRUNE, now) {
            self.prune(now);
        }
    }

    fn end_late_hellos(&mut self, now: Duration) {
        let late: Vec<(PeerId, &'static str)> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.greeted.is_none() && now.saturating_sub(peer.since) >= HELLO_DEADLINE
            })
            .map(|(id, peer)| (*id, connection_name(peer)))
            .collect();
        for (peer, name) in late {
            self.metrics
                .handshake_failures
                .with_label_values(&[name, "hello_timeout"])
                .inc();
            self.disconnect(&peer);
        }
    }

    fn end_mutes(&mut self, now: Duration) {
        let mut changed = Vec::new();
        for (id, peer) in self.peers.iter_mut() {
            for until in [&mut peer.muted_until, &mut peer.quarantined_until] {
                if until.is_some_and(|until| until <= now) {
                    *until = None;
                    changed.push(*id);
                }
            }
        }
        for peer in changed {
            self.update_standing(peer);
        }
    }

    fn dial_due(&mut self, now: Duration) {
        let now_ms = self.now_ms();
        let local = *self.swarm.local_peer_id();
        let (peers, bans) = (&self.peers, &self.bans);
        let dials = self.book.due(now, |peer| {
            *peer == local || peers.is_connected(peer) || bans.is_banned(peer, now_ms)
        });
        for dial in dials {
            match (dial.peer, dial.addresses.first()) {
                (Some(peer), _) => self.dial(
                    DialOpts::peer_id(peer)
                        .addresses(dial.addresses)
                        .condition(PeerCondition::DisconnectedAndNotDialing)
                        .build(),
                ),
                (None, Some(address)) => self.dial(DialOpts::from(address.clone())),
                (None, None) => {}
            }
        }
    }

    /// Gossip can die on a connection that still answers pings. A validator always has something to
    /// say; if it alone is silent, the connection is at fault.
    fn end_silence(&mut self, now: Duration) {
        let validators = self.peers.validators();
        let tap = &mut self.swarm.behaviour_mut().tap;
        let heard: Vec<(PeerId, u64)> = validators
            .into_iter()
            .map(|peer| (peer, tap.take_events(&peer)))
            .collect();
        let anybody = heard.iter().any(|(_, events)| *events > 0);
        for (peer, events) in heard {
            let Some(entry) = self.peers.get_mut(&peer) else {
                continue;
            };
            // A validator that wants no topic has lost its subscriptions on the way.
            let deaf = entry.topics.is_empty();
            if !deaf && (events > 0 || !anybody) {
                entry.silent_windows = 0;
                continue;
            }
            entry.silent_windows += 1;
            if entry.silent_windows >= SILENT_WINDOWS {
                tracing::warn!(event = "gossip_died", %peer);
                self.metrics.gossip_redials.inc();
                self.disconnect(&peer);
                self.book.lost(&peer, now);
            }
        }
    }

    fn prune(&mut self, now: Duration) {
        self.swarm.behaviour().tap.prune();
        self.swarm.behaviour().ip_guard.prune();
        self.signers.iter_mut().for_each(|topic| topic.prune(now));
        self.asking.prune();
        for service in &self.services {
            service.requests.prune();
            service.egress.prune();
        }
        self.ladder.prune(now);
        self.recheck_proofs();
    }

    /// Stores what changed, on a thread that may block.
    fn persist(&mut self) {
        if std::mem::take(&mut self.bans_changed) {
            let (memory, bans) = (Arc::clone(&self.ports.memory), self.bans.all());
            drop(tokio::task::spawn_blocking(move || {
                if let Err(error) = memory.store_bans(&bans) {
                    tracing::warn!(event = "bans_not_stored", %error);
                }
            }));
        }
        if std::mem::take(&mut self.book_changed) {
            let (memory, known) = (Arc::clone(&self.ports.memory), self.book.known());
            drop(tokio::task::spawn_blocking(move || {
                if let Err(error) = memory.store_peers(&known) {
                    tracing::warn!(event = "peers_not_stored", %error);
                }
            }));
        }
    }

    fn measure(&mut self) {
        self.lanes.measure();
        let bytes = self.swarm.behaviour_mut().tap.take_dropped_bytes();
        self.metrics
            .bytes
            .with_label_values(&[INBOUND])
            .inc_by(bytes);
        for topic in Topic::ALL {
            let mesh = &self.swarm.behaviour().tap.gossip;
            let count = mesh.mesh_peers(self.topics.hash(topic)).count();
            let gauge = self.metrics.mesh_peers.with_label_values(&[topic.name()]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for (label, direction) in [
            (INBOUND, Direction::Inbound),
            (OUTBOUND, Direction::Outbound),
        ] {
            let count = self
                .peers
                .iter()
                .filter(|(_, peer)| peer.greeted.is_some())
                .filter(|(_, peer)| {
                    peer.connections
                        .first()
                        .is_some_and(|first| first.direction == direction)
                })
                .count();
            let gauge = self.metrics.peers.with_label_values(&[label]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn refresh_view(&mut self) {
        let (now, now_ms) = (self.now(), self.now_ms());
        let mut peers: Vec<PeerRow> = self
            .peers
            .iter()
            .filter_map(|(id, peer)| self.row(*id, peer, now))
            .collect();
        peers.sort_by_key(|row| row.peer);
        let view = View {
            peers,
            bans: self.bans.active(now_ms).cloned().collect(),
            listening: self.listening.clone(),
        };
        self.channels.view.send_replace(Arc::new(view));
    }

    fn row(&self, id: PeerId, peer: &Peer, now: Duration) -> Option<PeerRow> {
        let greeted: &Greeted = peer.greeted.as_ref()?;
        let connection = peer.connections.first()?;
        Some(PeerRow {
            peer: id,
            address: connection.address.clone(),
            direction: connection.direction,
            role: greeted.role(),
            validator: greeted.validator,
            agent: greeted.agent.clone(),
            tip: greeted.tip,
            connected_seconds: now.saturating_sub(peer.since).as_secs(),
            score: self.ladder.score(&id, now),
            rate_limited: peer.rate_limited,
            topics: peer.topics.len(),
            standing: match peer.standing() {
                Standing::Stranger => "stranger",
                Standing::Open => "open",
                Standing::Muted => "muted",
                Standing::Quarantined => "quarantined",
            },
        })
    }
}
