//! The map in memory: for simulators, where a crash is simulated too.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Batch, Flow, Kv, StoreError};

/// A [`Kv`] that forgets everything when dropped.
#[derive(Clone, Debug, Default)]
pub struct MemKv {
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemKv {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Kv for MemKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.pairs.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Flow,
    ) -> Result<(), StoreError> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        for (key, value) in self.pairs.range::<[u8], _>(from) {
            if !key.starts_with(prefix) || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for (key, value) in batch.changes() {
            match value {
                Some(value) => self.pairs.insert(key.to_vec(), value.to_vec()),
                None => self.pairs.remove(key),
            };
        }
        Ok(())
    }
}
