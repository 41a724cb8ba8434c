//! Blocking reads of blobs, for threads that may block: slots, the network's disk thread, the API.

use std::sync::mpsc::sync_channel;

use protocol::digest::Digest;
use storage::blobs::BlobError;
use storage::handle::StorageHandle;
use storage::request::{NotTaken, Reply};

/// Asks storage and waits for its answer.
fn wait<T: Send + 'static>(
    ask: impl FnOnce(Reply<T, BlobError>) -> Result<(), NotTaken>,
) -> Option<T> {
    let (sender, receiver) = sync_channel(1);
    ask(Box::new(move |outcome| {
        // Nobody waits any more if the thread that asked is gone.
        let _gone = sender.send(outcome);
    }))
    .ok()?;
    receiver.recv().ok()?.ok()
}

/// A whole blob, if it is here and whole.
#[must_use]
pub fn read(storage: &StorageHandle, key: Digest) -> Option<Vec<u8>> {
    wait(|reply| storage.get_blob(key, reply))
}

/// One chunk of a blob.
#[must_use]
pub fn chunk(storage: &StorageHandle, key: Digest, offset: u64) -> Option<Vec<u8>> {
    wait(|reply| storage.blob_chunk(key, offset, reply))
}

/// A blob's length, if it is here.
#[must_use]
pub fn length(storage: &StorageHandle, key: Digest) -> Option<u64> {
    wait(|reply| storage.blob_length(key, reply)).flatten()
}

/// Stores a blob, chunk or manifest; says whether it is durable.
#[must_use]
pub fn put(storage: &StorageHandle, key: Digest, bytes: Vec<u8>) -> bool {
    wait(|reply| storage.put_blob(key, bytes, reply)).is_some()
}
