//! The blobs of one node.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use protocol::digest::{Digest, sha256};
use sha2::{Digest as _, Sha256};

use super::files::{Unfinished, open_dir, path_of};
use super::{BLOB_BYTES_MAX, BlobError, CHUNK_BYTES, names};

/// Chunk hashes are remembered for so many blobs.
const VERIFIED_MAX: usize = 64;

/// Where blobs lie and how many there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobConfig {
    /// The directory.
    pub dir: PathBuf,
    /// Bytes in all.
    pub quota_bytes: u64,
}

impl BlobConfig {
    /// The default quota.
    pub const QUOTA_BYTES: u64 = 20 << 30;
}

#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: u64,
    last_use: u64,
}

/// The blobs of one node.
#[derive(Debug)]
pub struct BlobStore {
    pub(super) config: BlobConfig,
    held: BTreeMap<Digest, Held>,
    used: u64,
    uses: u64,
    /// `None` until the node has said what is referenced; until then nothing is evicted.
    pinned: Option<BTreeSet<Digest>>,
    /// Chunk hashes of blobs whose whole hash was checked since the start.
    verified: BTreeMap<Digest, Vec<Digest>>,
}

pub(super) fn io_error(action: &'static str) -> impl FnOnce(io::Error) -> BlobError {
    move |source| BlobError::Io { action, source }
}

impl BlobStore {
    /// Opens the directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(config: BlobConfig) -> Result<Self, BlobError> {
        let mut store = Self {
            held: BTreeMap::new(),
            used: 0,
            uses: 0,
            pinned: None,
            verified: BTreeMap::new(),
            config,
        };
        for (key, bytes) in open_dir(&store.config.dir).map_err(io_error("list"))? {
            store.count(key, bytes);
        }
        Ok(store)
    }

    /// Says which blobs must stay. Nothing is evicted before this was said once.
    pub fn pin(&mut self, referenced: BTreeSet<Digest>) {
        self.pinned = Some(referenced);
    }

    /// Bytes in use.
    #[must_use]
    pub const fn used_bytes(&self) -> u64 {
        self.used
    }

    /// Whether a blob is here, and how long it is.
    #[must_use]
    pub fn bytes_of(&self, key: &Digest) -> Option<u64> {
        self.held.get(key).map(|held| held.bytes)
    }

    /// Stores bytes under the key that names them; returns when they are durable.
    ///
    /// # Errors
    /// When the key does not name them, there is no room, or writing fails.
    pub fn put(&mut self, key: Digest, bytes: &[u8]) -> Result<(), BlobError> {
        let found = bytes.len() as u64;
        if found > BLOB_BYTES_MAX {
            return Err(BlobError::TooLong {
                found,
                limit: BLOB_BYTES_MAX,
            });
        }
        if !names(&key, bytes) {
            return Err(BlobError::WrongHash { key });
        }
        if self.held.contains_key(&key) {
            self.touch(&key);
            return Ok(());
        }
        self.make_room(found)?;
        let dir = &self.config.dir;
        let mut file = Unfinished::create(dir, &key).map_err(io_error("create"))?;
        let written = file.write(bytes);
        if let Err(source) = written {
            file.abandon();
            return Err(BlobError::Io {
                action: "write",
                source,
            });
        }
        file.finish(dir, &key).map_err(io_error("store"))?;
        self.count(key, found);
        Ok(())
    }

    /// A whole blob, re-hashed.
    ///
    /// # Errors
    /// When it is not here, damaged, or cannot be read.
    pub fn get(&mut self, key: &Digest) -> Result<Vec<u8>, BlobError> {
        let mut file = self.file(key)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error("read"))?;
        if names(key, &bytes) {
            Ok(bytes)
        } else {
            Err(self.discard(key))
        }
    }

    /// One chunk of a blob. The first time the whole blob is hashed and its chunks' hashes are
    /// kept; each chunk read is compared with its own.
    ///
    /// # Errors
    /// When the blob is not here or damaged, or the offset is not the start of a chunk.
    pub fn chunk(&mut self, key: &Digest, offset: u64) -> Result<Vec<u8>, BlobError> {
        if !self.verified.contains_key(key) {
            self.verify(key)?;
        }
        let bad_offset = BlobError::Offset { key: *key, offset };
        let aligned = offset.is_multiple_of(CHUNK_BYTES as u64);
        let index = usize::try_from(offset / CHUNK_BYTES as u64).unwrap_or(usize::MAX);
        let expected = self
            .verified
            .get(key)
            .and_then(|chunks| chunks.get(index))
            .copied();
        let (true, Some(expected)) = (aligned, expected) else {
            return Err(bad_offset);
        };
        let file = self.file(key)?;
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        let left = self
            .bytes_of(key)
            .unwrap_or_default()
            .saturating_sub(offset);
        bytes.resize(
            usize::try_from(left)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES),
            0,
        );
        let read = file.read_exact_at(&mut bytes, offset);
        if read.is_err() || sha256(&bytes) != expected {
            return Err(self.discard(key));
        }
        Ok(bytes)
    }

    /// A blob's file, for a reader that hashes while it copies.
    ///
    /// # Errors
    /// When it is not here.
    pub fn file(&mut self, key: &Digest) -> Result<File, BlobError> {
        if !self.held.contains_key(key) {
            return Err(BlobError::Missing { key: *key });
        }
        self.touch(key);
        match File::open(path_of(&self.config.dir, key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget(key);
                Err(BlobError::Missing { key: *key })
            }
            other => other.map_err(io_error("open")),
        }
    }

    /// Removes a blob.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(&mut self, key: &Digest) -> Result<(), BlobError> {
        self.forget(key);
        match fs::remove_file(path_of(&self.config.dir, key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BlobError::Io {
                action: "remove",
                source: error,
            }),
            _ => Ok(()),
        }
    }

    /// Hashes a blob piece by piece and remembers its chunks' hashes: strangers ask for chunks, and must
    /// not be able to ask for half a gigabyte of memory.
    fn verify(&mut self, key: &Digest) -> Result<(), BlobError> {
        let (whole, chunks) = self.hash_pieces(key)?;
        // A manifest is named by its root and short; everything else by its SHA-256.
        if whole != *key && chunks.len() > 1 {
            return Err(self.discard(key));
        }
        if whole != *key {
            self.get(key)?;
        }
        if self.verified.len() >= VERIFIED_MAX {
            self.verified.pop_first();
        }
        self.verified.insert(*key, chunks);
        Ok(())
    }

    /// The hash of the whole, and those of its chunks.
    fn hash_pieces(&mut self, key: &Digest) -> Result<(Digest, Vec<Digest>), BlobError> {
        let mut file = self.file(key)?;
        let (mut whole, mut chunks) = (Sha256::new(), Vec::new());
        let mut piece = Vec::with_capacity(CHUNK_BYTES);
        loop {
            piece.clear();
            let mut next = (&mut file).take(CHUNK_BYTES as u64);
            next.read_to_end(&mut piece).map_err(io_error("read"))?;
            if piece.is_empty() {
                return Ok((Digest(whole.finalize().into()), chunks));
            }
            whole.update(&piece);
            chunks.push(sha256(&piece));
        }
    }

    /// Deletes a damaged blob and says so.
    fn discard(&mut self, key: &Digest) -> BlobError {
        tracing::warn!(%key, "blobs.damaged");
        match self.remove(key) {
            Ok(()) => BlobError::Corrupt { key: *key },
            Err(error) => error,
        }
    }

    pub(super) fn count(&mut self, key: Digest, bytes: u64) {
        self.uses += 1;
        let before = self.held.insert(
            key,
            Held {
                bytes,
                last_use: self.uses,
            },
        );
        self.used = self
            .used
            .saturating_sub(before.map_or(0, |held| held.bytes))
            + bytes;
    }

    fn touch(&mut self, key: &Digest) {
        self.uses += 1;
        if let Some(held) = self.held.get_mut(key) {
            held.last_use = self.uses;
        }
    }

    fn forget(&mut self, key: &Digest) {
        self.verified.remove(key);
        if let Some(held) = self.held.remove(key) {
            self.used = self.used.saturating_sub(held.bytes);
        }
    }

    /// Evicts unreferenced blobs, least recently used first, until `needed` bytes fit.
    pub(super) fn make_room(&mut self, needed: u64) -> Result<(), BlobError> {
        let quota = self.config.quota_bytes;
        while self.used.saturating_add(needed) > quota {
            let pinned = self.pinned.as_ref();
            let free = self
                .held
                .iter()
                .filter(|(key, _)| pinned.is_some_and(|pinned| !pinned.contains(*key)));
            let Some(key) = free
                .min_by_key(|(_, held)| held.last_use)
                .map(|(key, _)| *key)
            else {
                return Err(BlobError::QuotaFull {
                    needed,
                    used: self.used,
                    quota,
                });
            };
            self.remove(&key)?;
        }
        Ok(())
    }
}
