//! Ordered keys and values for state that can be rebuilt.
//!
//! [`Kv`] is all that the rest of the store knows of a database. [`sled::SledKv`] is the one in
//! production, wrapped in what makes it durable; [`mem::MemKv`] serves simulators.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use protocol::limits::STATE_VALUE_BYTES_MAX;

use crate::exit::ExitKind;

pub mod guard;
pub mod mem;
pub mod sled;

/// The longest key.
pub const KEY_BYTES_MAX: usize = 256;

/// Why the key-value store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The value belongs into several values, or into a blob.
    #[error("value of {found} bytes, limit {limit}")]
    ValueTooLong {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The key is empty or too long.
    #[error("key of {found} bytes, allowed are 1 to {limit}")]
    KeyLength {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The database reported an error.
    #[error("database: {0}")]
    Database(String),
    /// The database panicked while it was opened or scanned.
    #[error("database panicked: {0}")]
    Panicked(String),
    /// The file behind the database was replaced under it.
    #[error("database file was replaced: inode {found}, was {opened}")]
    Replaced {
        /// The inode opened.
        opened: u64,
        /// The inode found.
        found: u64,
    },
    /// Reading, syncing or renaming files failed.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The content is not what this release writes.
    #[error("state content: {0}")]
    Content(&'static str),
}

impl StoreError {
    /// Whether there was no room. The database is whole then, and stays where it is.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if [StorageFull, QuotaExceeded].contains(&source.kind()))
    }

    /// How this ends the process; `None` if only the request is at fault. A rebuild needs room of its
    /// own, so a start after a full disk would end like the run before it, over and over.
    #[must_use]
    pub fn exit(&self) -> Option<ExitKind> {
        match self {
            Self::ValueTooLong { .. } | Self::KeyLength { .. } => None,
            _ if self.is_full() => Some(ExitKind::Durability),
            _ => Some(ExitKind::Rebuild),
        }
    }
}

/// Changes that become durable together or not at all. A later change of a key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value.
    ///
    /// # Errors
    /// When key or value has a length that is not allowed.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        check_key(&key)?;
        let (found, limit) = (value.len(), STATE_VALUE_BYTES_MAX);
        if found > limit {
            return Err(StoreError::ValueTooLong { found, limit });
        }
        self.changes.insert(key, Some(value));
        Ok(())
    }

    /// Removes a value.
    ///
    /// # Errors
    /// When the key has a length that is not allowed.
    pub fn delete(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        check_key(&key)?;
        self.changes.insert(key, None);
        Ok(())
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes in key order; `None` removes.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
    }
}

const fn check_key(key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(StoreError::KeyLength {
            found: key.len(),
            limit: KEY_BYTES_MAX,
        });
    }
    Ok(())
}

/// Whether a scan goes on.
pub type Flow = ControlFlow<()>;

/// An ordered, durable map of bytes.
pub trait Kv: Send {
    /// The value of a key.
    ///
    /// # Errors
    /// When the backend fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits every pair whose key starts with `prefix`, in key order, until told to stop.
    ///
    /// # Errors
    /// When the backend fails.
    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Flow,
    ) -> Result<(), StoreError>;

    /// Returns only when durable; after a crash all of the batch is there or none.
    ///
    /// # Errors
    /// When the backend fails; nothing more may be asked of it.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_disk_is_not_put_right_by_a_rebuild() {
        let of = |kind: io::ErrorKind| StoreError::Io {
            action: "use",
            path: "db".into(),
            source: kind.into(),
        };
        for full in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert_eq!(of(full).exit(), Some(ExitKind::Durability), "{full}");
        }
        assert_eq!(of(io::ErrorKind::Other).exit(), Some(ExitKind::Rebuild));
        let ruined = StoreError::Panicked("corrupt".into());
        assert_eq!(ruined.exit(), Some(ExitKind::Rebuild));
    }
}
