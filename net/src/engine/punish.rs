//! From offence to mute, quarantine, refusal and ban.

use std::time::Duration;

use libp2p::PeerId;

use super::Engine;
use crate::ip_guard::{host_of, ip_of};
use crate::ladder::{Offence, Step};
use crate::metrics::INBOUND;
use crate::tap::TapDrop;
use crate::topic::Topic;

/// How long an over-quota relayer is not listened to.
const MUTE: Duration = Duration::from_secs(10);
/// How long a validator stays in quarantine after its last overflow.
const QUARANTINE: Duration = Duration::from_secs(60);

impl Engine {
    pub(super) fn on_tap_drop(
        &mut self,
        peer: PeerId,
        topic: Option<Topic>,
        why: TapDrop,
        count: u32,
    ) {
        let outcome = match why {
            TapDrop::Early => "early",
            TapDrop::Overflow => "overflow",
            TapDrop::Malformed => "malformed",
        };
        if let Some(topic) = topic {
            self.metrics.message(topic, INBOUND, outcome, count);
        }
        match why {
            TapDrop::Early => {}
            TapDrop::Overflow => {
                if topic == Some(Topic::Cons) {
                    self.mark_all_dirty();
                }
                self.overflow(peer, "relayer", count);
            }
            TapDrop::Malformed => self.punish(peer, Offence::Malformed, count),
        }
    }

    /// A peer went over a quota. Strangers and full nodes are muted and charged; a validator is
    /// only ever quarantined, because bans must not stop the chain.
    pub(super) fn overflow(&mut self, peer: PeerId, scope: &str, count: u32) {
        self.metrics
            .rate_limited
            .with_label_values(&[scope])
            .inc_by(u64::from(count));
        let now = self.now();
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        entry.rate_limited = entry.rate_limited.saturating_add(u64::from(count));
        if entry.validator().is_some() {
            let news = entry.quarantined_until.replace(now + QUARANTINE).is_none();
            if news {
                tracing::warn!(event = "validator_quarantined", %peer);
                self.update_standing(peer);
            }
            return;
        }
        if scope == "relayer" && entry.muted_until.is_none() {
            entry.muted_until = Some(now + MUTE);
            tracing::info!(event = "peer_muted", %peer);
            self.update_standing(peer);
        }
        self.punish(peer, Offence::Overflow, count);
    }

    /// Charges an offence and does what the ladder says.
    pub(super) fn punish(&mut self, peer: PeerId, offence: Offence, count: u32) {
        let (now, now_ms) = (self.now(), self.now_ms());
        let step = self.ladder.charge(peer, offence, count, now);
        if step == Step::Tolerate || self.bans.is_banned(&peer, now_ms) && step == Step::Refuse {
            return;
        }
        let reason = offence.name();
        let ban = match step {
            Step::Tolerate | Step::Refuse => self.bans.refuse(peer, reason, now_ms),
            Step::Ban => self.bans.ban(peer, reason, now_ms),
        };
        tracing::warn!(event = "peer_banned", %peer, reason, until_ms = ban.until_ms);
        self.enforce_ban(peer, reason);
    }

    pub(super) fn ban_by_operator(&mut self, peer: PeerId) {
        let now_ms = self.now_ms();
        self.bans.ban(peer, "operator", now_ms);
        self.enforce_ban(peer, "operator");
    }

    /// The address of a peer whose ban is lifted counts against nobody any more either.
    pub(super) fn unban_by_operator(&mut self, peer: &PeerId) {
        self.bans_changed |= self.bans.lift(peer);
        self.swarm.behaviour_mut().blocked.unblock_peer(*peer);
        self.ban_ips.remove(peer);
        self.refresh_ip_bans();
    }

    fn enforce_ban(&mut self, peer: PeerId, reason: &str) {
        self.metrics.bans.with_label_values(&[reason]).inc();
        self.bans_changed = true;
        let ip = self
            .peers
            .get(&peer)
            .and_then(|peer| peer.connections.first())
            .and_then(|connection| ip_of(&connection.address))
            .filter(|ip| !self.config.ip_exempt.contains(ip));
        if let Some(ip) = ip {
            self.ban_ips.insert(peer, host_of(ip));
        }
        // Closes the peer's connections and refuses new ones both ways.
        self.swarm.behaviour_mut().blocked.block_peer(peer);
        self.refresh_ip_bans();
        self.refresh_view();
    }

    /// Enforces what was stored by an earlier process.
    pub(super) fn block_banned(&mut self) {
        let now_ms = self.now_ms();
        let banned: Vec<PeerId> = self.bans.active(now_ms).map(|ban| ban.peer).collect();
        for peer in banned {
            self.swarm.behaviour_mut().blocked.block_peer(peer);
        }
    }

    /// Lifts what has expired.
    pub(super) fn expire_bans(&mut self) {
        let now_ms = self.now_ms();
        let expired: Vec<PeerId> = self
            .swarm
            .behaviour()
            .blocked
            .blocked_peers()
            .iter()
            .filter(|peer| !self.bans.is_banned(peer, now_ms))
            .copied()
            .collect();
        for peer in expired {
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
            self.ban_ips.remove(&peer);
        }
        self.bans.prune(now_ms);
        self.refresh_ip_bans();
        let banned = self.bans.active(now_ms).count();
        self.metrics
            .banned_peers
            .set(i64::try_from(banned).unwrap_or(i64::MAX));
    }

    /// Three banned ids make an address banned: fewer may be neighbours behind one router.
    fn refresh_ip_bans(&mut self) {
        let mut counts = std::collections::HashMap::new();
        for ip in self.ban_ips.values() {
            *counts.entry(*ip).or_insert(0usize) += 1;
        }
        counts.retain(|_, count| *count >= 3);
        self.swarm
            .behaviour_mut()
            .ip_guard
            .set_banned(counts.into_keys().collect());
    }
}
