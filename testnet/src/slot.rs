//! Each net claims a slot in 77..=99, so that nets coexist: its nodes listen on `127.<slot>.<i>.1`.

use std::fs::{File, OpenOptions, TryLockError};
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Result;

use crate::error::CommandError;

/// The slots there are.
pub const SLOTS: RangeInclusive<u8> = 77..=99;

/// A slot, held as long as this value lives.
#[derive(Debug)]
pub struct Slot {
    number: u8,
    _lock: File,
}

impl Slot {
    /// Takes the first free slot, the preferred one if it is free.
    ///
    /// # Errors
    /// If all are taken by running nets.
    pub fn claim(preferred: Option<u8>) -> Result<Self> {
        let candidates = preferred.into_iter().chain(SLOTS);
        for number in candidates.filter(|number| SLOTS.contains(number)) {
            if let Some(lock) = try_lock(number)? {
                return Ok(Self {
                    number,
                    _lock: lock,
                });
            }
        }
        let detail = format!("all {} slots are taken by running nets", SLOTS.count());
        Err(CommandError::unavailable(detail, "`palisade testnet down` ends one").into())
    }

    /// Its number, the second byte of every address of the net.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }
}

/// `None` if another net holds it, or if another user made the file.
fn try_lock(number: u8) -> Result<Option<File>> {
    let path = std::env::temp_dir().join(format!("palisade-slot-{number}.lock"));
    let file = match OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(refused("open", &path, &error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(refused("lock", &path, &error)),
    }
}

fn refused(verb: &str, path: &Path, error: &std::io::Error) -> anyhow::Error {
    let detail = format!("cannot {verb} {}: {error}", path.display());
    let hint = "nets claim their addresses there: make room, or set TMPDIR to another folder";
    CommandError::unavailable(detail, hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nets_never_share_a_slot() {
        let one = Slot::claim(None).unwrap();
        let other = Slot::claim(Some(one.number())).unwrap();
        assert_ne!(one.number(), other.number());
    }
}
