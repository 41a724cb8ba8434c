//! Typed tables over persistent maps: the state's only containers.
//!
//! A table knows which of its rows changed since the last block, so that a block's leaf changes are
//! collected, not searched for. Cloning a table is free; rows are shared.

use protocol::codec::{Canonical, decode_canonical, encode};
use protocol::limits::STATE_VALUE_BYTES_MAX;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::money::Breach;

/// Part of a leaf's key: fixed width, so that byte order is key order.
pub trait Key: Ord + Clone {
    /// Appends the key's bytes.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads exactly these bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// A row: a value with one canonical encoding, and its place in the state.
pub trait Record: Canonical + Clone + PartialEq {
    /// What it is found by.
    type Key: Key;
    /// The module that owns it.
    const MODULE: u8;
    /// Which of the module's kinds it is.
    const KIND: u8;
}

/// The bytes under which a row is a leaf: module, kind, key.
#[must_use]
pub fn leaf_key<R: Record>(key: &R::Key) -> Vec<u8> {
    let mut bytes = vec![R::MODULE, R::KIND];
    key.write(&mut bytes);
    bytes
}

/// One changed leaf of the state, ready for storage: `None` removes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeafChange {
    /// Module, kind, key.
    pub key: Vec<u8>,
    /// Canonical bytes of the row.
    pub value: Option<Vec<u8>>,
}

fn bounded<R: Record>(row: &R) -> Result<Vec<u8>, Breach> {
    const { assert!(R::BYTES_MAX <= STATE_VALUE_BYTES_MAX) };
    let bytes = encode(row);
    if bytes.is_empty() || bytes.len() > R::BYTES_MAX {
        let (len, most) = (bytes.len(), R::BYTES_MAX);
        let (module, kind) = (R::MODULE, R::KIND);
        return Err(Breach(format!(
            "a leaf of table {module}.{kind} has {len} bytes, 1 to {most} allowed"
        )));
    }
    Ok(bytes)
}

/// All rows of one kind.
#[derive(Clone, Debug)]
pub struct Table<R: Record> {
    rows: RedBlackTreeMapSync<R::Key, R>,
    changed: RedBlackTreeSetSync<R::Key>,
}

impl<R: Record> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: RedBlackTreeMapSync::new_sync(),
            changed: RedBlackTreeSetSync::new_sync(),
        }
    }
}

impl<R: Record> Table<R> {
    /// The row with this key.
    #[must_use]
    pub fn get(&self, key: &R::Key) -> Option<&R> {
        self.rows.get(key)
    }

    /// Whether there is such a row.
    #[must_use]
    pub fn contains(&self, key: &R::Key) -> bool {
        self.rows.contains_key(key)
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.size()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&R::Key, &R)> {
        self.rows.iter()
    }

    /// The rows from this key on, by key.
    pub fn starting_at(&self, start: R::Key) -> impl Iterator<Item = (&R::Key, &R)> + use<'_, R> {
        self.rows.range(start..)
    }

    /// The last row whose key is not above this one.
    #[must_use]
    pub fn last_until(&self, end: &R::Key) -> Option<(&R::Key, &R)> {
        self.rows.range(..=end.clone()).next_back()
    }

    /// The row with the smallest key.
    #[must_use]
    pub fn first(&self) -> Option<(&R::Key, &R)> {
        self.rows.first()
    }

    /// The row with the largest key.
    #[must_use]
    pub fn last(&self) -> Option<(&R::Key, &R)> {
        self.rows.last()
    }

    pub(crate) fn put(&mut self, key: R::Key, row: R) {
        self.changed.insert_mut(key.clone());
        self.rows.insert_mut(key, row);
    }

    pub(crate) fn remove(&mut self, key: &R::Key) {
        if self.rows.remove_mut(key) {
            self.changed.insert_mut(key.clone());
        }
    }

    /// Hands over the changed leaves and forgets that they changed.
    ///
    /// # Errors
    /// [`Breach`] if a row is longer than its type says: nobody could read it back.
    pub(crate) fn drain_changes(&mut self, out: &mut Vec<LeafChange>) -> Result<(), Breach> {
        for key in &self.changed {
            let value = self.rows.get(key).map(bounded).transpose()?;
            out.push(LeafChange {
                key: leaf_key::<R>(key),
                value,
            });
        }
        self.changed = RedBlackTreeSetSync::new_sync();
        Ok(())
    }

    /// All rows as leaves.
    pub(crate) fn leaves(&self, out: &mut Vec<(Vec<u8>, Vec<u8>)>) {
        out.extend(
            self.rows
                .iter()
                .map(|(key, row)| (leaf_key::<R>(key), encode(row))),
        );
    }

    /// Takes a leaf if it belongs here; `Some(false)` if it does but is malformed.
    pub(crate) fn load(&mut self, key: &[u8], value: &[u8]) -> Option<bool> {
        let rest = key.strip_prefix(&[R::MODULE, R::KIND])?;
        let row = R::Key::read(rest).zip(decode_canonical::<R>(value).ok());
        Some(match row {
            Some((key, row)) => {
                self.rows.insert_mut(key, row);
                true
            }
            None => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, bincode::Encode, bincode::Decode)]
    struct Row(Vec<u8>);

    impl Canonical for Row {
        const BYTES_MAX: usize = 16;
    }

    impl Record for Row {
        type Key = protocol::units::Height;
        const MODULE: u8 = 200;
        const KIND: u8 = 0;
    }

    /// A row that decoding would refuse must not become a leaf: the state could not be loaded again.
    #[test]
    fn rows_longer_than_their_type_are_a_breach() {
        let mut table = Table::<Row>::default();
        table.put(protocol::units::Height(1), Row(vec![7; 8]));
        let mut changes = Vec::new();
        assert_eq!(table.drain_changes(&mut changes), Ok(()));
        assert_eq!(changes.len(), 1);
        table.put(protocol::units::Height(2), Row(vec![7; 9]));
        let Breach(text) = table.drain_changes(&mut changes).unwrap_err();
        assert_eq!(text, "a leaf of table 200.0 has 17 bytes, 1 to 16 allowed");
    }
}
