//! Who is refused, why and until when; survives a restart through [`crate::PeerMemory`].

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::PeerId;

/// First level: disconnected and refused for a minute.
const REFUSAL: Duration = Duration::from_secs(60);
/// Second level, four times as long for each repeat, up to a day.
const BAN: Duration = Duration::from_secs(15 * 60);
const BAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// One level is forgiven for each such span without a ban.
const FORGIVENESS: Duration = Duration::from_secs(24 * 60 * 60);
/// Entries kept; the oldest go first.
pub(crate) const BANS_MAX: usize = 10_000;

/// One refused peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Whom.
    pub peer: PeerId,
    /// How many bans beyond refusals so far; decides how long the next lasts.
    pub level: u32,
    /// Why, as named by [`crate::Offence::name`], or `operator`.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

/// All bans, past ones included until their level is forgiven.
#[derive(Debug, Default)]
pub(crate) struct BanTable {
    bans: BTreeMap<PeerId, Ban>,
}

impl BanTable {
    /// Takes up stored bans; at most [`BANS_MAX`].
    pub(crate) fn restore(bans: Vec<Ban>) -> Self {
        let mut table = Self::default();
        for ban in bans.into_iter().take(BANS_MAX) {
            table.bans.insert(ban.peer, ban);
        }
        table
    }

    /// Refuses a peer for a minute.
    pub(crate) fn refuse(&mut self, peer: PeerId, reason: &str, now_ms: u64) -> &Ban {
        let level = self.level(&peer, now_ms);
        self.insert(peer, level, reason, now_ms, REFUSAL)
    }

    /// Bans a peer, longer each time.
    pub(crate) fn ban(&mut self, peer: PeerId, reason: &str, now_ms: u64) -> &Ban {
        let level = self.level(&peer, now_ms);
        let length = BAN.saturating_mul(4u32.saturating_pow(level)).min(BAN_MAX);
        self.insert(peer, level.saturating_add(1), reason, now_ms, length)
    }

    /// Lifts a ban by hand; its level is forgotten too.
    pub(crate) fn lift(&mut self, peer: &PeerId) -> bool {
        self.bans.remove(peer).is_some()
    }

    /// Whether a peer is refused now.
    pub(crate) fn is_banned(&self, peer: &PeerId, now_ms: u64) -> bool {
        self.bans.get(peer).is_some_and(|ban| ban.until_ms > now_ms)
    }

    /// Bans in force.
    pub(crate) fn active(&self, now_ms: u64) -> impl Iterator<Item = &Ban> {
        self.bans.values().filter(move |ban| ban.until_ms > now_ms)
    }

    /// Everything worth storing.
    pub(crate) fn all(&self) -> Vec<Ban> {
        self.bans.values().cloned().collect()
    }

    /// Drops entries whose level is forgiven.
    pub(crate) fn prune(&mut self, now_ms: u64) {
        self.bans
            .retain(|_, ban| ban.until_ms > now_ms || level_left(ban, now_ms) > 0);
    }

    fn level(&self, peer: &PeerId, now_ms: u64) -> u32 {
        self.bans.get(peer).map_or(0, |ban| level_left(ban, now_ms))
    }

    fn insert(
        &mut self,
        peer: PeerId,
        level: u32,
        reason: &str,
        now_ms: u64,
        length: Duration,
    ) -> &Ban {
        self.make_room(&peer);
        let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let until_ms = now_ms.saturating_add(length_ms);
        let longest = self
            .bans
            .get(&peer)
            .map_or(until_ms, |old| old.until_ms.max(until_ms));
        let ban = Ban {
            peer,
            level,
            reason: reason.to_owned(),
            since_ms: now_ms,
            until_ms: longest,
        };
        let slot = self.bans.entry(peer).or_insert_with(|| ban.clone());
        *slot = ban;
        slot
    }

    fn make_room(&mut self, peer: &PeerId) {
        if self.bans.len() < BANS_MAX || self.bans.contains_key(peer) {
            return;
        }
        let oldest = self
            .bans
            .values()
            .min_by_key(|ban| ban.since_ms)
            .map(|ban| ban.peer);
        if let Some(oldest) = oldest {
            self.bans.remove(&oldest);
        }
    }
}

fn level_left(ban: &Ban, now_ms: u64) -> u32 {
    let forgiveness_ms = u64::try_from(FORGIVENESS.as_millis()).unwrap_or(u64::MAX);
    let days = now_ms.saturating_sub(ban.until_ms) / forgiveness_ms;
    ban.level
        .saturating_sub(u32::try_from(days).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;
    const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

    #[test]
    fn bans_grow_fourfold_up_to_a_day() {
        let mut table = BanTable::default();
        let peer = PeerId::random();
        let mut now = DAY_MS;
        let mut minutes = Vec::new();
        for _ in 0..6 {
            let until = table.ban(peer, "malformed", now).until_ms;
            minutes.push((until - now) / MINUTE_MS);
            now = until + 1;
        }
        assert_eq!(minutes, [15, 60, 240, 960, 1_440, 1_440]);
    }

    #[test]
    fn a_level_is_forgiven_each_day() {
        let mut table = BanTable::default();
        let peer = PeerId::random();
        table.ban(peer, "malformed", 0);
        let until = table.ban(peer, "malformed", 20 * MINUTE_MS).until_ms;
        let next = table.ban(peer, "malformed", until + DAY_MS).until_ms;
        assert_eq!(
            next - until - DAY_MS,
            60 * MINUTE_MS,
            "one of two levels is left"
        );
        table.prune(next + 3 * DAY_MS);
        assert!(table.all().is_empty());
    }

    #[test]
    fn a_refusal_never_shortens_a_ban() {
        let mut table = BanTable::default();
        let peer = PeerId::random();
        let until = table.ban(peer, "malformed", 0).until_ms;
        assert_eq!(table.refuse(peer, "overflow", 1).until_ms, until);
        assert!(table.is_banned(&peer, until - 1));
        assert!(!table.is_banned(&peer, until));
    }

    #[test]
    fn the_table_is_bounded_and_the_oldest_go() {
        let mut table = BanTable::default();
        let first = PeerId::random();
        table.refuse(first, "overflow", 1);
        for since in 0..BANS_MAX as u64 {
            table.refuse(PeerId::random(), "overflow", 2 + since);
        }
        assert_eq!(table.all().len(), BANS_MAX);
        assert!(!table.is_banned(&first, 2));
    }
}
