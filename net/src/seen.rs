//! Users' transactions that were verified a short while ago.
//!
//! Gossip knows a message again, but not a transaction in another bundle. Without this table anybody
//! could have one good transaction checked, forwarded and charged to its signer any number of times.

use std::collections::HashSet;
use std::time::Duration;

use protocol::digest::Digest;

/// A value is known for one of these at least and two at most; gossip knows a message for two.
const AGE: Duration = Duration::from_secs(60);
/// Entries of one generation; more make it older early.
const GENERATION_MAX: usize = 65_536;

/// Half of a digest is enough: who finds two that share it hides its own transaction, no other's.
type Key = [u8; 16];

fn key(value: &Digest) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&value.as_bytes()[..16]);
    key
}

/// Two generations: what is in neither was seen longer ago than one lasts, or never.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    young: HashSet<Key>,
    old: HashSet<Key>,
    since: Duration,
}

impl Seen {
    pub(crate) fn contains(&self, value: &Digest) -> bool {
        let key = key(value);
        self.young.contains(&key) || self.old.contains(&key)
    }

    /// Enters a verified value. Only such: a forger must not be able to hide somebody else's.
    pub(crate) fn enter(&mut self, value: &Digest, now: Duration) {
        self.age(now);
        self.young.insert(key(value));
    }

    /// Forgets what is too old.
    pub(crate) fn age(&mut self, now: Duration) {
        if self.young.len() >= GENERATION_MAX || now.saturating_sub(self.since) >= AGE {
            self.since = now;
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::sha256;

    use super::*;

    #[test]
    fn known_for_a_minute_and_forgotten_after_two() {
        let mut seen = Seen::default();
        let value = sha256(b"tx");
        assert!(!seen.contains(&value));
        seen.enter(&value, Duration::from_secs(59));
        seen.age(Duration::from_secs(60));
        assert!(seen.contains(&value));
        seen.age(Duration::from_secs(119));
        assert!(seen.contains(&value));
        seen.age(Duration::from_secs(120));
        assert!(!seen.contains(&value));
    }

    #[test]
    fn bounded() {
        let mut seen = Seen::default();
        for number in 0..3 * GENERATION_MAX as u64 {
            seen.enter(&sha256(&number.to_be_bytes()), Duration::ZERO);
        }
        assert!(seen.young.len() + seen.old.len() <= 2 * GENERATION_MAX);
        let last = sha256(&(3 * GENERATION_MAX as u64 - 1).to_be_bytes());
        assert!(seen.contains(&last));
    }
}
