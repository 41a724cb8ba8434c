//! Which set rules which height.
//!
//! The state after block h fixes the set of h+2. While working on h the sets of h and h+1 are known,
//! so early messages can be verified, and those of the last heights are kept for evidence.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::units::Height;
use protocol::validators::ValidatorSet;

use crate::context::CoreSet;
use crate::limits::POOL_HEIGHTS;

/// The sets as everybody else knows them, shared with each window.
pub(crate) type Sets = Arc<BTreeMap<Height, Arc<ValidatorSet>>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    sets: BTreeMap<Height, CoreSet>,
    ours: Sets,
}

impl Schedule {
    /// `None` if a set cannot agree on anything.
    pub(crate) fn insert(&mut self, height: Height, set: ValidatorSet) -> Option<()> {
        let same = self
            .sets
            .values()
            .next_back()
            .filter(|last| **last.ours() == set)
            .cloned();
        let set = match same {
            Some(same) => same,
            None => CoreSet::new(set)?,
        };
        Arc::make_mut(&mut self.ours).insert(height, Arc::clone(set.ours()));
        self.sets.insert(height, set);
        Some(())
    }

    pub(crate) fn get(&self, height: Height) -> Option<&CoreSet> {
        self.sets.get(&height)
    }

    pub(crate) fn prune(&mut self, current: Height) {
        let first = current.minus(POOL_HEIGHTS);
        self.sets = self.sets.split_off(&first);
        let ours = Arc::make_mut(&mut self.ours);
        *ours = ours.split_off(&first);
    }

    pub(crate) fn ours(&self) -> Sets {
        Arc::clone(&self.ours)
    }
}
