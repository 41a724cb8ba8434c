//! Inputs as sealed memory files.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use crate::sys;

/// Copies `bytes` into an anonymous memory file and seals it (no write, grow, shrink, unseal).
///
/// The descriptor can be given to any number of jobs at once: each gets its own read-only open
/// file starting at offset 0.
///
/// # Errors
/// Whatever the kernel says when memory files or memory are not to be had.
pub fn sealed_memfd(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = sys::memfd(name).map_err(io::Error::from_raw_os_error)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    sys::seal_memfd(&file).map_err(io::Error::from_raw_os_error)?;
    Ok(file.into())
}
