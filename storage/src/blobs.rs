//! Models, inputs and results: large bytes under the hash that names them.
//!
//! ```text
//!  put: temp -> fsync -> rename to blobs/<2 hex>/<key> -> fsync directory
//!  get: read -> re-hash -> hand out; wrong hash: delete, so that it is fetched again
//! ```
//! A blob's key is its SHA-256, a manifest's its root. Referenced blobs are never evicted, others
//! by least recent use once the quota is reached.

mod assembly;
mod files;
mod store;

use std::io;

use protocol::digest::{Digest, Tag, sha256, th};
use protocol::manifest::MANIFEST_BYTES_MAX;

use crate::exit::ExitKind;

pub use assembly::FileParts;
pub use store::{BlobConfig, BlobStore};

/// Blobs travel and are checked in pieces of this size.
pub const CHUNK_BYTES: usize = protocol::manifest::CHUNK_BYTES;
/// No blob is larger.
pub const BLOB_BYTES_MAX: u64 = 512 << 20;

/// Why a blob cannot be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// This node does not hold it.
    #[error("blob {key} is not here")]
    Missing {
        /// Its key.
        key: Digest,
    },
    /// The bytes offered are not those that the key names.
    #[error("bytes offered as {key} have another hash")]
    WrongHash {
        /// The key.
        key: Digest,
    },
    /// The bytes held were damaged; they are deleted and must be fetched again.
    #[error("blob {key} was damaged and is deleted")]
    Corrupt {
        /// Its key.
        key: Digest,
    },
    /// Too long for a blob or chunk.
    #[error("blob of {found} bytes, limit {limit}")]
    TooLong {
        /// Its length.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The list of chunks does not fit the file's size.
    #[error("{chunks} chunks cannot make {size} bytes")]
    WrongParts {
        /// How many chunks.
        chunks: usize,
        /// The file's size.
        size: u64,
    },
    /// An offset that is no multiple of the chunk size, or past the end.
    #[error("offset {offset} of blob {key}")]
    Offset {
        /// The blob.
        key: Digest,
        /// The offset.
        offset: u64,
    },
    /// The quota is full of referenced blobs.
    #[error("no room for {needed} bytes: {used} of {quota} in use")]
    QuotaFull {
        /// Bytes needed.
        needed: u64,
        /// Bytes used.
        used: u64,
        /// The quota.
        quota: u64,
    },
    /// Reading or writing failed. Nothing is lost that cannot be fetched again.
    #[error("{action} blob: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl BlobError {
    /// No failure of a blob ends the process.
    #[must_use]
    pub const fn exit(&self) -> Option<ExitKind> {
        None
    }
}

/// Whether `key` names `bytes`: as their SHA-256, or as the root of a manifest.
#[must_use]
pub fn names(key: &Digest, bytes: &[u8]) -> bool {
    if sha256(bytes) == *key {
        return true;
    }
    bytes.len() <= MANIFEST_BYTES_MAX
        && [Tag::Model, Tag::Input]
            .into_iter()
            .any(|tag| th(tag, &[bytes]) == *key)
}
