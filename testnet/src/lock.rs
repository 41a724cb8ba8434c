//! Files that one process at a time holds; what the holder writes there is for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;

/// The file, locked as long as it is open; nothing if another process holds it.
pub(crate) fn take(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Writes who holds it, in place of what is there.
pub(crate) fn inscribe(file: &mut File, holder: &str) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{holder}")
}
