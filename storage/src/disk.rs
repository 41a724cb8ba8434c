//! How full the disk is, and with what.

use std::fs;
use std::io;
use std::path::Path;

use protocol::units::ByteLen;

/// Below this much free space the node should decline jobs (storage.md, Blobs).
pub const FREE_TO_TAKE_JOBS: ByteLen = ByteLen(2 << 30);

/// Room on the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes this process may still use.
    pub free: ByteLen,
    /// Bytes in all.
    pub size: ByteLen,
}

/// Asks the file system that holds `path`.
///
/// # Errors
/// When it cannot be asked.
pub fn space(path: &Path) -> io::Result<DiskSpace> {
    let found = nix::sys::statvfs::statvfs(path)?;
    let fragment = found.fragment_size();
    Ok(DiskSpace {
        free: ByteLen(found.blocks_available().saturating_mul(fragment)),
        size: ByteLen(found.blocks().saturating_mul(fragment)),
    })
}

/// Bytes of all files under a directory; nothing if there is no such directory. Files that vanish
/// meanwhile do not count.
///
/// # Errors
/// When a directory cannot be read.
pub fn bytes_under(dir: &Path) -> io::Result<ByteLen> {
    let mut total = ByteLen::ZERO;
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => dirs.push(entry.path()),
                Ok(metadata) => total = total.saturating_add(ByteLen(metadata.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_and_space_is_known() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(bytes_under(&dir.path().join("none")).unwrap(), ByteLen(0));
        fs::create_dir(dir.path().join("deeper")).unwrap();
        fs::write(dir.path().join("deeper/a"), [0; 10]).unwrap();
        fs::write(dir.path().join("b"), [0; 5]).unwrap();
        assert_eq!(bytes_under(dir.path()).unwrap(), ByteLen(15));
        let space = space(dir.path()).unwrap();
        assert!(space.free <= space.size && space.size > ByteLen(0));
    }
}
