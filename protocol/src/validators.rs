//! Who may vote at one height, and with what weight.

use bincode::{Decode, Encode};

use crate::codec::{Canonical, encode};
use crate::digest::{Digest, Tag, ValidatorId, th};
use crate::keys::PublicKey;
use crate::limits::VALIDATORS_MAX;

/// One member of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ValidatorEntry {
    /// Which validator.
    pub id: ValidatorId,
    /// The key that signs its votes and proposals at this height.
    pub consensus_key: PublicKey,
    /// Voting power: bonded stake in upal.
    pub power: u64,
}

/// The voters of one height, sorted by validator id, without doubles.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct ValidatorSet(Vec<ValidatorEntry>);

impl Canonical for ValidatorSet {
    const BYTES_MAX: usize = 8 + VALIDATORS_MAX * (32 + 33 + 8);
}

impl ValidatorSet {
    /// Makes a set of these members: sorted, the first of equal ids kept.
    #[must_use]
    pub fn new(mut members: Vec<ValidatorEntry>) -> Self {
        members.sort_by_key(|member| member.id);
        members.dedup_by_key(|member| member.id);
        Self(members)
    }

    /// The members, by validator id.
    #[must_use]
    pub fn members(&self) -> &[ValidatorEntry] {
        &self.0
    }

    /// How many members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody may vote.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum of powers. Bounded by supply, so it saturates only on forged sets.
    #[must_use]
    pub fn total_power(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |total, member| total.saturating_add(member.power))
    }

    /// The member with this id.
    #[must_use]
    pub fn get(&self, id: &ValidatorId) -> Option<&ValidatorEntry> {
        let index = self.0.binary_search_by_key(id, |member| member.id).ok()?;
        self.0.get(index)
    }

    /// The member that votes with this key.
    #[must_use]
    pub fn get_by_key(&self, key: &PublicKey) -> Option<&ValidatorEntry> {
        self.0.iter().find(|member| member.consensus_key == *key)
    }

    /// What a header commits to as `next_set`: `TH("palisade/set/v1", canonical members)`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        th(Tag::Set, &[&encode(self)])
    }

    /// Whether this power is more than two thirds of the total.
    #[must_use]
    pub fn is_quorum(&self, power: u64) -> bool {
        let thrice = u128::from(power).saturating_mul(3);
        thrice > u128::from(self.total_power()).saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::keys::SecretKey;

    fn entry(seed: u8, power: u64) -> ValidatorEntry {
        let key = SecretKey::from_bytes(&[seed; 32]).unwrap();
        ValidatorEntry {
            id: ValidatorId(sha256(&[seed])),
            consensus_key: key.public(),
            power,
        }
    }

    #[test]
    fn order_of_members_does_not_matter() {
        let one = ValidatorSet::new(vec![entry(1, 1), entry(2, 2)]);
        let other = ValidatorSet::new(vec![entry(2, 2), entry(1, 1), entry(1, 1)]);
        assert_eq!(one, other);
        assert_eq!(one.digest(), other.digest());
    }

    #[test]
    fn quorum_is_more_than_two_thirds() {
        let set = ValidatorSet::new(vec![entry(1, 1), entry(2, 1), entry(3, 1)]);
        assert!(!set.is_quorum(2));
        assert!(set.is_quorum(3));
    }
}
