//! Making a file of chunks that arrived one by one, each under its own hash.

use protocol::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::files::Unfinished;
use super::store::io_error;
use super::{BLOB_BYTES_MAX, BlobError, BlobStore, CHUNK_BYTES};

/// A file as its manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileParts {
    /// SHA-256 of the whole.
    pub sha256: Digest,
    /// Its length.
    pub size: u64,
    /// SHA-256 of each chunk, in order; all but the last are full.
    pub chunks: Vec<Digest>,
}

impl FileParts {
    fn check(&self) -> Result<(), BlobError> {
        if self.size > BLOB_BYTES_MAX {
            return Err(BlobError::TooLong {
                found: self.size,
                limit: BLOB_BYTES_MAX,
            });
        }
        if self.size.div_ceil(CHUNK_BYTES as u64) != self.chunks.len() as u64 {
            return Err(BlobError::WrongParts {
                chunks: self.chunks.len(),
                size: self.size,
            });
        }
        Ok(())
    }

    fn chunk_bytes(&self, index: usize) -> u64 {
        let start = index as u64 * CHUNK_BYTES as u64;
        self.size.saturating_sub(start).min(CHUNK_BYTES as u64)
    }
}

impl BlobStore {
    /// The chunks that are not here yet, or not of the right length.
    ///
    /// # Errors
    /// When the parts do not fit together.
    pub fn missing(&self, parts: &FileParts) -> Result<Vec<Digest>, BlobError> {
        parts.check()?;
        if self.bytes_of(&parts.sha256) == Some(parts.size) {
            return Ok(Vec::new());
        }
        let absent = parts
            .chunks
            .iter()
            .enumerate()
            .filter(|(index, chunk)| self.bytes_of(chunk) != Some(parts.chunk_bytes(*index)));
        Ok(absent.map(|(_, chunk)| *chunk).collect())
    }

    /// Joins chunks into the file they make, checks it, and removes the chunks. Nothing happens
    /// while chunks are missing; they are returned.
    ///
    /// # Errors
    /// When the parts do not fit together, the whole has another hash, or writing fails.
    pub fn assemble(&mut self, parts: &FileParts) -> Result<Vec<Digest>, BlobError> {
        let missing = self.missing(parts)?;
        let key = parts.sha256;
        if !missing.is_empty() || self.bytes_of(&key) == Some(parts.size) {
            return Ok(missing);
        }
        if let [only] = parts.chunks.as_slice() {
            return if *only == key {
                Ok(missing)
            } else {
                Err(BlobError::WrongHash { key })
            };
        }
        self.make_room_beside(parts)?;
        let mut file = Unfinished::create(&self.config.dir, &key).map_err(io_error("create"))?;
        match self.join(parts, &mut file) {
            Ok(hash) if hash == key => {}
            Ok(_) => {
                file.abandon();
                return Err(BlobError::WrongHash { key });
            }
            Err(error) => {
                file.abandon();
                return Err(error);
            }
        }
        file.finish(&self.config.dir, &key)
            .map_err(io_error("store"))?;
        self.count(key, parts.size);
        for chunk in parts.chunks.iter().filter(|chunk| **chunk != key) {
            self.remove(chunk)?;
        }
        Ok(missing)
    }

    fn join(&mut self, parts: &FileParts, file: &mut Unfinished) -> Result<Digest, BlobError> {
        let mut hasher = Sha256::new();
        for chunk in &parts.chunks {
            let bytes = self.get(chunk)?;
            hasher.update(&bytes);
            file.write(&bytes).map_err(io_error("write"))?;
        }
        Ok(Digest(hasher.finalize().into()))
    }

    /// Room for the whole beside its chunks. Making it may evict the chunks themselves, which
    /// then count as missing again.
    fn make_room_beside(&mut self, parts: &FileParts) -> Result<(), BlobError> {
        self.make_room(parts.size)?;
        match self.missing(parts)?.first() {
            None => Ok(()),
            Some(&key) => Err(BlobError::Missing { key }),
        }
    }
}
