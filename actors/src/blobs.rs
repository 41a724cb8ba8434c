//! Blocking reads of blobs, for threads that may block: slots, the network's disk thread, the API.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

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

/// How often, and how far apart, a busy queue is tried again.
const TRIES: usize = 200;
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// A whole blob, if it is here and whole. Waits while storage is busy.
#[must_use]
pub fn read(storage: &StorageHandle, key: Digest) -> Option<Vec<u8>> {
    for _ in 0..TRIES {
        let (sender, receiver) = sync_channel(1);
        let reply = Box::new(move |outcome: Result<Vec<u8>, BlobError>| {
            // Nobody waits any more if the thread that asked is gone.
            let _gone = sender.send(outcome);
        });
        match storage.get_blob(key, reply) {
            Ok(()) => return receiver.recv().ok()?.ok(),
            Err(NotTaken::Full(_)) => std::thread::sleep(TRY_AGAIN),
            Err(_) => return None,
        }
    }
    None
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
