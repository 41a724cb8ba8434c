//! The thin seam between record files and the operating system.
//!
//! Everything whose loss costs a promise (record files, sign-state slots) goes through it, so a
//! test can hand in a layer that writes short, fails the n-th sync, or runs out of space.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// One open file, written at explicit offsets.
pub trait LayerFile: fmt::Debug + Send {
    /// Writes some prefix of `bytes` at `offset` and says how long it was.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// Whatever the medium reports; the caller must never retry.
    fn sync_data(&self) -> io::Result<()>;

    /// Writes all of `bytes`, continuing after short writes.
    ///
    /// # Errors
    /// Whatever the medium reports, or `WriteZero` if it takes nothing.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            match self.write_at(rest, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    rest = rest.get(taken..).unwrap_or_default();
                    at += taken as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The operations on names that record files need.
pub trait FileLayer: fmt::Debug + Send + Sync {
    /// Creates a file that must not exist yet.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn create(&self, path: &Path) -> io::Result<Box<dyn LayerFile>>;

    /// Opens an existing file for writing.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn open(&self, path: &Path) -> io::Result<Box<dyn LayerFile>>;

    /// Reads a whole file.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Lists the plain names in a directory, sorted.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Renames within one directory.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory survive a power cut.
    ///
    /// # Errors
    /// Whatever the medium reports.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The real file system. Files are readable by their owner only.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsLayer;

impl LayerFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }
}

impl FileLayer for OsLayer {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LayerFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LayerFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}
