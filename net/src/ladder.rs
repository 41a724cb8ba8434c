//! The score ladder: what an offence costs, and when it ends in a refusal or a ban.
//!
//! ```text
//! 0 ── offences subtract, halving every 600 s ──▶ ≤ −20 refused 60 s ──▶ ≤ −50 banned
//! ```
//! Overflow of a quota is free up to the 50th in ten seconds: honest bursts happen.

use std::collections::HashMap;
use std::time::Duration;

use libp2p::PeerId;

/// What a peer can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offence {
    /// Malformed message, trailing bytes, wrong kind, a signer that may not sign this.
    Malformed,
    /// A signature that does not verify.
    BadSignature,
    /// Above its quota.
    Overflow,
    /// A request or answer that breaks its protocol.
    BrokenRequest,
    /// A chunk that is not the one asked for.
    LyingChunk,
    /// A block or body that is not the one asked for.
    LyingBlock,
    /// A proof that names somebody else.
    ForeignProof,
    /// Another chain behind our own prologue.
    OtherChain,
}

impl Offence {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::BadSignature,
        Self::Overflow,
        Self::BrokenRequest,
        Self::LyingChunk,
        Self::LyingBlock,
        Self::ForeignProof,
        Self::OtherChain,
    ];

    /// The word in metrics and in the ban list.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadSignature => "bad_signature",
            Self::Overflow => "overflow",
            Self::BrokenRequest => "broken_request",
            Self::LyingChunk => "lying_chunk",
            Self::LyingBlock => "lying_block",
            Self::ForeignProof => "foreign_proof",
            Self::OtherChain => "other_chain",
        }
    }

    const fn cost(self) -> f64 {
        match self {
            Self::Overflow => 1.0,
            Self::BrokenRequest => 5.0,
            Self::Malformed | Self::BadSignature | Self::LyingChunk | Self::LyingBlock => 10.0,
            Self::ForeignProof | Self::OtherChain => 100.0,
        }
    }
}

/// What follows from an offence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet.
    Tolerate,
    /// Disconnect and refuse for a minute.
    Refuse,
    /// Ban.
    Ban,
}

const HALF_LIFE: Duration = Duration::from_secs(600);
const REFUSE_AT: f64 = -20.0;
const BAN_AT: f64 = -50.0;
const OVERFLOW_WINDOW: Duration = Duration::from_secs(10);
const OVERFLOW_FREE: u32 = 49;
/// Scores remembered; beyond that the least guilty are forgotten.
const ENTRIES_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct Entry {
    score: f64,
    at: Duration,
    overflow_since: Duration,
    overflow_count: u32,
}

impl Entry {
    fn score(&self, now: Duration) -> f64 {
        let age = now.saturating_sub(self.at).as_secs_f64();
        self.score * (-age / HALF_LIFE.as_secs_f64()).exp2()
    }

    /// How many of `count` overflows are charged.
    fn overflow(&mut self, count: u32, now: Duration) -> u32 {
        if now.saturating_sub(self.overflow_since) >= OVERFLOW_WINDOW {
            self.overflow_since = now;
            self.overflow_count = 0;
        }
        let charged_before = self.overflow_count.saturating_sub(OVERFLOW_FREE);
        self.overflow_count = self.overflow_count.saturating_add(count);
        self.overflow_count.saturating_sub(OVERFLOW_FREE) - charged_before
    }
}

/// Every peer's score.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    entries: HashMap<PeerId, Entry>,
}

impl Ladder {
    /// Charges `count` offences of one sort.
    pub(crate) fn charge(
        &mut self,
        peer: PeerId,
        offence: Offence,
        count: u32,
        now: Duration,
    ) -> Step {
        self.make_room(&peer, now);
        let entry = self.entries.entry(peer).or_default();
        let charged = match offence {
            Offence::Overflow => entry.overflow(count, now),
            _ => count,
        };
        entry.score = entry.score(now) - f64::from(charged) * offence.cost();
        entry.at = now;
        if charged == 0 || entry.score > REFUSE_AT {
            Step::Tolerate
        } else if entry.score > BAN_AT {
            Step::Refuse
        } else {
            Step::Ban
        }
    }

    /// The score now; zero is spotless.
    pub(crate) fn score(&self, peer: &PeerId, now: Duration) -> f64 {
        self.entries.get(peer).map_or(0.0, |entry| entry.score(now))
    }

    /// Forgets what has decayed to nothing.
    pub(crate) fn prune(&mut self, now: Duration) {
        self.entries.retain(|_, entry| {
            entry.score(now) < -0.5 || now.saturating_sub(entry.overflow_since) < OVERFLOW_WINDOW
        });
        self.entries.shrink_to_fit();
    }

    fn make_room(&mut self, peer: &PeerId, now: Duration) {
        if self.entries.len() < ENTRIES_MAX || self.entries.contains_key(peer) {
            return;
        }
        let mildest = self
            .entries
            .iter()
            .max_by(|a, b| a.1.score(now).total_cmp(&b.1.score(now)))
            .map(|(peer, _)| *peer);
        if let Some(mildest) = mildest {
            self.entries.remove(&mildest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn five_bad_signatures_ban() {
        let mut ladder = Ladder::default();
        let peer = PeerId::random();
        let steps: Vec<Step> = (0..5)
            .map(|_| ladder.charge(peer, Offence::BadSignature, 1, NOW))
            .collect();
        let expected = [
            Step::Tolerate,
            Step::Refuse,
            Step::Refuse,
            Step::Refuse,
            Step::Ban,
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn overflow_is_free_up_to_the_fiftieth() {
        let mut ladder = Ladder::default();
        let peer = PeerId::random();
        assert_eq!(
            ladder.charge(peer, Offence::Overflow, 49, NOW),
            Step::Tolerate
        );
        assert_eq!(ladder.score(&peer, NOW), 0.0);
        assert_eq!(
            ladder.charge(peer, Offence::Overflow, 1, NOW),
            Step::Tolerate
        );
        assert_eq!(ladder.score(&peer, NOW), -1.0);
        assert_eq!(
            ladder.charge(peer, Offence::Overflow, 19, NOW),
            Step::Refuse
        );
    }

    #[test]
    fn overflow_counts_start_anew_after_ten_seconds() {
        let mut ladder = Ladder::default();
        let peer = PeerId::random();
        for second in 0..100 {
            let now = NOW + Duration::from_secs(second);
            assert_eq!(
                ladder.charge(peer, Offence::Overflow, 4, now),
                Step::Tolerate
            );
        }
        assert_eq!(ladder.score(&peer, NOW + Duration::from_secs(100)), 0.0);
    }

    #[test]
    fn scores_halve_in_ten_minutes() {
        let mut ladder = Ladder::default();
        let peer = PeerId::random();
        ladder.charge(peer, Offence::Malformed, 1, NOW);
        let later = ladder.score(&peer, NOW + HALF_LIFE);
        assert!((later + 5.0).abs() < 1e-9, "{later}");
        ladder.prune(NOW + HALF_LIFE * 5);
        assert!(ladder.entries.is_empty());
    }

    #[test]
    fn foreign_proof_bans_at_once() {
        let mut ladder = Ladder::default();
        assert_eq!(
            ladder.charge(PeerId::random(), Offence::ForeignProof, 1, NOW),
            Step::Ban
        );
    }

    #[test]
    fn ten_thousand_strangers_fit_and_the_guiltiest_stay() {
        let mut ladder = Ladder::default();
        let guilty = PeerId::random();
        ladder.charge(guilty, Offence::BadSignature, 3, NOW);
        for _ in 0..ENTRIES_MAX + 50 {
            ladder.charge(PeerId::random(), Offence::Overflow, 1, NOW);
        }
        assert!(ladder.entries.len() <= ENTRIES_MAX);
        assert_eq!(ladder.score(&guilty, NOW), -30.0);
    }
}
