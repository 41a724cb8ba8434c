//! The validator set of each height: a pure function of the state two blocks before.
//!
//! The state keeps one small leaf per change of one power, not one per set: whoever changes its own
//! stake pays for about as many bytes as the chain then keeps. The sets of the next heights are an
//! index over those leaves.

use std::collections::{BTreeMap, BTreeSet};

use protocol::digest::ValidatorId;
use protocol::events::Event;
use protocol::keys::PublicKey;
use protocol::limits::SET_DELAY_BLOCKS;
use protocol::units::{Amount, Height};
use protocol::validators::{ValidatorEntry, ValidatorSet};

use super::Power;
use crate::state::State;
use crate::work::Work;

impl State {
    /// Active validators with the most stake, ties to the lower id, as many as a set may have; in the
    /// order of their ids. Votes, seats and weights all come from this list.
    #[must_use]
    pub fn standing(&self, height: Height) -> Vec<(ValidatorId, Amount)> {
        let params = self.params();
        let mut active: Vec<(ValidatorId, Amount)> = self
            .validators
            .iter()
            .filter(|(_, row)| row.is_active(height, params.self_bond_min))
            .map(|(id, row)| (*id, row.bonded))
            .collect();
        active.sort_by(|(a, stake_a), (b, stake_b)| stake_b.cmp(stake_a).then(a.cmp(b)));
        active.truncate(usize::try_from(params.validators_max).unwrap_or(usize::MAX));
        active.sort_by_key(|(id, _)| *id);
        active
    }

    /// The set in force at the last height, the next, or the one after it.
    #[must_use]
    pub fn validator_set(&self, height: Height) -> Option<&ValidatorSet> {
        if height < self.height() || height > self.height().plus(SET_DELAY_BLOCKS) {
            return None;
        }
        self.kept_set(height)
    }

    /// The set in force at any height of the evidence window, or soon.
    #[must_use]
    pub fn set_at(&self, height: Height) -> Option<ValidatorSet> {
        if let Some(set) = self.validator_set(height) {
            return Some(set.clone());
        }
        self.set_from_powers(height)
    }

    /// As [`Self::set_at`], from the leaves alone.
    pub(crate) fn set_from_powers(&self, height: Height) -> Option<ValidatorSet> {
        if !self.knows_set(height) {
            return None;
        }
        let ids = self.validators.iter().map(|(id, _)| *id);
        let members = ids.filter_map(|id| self.entry_at(id, height)).collect();
        Some(ValidatorSet::new(members)).filter(|set| !set.is_empty())
    }

    /// The member that voted with this key at a height of the evidence window, or will soon.
    #[must_use]
    pub fn member_at(&self, height: Height, key: &PublicKey) -> Option<ValidatorEntry> {
        if !self.knows_set(height) {
            return None;
        }
        let entry = self.entry_at(self.key_holder(key)?, height)?;
        (entry.consensus_key == *key).then_some(entry)
    }

    /// Every set of the evidence window by the height it began at, the oldest known first.
    #[must_use]
    pub fn set_history(&self) -> Vec<(Height, ValidatorSet)> {
        let oldest = self.blocks.first().map_or(Height::ZERO, |(from, _)| *from);
        let begins: BTreeSet<Height> = self
            .powers
            .iter()
            .map(|((_, from), _)| (*from).max(oldest))
            .collect();
        begins
            .into_iter()
            .filter_map(|from| Some((from, self.set_at(from)?)))
            .collect()
    }

    fn knows_set(&self, height: Height) -> bool {
        let oldest = self.blocks.first().map_or(Height::ZERO, |(from, _)| *from);
        height >= oldest && height <= self.height().plus(SET_DELAY_BLOCKS)
    }

    fn entry_at(&self, id: ValidatorId, height: Height) -> Option<ValidatorEntry> {
        let ((of, _), row) = self.powers.last_until(&(id, height))?;
        if *of != id || row.power == Amount::ZERO {
            return None;
        }
        let consensus_key = self.validators.get(&id)?.consensus_pk;
        let power = row.power.0;
        Some(ValidatorEntry {
            id,
            consensus_key,
            power,
        })
    }

    fn set_from_standing(&self, height: Height) -> ValidatorSet {
        let members = self
            .standing(height)
            .into_iter()
            .filter_map(|(id, stake)| {
                let consensus_key = self.validators.get(&id)?.consensus_pk;
                Some(ValidatorEntry {
                    id,
                    consensus_key,
                    power: stake.0,
                })
            })
            .collect();
        ValidatorSet::new(members)
    }

    /// Sets the set of a height directly; genesis only.
    pub(crate) fn begin_sets(&mut self, from: Height) {
        let set = self.set_from_standing(from);
        self.begin_set(from, set);
    }

    /// Keeps a set that is in force from a height on: the powers that differ from the last one's.
    fn begin_set(&mut self, from: Height, set: ValidatorSet) {
        let mut changed: BTreeMap<ValidatorId, u64> = BTreeMap::new();
        if let Some(last) = self.last_set() {
            changed.extend(last.members().iter().map(|member| (member.id, 0)));
        }
        for member in set.members() {
            let before = self.last_set().and_then(|last| last.get(&member.id));
            if before.is_some_and(|before| before.power == member.power) {
                changed.remove(&member.id);
            } else {
                changed.insert(member.id, member.power);
            }
        }
        for (id, power) in changed {
            let power = Amount(power);
            self.add_power((id, from), Power { version: 1, power });
        }
        self.keep_set(from, set);
    }
}

/// End of block h: fixes the set of h + 2. If nobody is active any more the last set goes on, for a
/// chain without voters could never change its mind.
pub(crate) fn schedule_set(work: &mut Work) -> Option<ValidatorSet> {
    let height = work.block.height;
    let from = height.plus(SET_DELAY_BLOCKS);
    let set = work.state.set_from_standing(height);
    work.state.forget_sets(height);
    if set.is_empty() || work.state.last_set() == Some(&set) {
        return None;
    }
    work.emit(Event::SetChanged {
        from,
        set: set.digest(),
        members: u32::try_from(set.len()).unwrap_or(u32::MAX),
    });
    work.state.begin_set(from, set.clone());
    Some(set)
}
