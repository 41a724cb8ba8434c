//! Models and inputs as they come in through the API: chunks under their hash, manifests under their
//! root.

use std::fmt;

use protocol::codec::decode_canonical;
use protocol::digest::{Digest, sha256};
use protocol::manifest::{CHUNK_BYTES, InputManifest, ModelManifest};
use storage::blobs::{BlobError, FileParts};
use storage::handle::StorageHandle;
use storage::request::{NotTaken, Reply};
use thiserror::Error;
use tokio::sync::oneshot;

use super::NodeHandle;
use crate::jobs::workflow::Artifact;

/// Why a blob was not stored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PutError {
    /// The bytes do not have the hash they were sent under.
    #[error("content has SHA-256 {found}, sent as {claimed}")]
    WrongHash {
        /// What they hash to.
        found: Digest,
        /// What they were sent as.
        claimed: Digest,
    },
    /// Longer than a chunk.
    #[error("chunk of {0} bytes, at most {CHUNK_BYTES} allowed")]
    TooLong(usize),
    /// Not the canonical bytes of a manifest that makes sense.
    #[error("manifest: {0}")]
    Manifest(String),
    /// Storage is busy or has ended.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// Storage refused or failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// What became of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestPut {
    /// Its root.
    pub root: Digest,
    /// Chunks of its file that are not here; none if the file is whole.
    pub missing: Vec<Digest>,
}

impl NodeHandle {
    /// Stores one chunk under its own hash.
    ///
    /// # Errors
    /// [`PutError`] if the bytes are not that chunk or cannot be stored.
    pub async fn put_chunk(&self, claimed: Digest, bytes: Vec<u8>) -> Result<(), PutError> {
        if bytes.len() > CHUNK_BYTES {
            return Err(PutError::TooLong(bytes.len()));
        }
        let found = sha256(&bytes);
        if found != claimed {
            return Err(PutError::WrongHash { found, claimed });
        }
        self.ask_blobs(|storage, reply| storage.put_blob(claimed, bytes, reply))
            .await
    }

    /// Stores a manifest under its root and assembles its file from the chunks at hand. A model is
    /// open to everybody from then on.
    ///
    /// # Errors
    /// [`PutError`] if it is no manifest or cannot be stored.
    pub async fn put_manifest(&self, bytes: Vec<u8>) -> Result<ManifestPut, PutError> {
        let (artifact, file) = read_manifest(&bytes)?;
        let root = artifact.root();
        self.ask_blobs(|storage, reply| storage.put_blob(root, bytes, reply))
            .await?;
        let parts = FileParts {
            sha256: file.sha256,
            size: file.size,
            chunks: file.chunks,
        };
        let missing = self
            .ask_blobs(|storage, reply| storage.assemble(parts, reply))
            .await?;
        if let (Artifact::Model(_), true) = (artifact, missing.is_empty()) {
            self.inner.public.add_model(&self.inner.storage, root);
        }
        Ok(ManifestPut { root, missing })
    }

    /// Reads a whole blob.
    ///
    /// # Errors
    /// [`PutError`] if it is not here or damaged.
    pub async fn get_blob(&self, key: Digest) -> Result<Vec<u8>, PutError> {
        self.ask_blobs(|storage, reply| storage.get_blob(key, reply))
            .await
    }

    /// The length of a blob; none if it is not here.
    ///
    /// # Errors
    /// [`PutError`] if storage does not answer.
    pub async fn blob_length(&self, key: Digest) -> Result<Option<u64>, PutError> {
        self.ask_blobs(|storage, reply| storage.blob_length(key, reply))
            .await
    }

    async fn ask_blobs<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&StorageHandle, Reply<T, BlobError>) -> Result<(), NotTaken>,
    ) -> Result<T, PutError> {
        let (sender, answer) = oneshot::channel();
        let reply = Box::new(move |outcome: Result<T, BlobError>| {
            // Whoever asked may have gone.
            let _gone = sender.send(outcome);
        });
        ask(&self.inner.storage, reply)?;
        let ended = PutError::NotTaken(NotTaken::Ended(storage::request::Thread::Blobs));
        Ok(answer.await.map_err(|_| ended)??)
    }
}

fn read_manifest(bytes: &[u8]) -> Result<(Artifact, protocol::manifest::FileDigest), PutError> {
    let refuse = |error: &dyn fmt::Display| PutError::Manifest(error.to_string());
    let as_model = decode_canonical::<ModelManifest>(bytes);
    if let Ok(model) = as_model {
        model.check().map_err(|error| refuse(&error))?;
        return Ok((Artifact::Model(model.root()), model.file));
    }
    let input = decode_canonical::<InputManifest>(bytes).map_err(|error| refuse(&error))?;
    input.check().map_err(|error| refuse(&error))?;
    Ok((Artifact::Input(input.root()), input.bundle))
}
