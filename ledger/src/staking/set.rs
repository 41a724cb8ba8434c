//! The validator set of each height: a pure function of the state two blocks before.

use protocol::digest::ValidatorId;
use protocol::events::Event;
use protocol::limits::SET_DELAY_BLOCKS;
use protocol::units::{Amount, Height};
use protocol::validators::{ValidatorEntry, ValidatorSet};

use super::SetRecord;
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

    /// The set in force at a height: known for the past within the evidence window, for the next
    /// height and for the one after it.
    #[must_use]
    pub fn validator_set(&self, height: Height) -> Option<&ValidatorSet> {
        if height > self.height().plus(SET_DELAY_BLOCKS) {
            return None;
        }
        self.sets.last_until(&height).map(|(_, record)| &record.set)
    }

    /// Drops sets that end before this height.
    pub(crate) fn prune_sets(&mut self, floor: Height) {
        let ended: Vec<Height> = {
            let begins: Vec<Height> = self.sets.iter().map(|(from, _)| *from).collect();
            let pairs = begins.iter().zip(begins.iter().skip(1));
            pairs
                .take_while(|(_, next)| **next <= floor)
                .map(|(from, _)| *from)
                .collect()
        };
        for from in ended {
            self.sets.remove(&from);
        }
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
        self.sets.put(from, SetRecord { version: 1, set });
    }
}

/// End of block h: fixes the set of h + 2. If nobody is active any more the last set goes on, for a
/// chain without voters could never change its mind.
pub(crate) fn schedule_set(work: &mut Work) -> Option<ValidatorSet> {
    let height = work.block.height;
    let from = height.plus(SET_DELAY_BLOCKS);
    let set = work.state.set_from_standing(height);
    let same = work
        .state
        .sets
        .last()
        .is_some_and(|(_, record)| record.set == set);
    if set.is_empty() || same {
        return None;
    }
    work.emit(Event::SetChanged {
        from,
        set: set.digest(),
        members: u32::try_from(set.len()).unwrap_or(u32::MAX),
    });
    work.state.sets.put(
        from,
        SetRecord {
            version: 1,
            set: set.clone(),
        },
    );
    Some(set)
}
