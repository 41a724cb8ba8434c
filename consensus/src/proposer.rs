//! Who proposes: stake-weighted draws without replacement.
//!
//! ```text
//! seed  = TH("palisade/proposer/v1", chain ‖ height)
//! draw  = first 16 bytes of TH("palisade/draw/v1", seed ‖ round ‖ counter), modulo the power left
//! ```
//! Round r takes the r-th draw, so with k faulty validators an honest one proposes within k+1
//! rounds. When all were drawn, the same order begins again.

use protocol::digest::{ChainId, Digest, Tag, th};
use protocol::draw::uniform_below;
use protocol::units::{Height, Round};
use protocol::validators::{ValidatorEntry, ValidatorSet};

/// The proposer of a round; `None` only of an empty set.
#[must_use]
pub fn proposer<'a>(
    chain: &ChainId,
    set: &'a ValidatorSet,
    height: Height,
    round: Round,
) -> Option<&'a ValidatorEntry> {
    let count = u32::try_from(set.len()).ok()?;
    let last = round.0.checked_rem(count)?;
    let seed = th(Tag::Proposer, &[chain.as_ref(), &height.0.to_be_bytes()]);
    let mut left: Vec<&ValidatorEntry> = set.members().iter().collect();
    for number in 0..last {
        let index = draw(&seed, number, &left);
        left.remove(index.min(left.len().saturating_sub(1)));
    }
    let index = draw(&seed, last, &left);
    left.get(index).copied()
}

/// Where the number-th draw lands. The first member if nobody has power.
fn draw(seed: &Digest, number: u32, left: &[&ValidatorEntry]) -> usize {
    let power = left
        .iter()
        .fold(0_u128, |sum, m| sum.saturating_add(u128::from(m.power)));
    let mut point = uniform_below(seed, number, power).unwrap_or(0);
    left.iter()
        .position(|member| match point.checked_sub(u128::from(member.power)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use protocol::digest::{ValidatorId, sha256};
    use protocol::keys::SecretKey;

    use super::*;

    fn set(powers: &[u64]) -> ValidatorSet {
        let entry = |(seed, power): (usize, &u64)| {
            let seed = u8::try_from(seed + 1).unwrap();
            ValidatorEntry {
                id: ValidatorId(sha256(&[seed])),
                consensus_key: SecretKey::from_bytes(&[seed; 32]).unwrap().public(),
                power: *power,
            }
        };
        ValidatorSet::new(powers.iter().enumerate().map(entry).collect())
    }

    fn chain() -> ChainId {
        ChainId::of_genesis(b"palisade-local")
    }

    #[test]
    fn each_member_proposes_once_before_any_twice() {
        let set = set(&[1, 5, 9, 100, 3]);
        for height in 1..50 {
            let order: Vec<_> = (0..10)
                .map(|r| {
                    proposer(&chain(), &set, Height(height), Round(r))
                        .unwrap()
                        .id
                })
                .collect();
            assert_eq!(order[..5].iter().collect::<BTreeSet<_>>().len(), 5);
            assert_eq!(order[..5], order[5..]);
        }
    }

    #[test]
    fn first_proposers_follow_stake() {
        let set = set(&[100, 200, 300, 400]);
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for height in 0..2_000 {
            *counts
                .entry(
                    proposer(&chain(), &set, Height(height), Round(0))
                        .unwrap()
                        .power,
                )
                .or_default() += 1;
        }
        for (power, count) in counts {
            assert!(
                count.abs_diff(power * 2) < 100,
                "power {power} proposed {count} of 2000"
            );
        }
    }

    #[test]
    fn empty_set_has_no_proposer() {
        assert!(proposer(&chain(), &ValidatorSet::default(), Height(1), Round(0)).is_none());
    }
}
