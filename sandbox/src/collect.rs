//! Taking scratch files out of a job that is dead.
//!
//! The pid namespace is gone, so nobody races. The names were given by the caller, but what lies
//! under them was made by the job: a link of either kind, a FIFO, a huge sparse file.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use crate::report::Collected;
use crate::spec::Scratch;
use crate::sys;

/// Reads the files named in `scratch`, within its byte limit over all of them.
pub(crate) fn collect(directory: Option<&OwnedFd>, scratch: &Scratch) -> Vec<Collected> {
    let mut left = scratch.collect_bytes;
    scratch
        .collect
        .iter()
        .map(|name| {
            let content = match directory {
                Some(directory) => read_one(directory, name, left),
                None => Err(libc::ENOENT),
            };
            if let Ok(bytes) = &content {
                left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            }
            Collected {
                name: name.clone(),
                content,
            }
        })
        .collect()
}

fn read_one(directory: &OwnedFd, name: &str, most: u64) -> Result<Vec<u8>, i32> {
    let file = File::from(sys::open_beneath(directory.as_fd(), name)?);
    let kind = file
        .metadata()
        .map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))?;
    if !kind.is_file() {
        return Err(libc::EINVAL);
    }
    if kind.nlink() > 1 {
        return Err(libc::EMLINK);
    }
    if kind.len() > most {
        return Err(libc::EFBIG);
    }
    let mut bytes = Vec::new();
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn take(directory: &std::path::Path, name: &str) -> Result<Vec<u8>, i32> {
        let scratch = Scratch {
            bytes: 1 << 20,
            inodes: 16,
            collect: vec![name.to_owned()],
            collect_bytes: 8,
        };
        let fd: OwnedFd = File::open(directory).unwrap().into();
        collect(Some(&fd), &scratch).remove(0).content
    }

    #[test]
    fn only_small_regular_files_beneath_come_out() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("scratch");
        fs::create_dir(&inner).unwrap();
        fs::write(outer.path().join("secret"), "secret").unwrap();
        fs::write(inner.join("good"), "12345678").unwrap();
        fs::write(inner.join("long"), "123456789").unwrap();
        symlink("../secret", inner.join("link")).unwrap();
        nix::unistd::mkfifo(&inner.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(take(&inner, "good"), Ok(b"12345678".to_vec()));
        fs::hard_link(inner.join("good"), inner.join("second")).unwrap();
        assert_eq!(take(&inner, "second"), Err(libc::EMLINK));
        assert_eq!(take(&inner, "long"), Err(libc::EFBIG));
        assert_eq!(take(&inner, "link"), Err(libc::ELOOP));
        assert_eq!(take(&inner, "fifo"), Err(libc::EINVAL));
        assert_eq!(take(&inner, "../secret"), Err(libc::EXDEV));
        assert_eq!(take(&inner, "/etc/passwd"), Err(libc::EXDEV));
        assert_eq!(take(&inner, "missing"), Err(libc::ENOENT));
    }
}
