//! sled, with what it lacks to be durable on Linux.
//!
//! Its `flush` hands pages to the disk but neither the file's metadata nor the disk's own cache;
//! so after each `flush` the same file is synced through a second descriptor. One tree only: a
//! batch is atomic within one tree, and each further tree costs memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::guard::guarded;
use super::{Batch, Flow, Kv, StoreError};

/// sled's cache. Its default is 1 GiB and counts bytes on disk. Nothing that a block needs is read
/// back from here: the state is in memory, and sled holds what a start finds.
const CACHE_BYTES: u64 = 16 << 20;
/// How often, and how far apart, to look whether sled has let go of its file.
const CLOSING_LOOKS_MAX: u32 = 1_000;
const CLOSING_LOOK: Duration = Duration::from_millis(2);
/// sled's file within its directory.
const FILE: &str = "db";

/// The guarded sled.
#[derive(Debug)]
pub struct SledKv {
    /// `None` only while closing.
    db: Option<::sled::Db>,
    second: File,
    inode: u64,
    path: PathBuf,
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// What the system said stays what it is: a full disk is no damaged database.
fn database(path: &Path) -> impl FnOnce(::sled::Error) -> StoreError + '_ {
    move |error| match error {
        ::sled::Error::Io(source) => io_error("use", path)(source),
        other => StoreError::Database(format!("{}: {other}", path.display())),
    }
}

impl SledKv {
    /// Opens or makes the database in `dir`. A panic within sled becomes an error.
    ///
    /// # Errors
    /// When sled cannot open what is there; the directory is then of no use.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let config = ::sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .mode(::sled::Mode::LowSpace);
        let db = guarded(|| config.open())?.map_err(database(dir))?;
        let path = dir.join(FILE);
        let second = File::open(&path).map_err(io_error("open", &path))?;
        let inode = second.metadata().map_err(io_error("inspect", &path))?.ino();
        let kv = Self {
            db: Some(db),
            second,
            inode,
            path,
        };
        kv.make_names_durable(dir)?;
        Ok(kv)
    }

    fn make_names_durable(&self, dir: &Path) -> Result<(), StoreError> {
        self.second
            .sync_all()
            .map_err(io_error("sync", &self.path))?;
        for dir in [Some(dir), dir.parent()].into_iter().flatten() {
            File::open(dir)
                .and_then(|dir| dir.sync_all())
                .map_err(io_error("sync", dir))?;
        }
        Ok(())
    }

    fn db(&self) -> Result<&::sled::Db, StoreError> {
        self.db
            .as_ref()
            .ok_or(StoreError::Content("database is closed"))
    }

    fn check_inode(&self) -> Result<(), StoreError> {
        let found = std::fs::metadata(&self.path)
            .map_err(io_error("inspect", &self.path))?
            .ino();
        if found != self.inode {
            return Err(StoreError::Replaced {
                opened: self.inode,
                found,
            });
        }
        Ok(())
    }
}

impl Kv for SledKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.db()?.get(key).map_err(database(&self.path))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Flow,
    ) -> Result<(), StoreError> {
        for pair in self.db()?.scan_prefix(prefix) {
            let (key, value) = pair.map_err(database(&self.path))?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut changes = ::sled::Batch::default();
        for (key, value) in batch.changes() {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        self.db()?
            .apply_batch(changes)
            .map_err(database(&self.path))?;
        self.db()?.flush().map_err(database(&self.path))?;
        self.check_inode()?;
        self.second
            .sync_data()
            .map_err(io_error("sync", &self.path))
    }
}

impl Drop for SledKv {
    /// sled's own threads may hold its file, and the lock on it, a little longer than its handle.
    /// Whoever opens the directory next must not meet them: it would take a healthy database for
    /// a ruined one.
    fn drop(&mut self) {
        self.db = None;
        for _ in 0..CLOSING_LOOKS_MAX {
            if self.second.try_lock().is_ok() {
                // Said aloud: a process being forked may still hold this descriptor for a moment.
                drop(self.second.unlock());
                return;
            }
            std::thread::sleep(CLOSING_LOOK);
        }
        tracing::warn!("storage.database_still_locked");
    }
}
