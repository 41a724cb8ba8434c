//! Requests to the blob thread.

use std::collections::BTreeSet;
use std::fs::File;

use protocol::digest::Digest;

use super::{StorageHandle, offer};
use crate::blob_thread::BlobRequest;
use crate::blobs::{BlobError, FileParts};
use crate::request::{NotTaken, Reply, Thread};

impl StorageHandle {
    fn blob(&self, request: BlobRequest) -> Result<(), NotTaken> {
        offer(&self.blobs, Thread::Blobs, request)
    }

    /// Stores a blob, chunk or manifest under the key that names it.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn put_blob(
        &self,
        key: Digest,
        bytes: Vec<u8>,
        reply: Reply<(), BlobError>,
    ) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Put { key, bytes, reply })
    }

    /// A whole blob, re-hashed.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn get_blob(&self, key: Digest, reply: Reply<Vec<u8>, BlobError>) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Get { key, reply })
    }

    /// One chunk of a blob, re-hashed.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn blob_chunk(
        &self,
        key: Digest,
        offset: u64,
        reply: Reply<Vec<u8>, BlobError>,
    ) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Chunk { key, offset, reply })
    }

    /// A blob's file, for a reader that hashes while it copies.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn open_blob(&self, key: Digest, reply: Reply<File, BlobError>) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Open { key, reply })
    }

    /// A blob's length, or `None` if it is not here.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn blob_length(
        &self,
        key: Digest,
        reply: Reply<Option<u64>, BlobError>,
    ) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Length { key, reply })
    }

    /// The chunks of a file that are not here yet.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn missing_chunks(
        &self,
        parts: FileParts,
        reply: Reply<Vec<Digest>, BlobError>,
    ) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Missing { parts, reply })
    }

    /// Joins chunks into a file; the reply lists those still missing.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn assemble(
        &self,
        parts: FileParts,
        reply: Reply<Vec<Digest>, BlobError>,
    ) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Assemble { parts, reply })
    }

    /// Removes a blob.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn remove_blob(&self, key: Digest, reply: Reply<(), BlobError>) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Remove { key, reply })
    }

    /// Says which blobs are referenced and must stay; nothing is evicted before the first time.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn pin_blobs(&self, referenced: BTreeSet<Digest>) -> Result<(), NotTaken> {
        self.blob(BlobRequest::Pin { referenced })
    }
}
