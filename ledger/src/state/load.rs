//! Leaves out and in: how storage keeps a state and gives it back.

use protocol::genesis::Genesis;
use protocol::limits::STATE_VALUE_BYTES_MAX;
use thiserror::Error;

use super::State;

/// Why leaves are not a state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No table has such keys.
    #[error("leaf {0:02x?} belongs to no table")]
    UnknownLeaf(Vec<u8>),
    /// A key or value that its table cannot read.
    #[error("leaf {0:02x?} is malformed")]
    Malformed(Vec<u8>),
    /// A value no leaf may have.
    #[error("value of {len} bytes, at most {STATE_VALUE_BYTES_MAX} allowed")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// Without its head or pools it is no state.
    #[error("the chain's head is missing")]
    NoHead,
}

impl State {
    /// All leaves, by key.
    #[must_use]
    pub fn leaves(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut out = Vec::new();
        self.chain.leaves(&mut out);
        self.blocks.leaves(&mut out);
        self.accounts.leaves(&mut out);
        self.validators.leaves(&mut out);
        self.unbonding.leaves(&mut out);
        self.powers.leaves(&mut out);
        self.pools.leaves(&mut out);
        self.jobs.leaves(&mut out);
        self.requests.leaves(&mut out);
        self.snapshots.leaves(&mut out);
        self.cohorts.leaves(&mut out);
        self.traces.leaves(&mut out);
        self.seats.leaves(&mut out);
        self.evidence.leaves(&mut out);
        out
    }

    /// Rebuilds a state from its leaves, in any order. Compare [`State::root`] with what was
    /// certified: leaves carry no proof of their own.
    ///
    /// # Errors
    /// [`LoadError`] if they are not the leaves of a state.
    pub fn from_leaves<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        genesis: &Genesis,
        leaves: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, LoadError> {
        let mut state = Self::empty(genesis);
        let mut hashes: Vec<(K, V)> = Vec::new();
        for (key, value) in leaves {
            let len = value.as_ref().len();
            if len > STATE_VALUE_BYTES_MAX {
                return Err(LoadError::TooLong { len });
            }
            match state.load_leaf(key.as_ref(), value.as_ref()) {
                Some(true) => hashes.push((key, value)),
                Some(false) => return Err(LoadError::Malformed(key.as_ref().to_vec())),
                None => return Err(LoadError::UnknownLeaf(key.as_ref().to_vec())),
            }
        }
        if state.chain.is_empty() || state.pools.is_empty() {
            return Err(LoadError::NoHead);
        }
        state.rebuild_index();
        let updates = hashes
            .iter()
            .map(|(key, value)| (key.as_ref(), Some(value.as_ref())));
        state.tree = state.tree.update(updates);
        Ok(state)
    }

    fn load_leaf(&mut self, key: &[u8], value: &[u8]) -> Option<bool> {
        self.chain
            .load(key, value)
            .or_else(|| self.blocks.load(key, value))
            .or_else(|| self.accounts.load(key, value))
            .or_else(|| self.validators.load(key, value))
            .or_else(|| self.unbonding.load(key, value))
            .or_else(|| self.powers.load(key, value))
            .or_else(|| self.pools.load(key, value))
            .or_else(|| self.jobs.load(key, value))
            .or_else(|| self.requests.load(key, value))
            .or_else(|| self.snapshots.load(key, value))
            .or_else(|| self.cohorts.load(key, value))
            .or_else(|| self.traces.load(key, value))
            .or_else(|| self.seats.load(key, value))
            .or_else(|| self.evidence.load(key, value))
    }
}
