//! The open store: what the rest of the node holds.
//!
//! Every request is taken without blocking, or refused when its queue is full; the reply is called
//! on the store's thread.

mod blob_requests;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

use protocol::digest::Digest;
use protocol::units::Height;

use crate::audit::record::AuditEntry;
use crate::blob_thread::{self, BlobRequest};
use crate::blobs::BlobStore;
use crate::blocks::{BlockReader, CommittedBlock};
use crate::clock;
use crate::home::HomeLock;
use crate::journal::{Durability, Journal, JournalRequest};
use crate::kv::StoreError;
use crate::request::{JournalError, NotTaken, Reply, Thread};
use crate::shared::Shared;
use crate::sign::commits::SeatKey;
use crate::state::{ActorId, StateCommit, StateStore};
use crate::state_thread::{StateRequest, StateThread};
use crate::wal::WalEntry;

/// Requests that may wait for the journal.
pub const JOURNAL_QUEUE: usize = 1_024;
/// Requests that may wait for the state thread; blocks among them are bounded by the lag.
pub const STATE_QUEUE: usize = 256;
/// Requests that may wait for the blob thread. Each may carry a whole chunk or file.
pub const BLOB_QUEUE: usize = 64;

pub(crate) fn state_queue() -> (SyncSender<StateRequest>, Receiver<StateRequest>) {
    sync_channel(STATE_QUEUE)
}

/// A handle on the open store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StorageHandle {
    journal: SyncSender<JournalRequest>,
    state: SyncSender<StateRequest>,
    blobs: SyncSender<BlobRequest>,
    reader: BlockReader,
    shared: Arc<Shared>,
}

/// The open store. [`Storage::close`] ends it in good order; a drop does the same without noting
/// it. Either way the lock is let go only when no thread writes any more.
#[derive(Debug)]
pub struct Storage {
    handle: StorageHandle,
    /// Blobs, journal, state; `None` once stopped.
    threads: Option<[JoinHandle<()>; 3]>,
    lock: Option<HomeLock>,
}

fn offer<T>(queue: &SyncSender<T>, thread: Thread, request: T) -> Result<(), NotTaken> {
    queue.try_send(request).map_err(|error| match error {
        TrySendError::Full(_) => NotTaken::Full(thread),
        TrySendError::Disconnected(_) => NotTaken::Ended(thread),
    })
}

impl Storage {
    pub(crate) fn start(
        journal: Journal,
        store: StateStore,
        state_requests: Receiver<StateRequest>,
        blobs: BlobStore,
        reader: BlockReader,
        lock: HomeLock,
    ) -> io::Result<Self> {
        let (journal_sender, journal_requests) = sync_channel(JOURNAL_QUEUE);
        let (blob_sender, blob_requests) = sync_channel(BLOB_QUEUE);
        let state = StateThread {
            store,
            lag: Arc::clone(&journal.lag),
            journal: journal_sender.clone(),
            observer: Arc::clone(&journal.observer),
        };
        let handle = StorageHandle {
            journal: journal_sender,
            state: journal.state.clone(),
            blobs: blob_sender,
            reader,
            shared: Arc::clone(&journal.shared),
        };
        let named = |thread: Thread| Builder::new().name(thread.to_string());
        let threads = [
            named(Thread::Blobs).spawn(move || blob_thread::run(blobs, &blob_requests))?,
            named(Thread::Journal).spawn(move || journal.run(&journal_requests))?,
            named(Thread::State).spawn(move || state.run(&state_requests))?,
        ];
        Ok(Self {
            handle,
            threads: Some(threads),
            lock: Some(lock),
        })
    }

    /// A handle to give away.
    #[must_use]
    pub fn handle(&self) -> StorageHandle {
        self.handle.clone()
    }

    /// Lets every thread finish what it was asked, and notes an orderly stop.
    ///
    /// # Errors
    /// When the stop cannot be noted; everything else is durable by then.
    pub fn close(mut self) -> io::Result<()> {
        if !self.stop() {
            return Err(io::Error::other("a store thread panicked"));
        }
        self.lock
            .take()
            .map_or(Ok(()), |lock| lock.release(clock::wall()))
    }

    /// Whether every thread ended in good order.
    fn stop(&mut self) -> bool {
        let Some([blobs, journal, state]) = self.threads.take() else {
            return true;
        };
        // A thread that has ended needs no request to stop.
        drop(self.handle.blobs.send(BlobRequest::Stop));
        drop(self.handle.journal.send(JournalRequest::Stop));
        let mut whole = journal.join().is_ok();
        // The journal's last blocks are in the state's queue by now.
        drop(self.handle.state.send(StateRequest::Stop));
        whole &= state.join().is_ok();
        whole & blobs.join().is_ok()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if !self.stop() {
            tracing::error!("storage.thread_panicked");
        }
    }
}

impl StorageHandle {
    /// Appends to the write-ahead log. Own messages among the entries are checked against the
    /// sign-state first, and recorded in it before the reply: then they may leave the process.
    /// The reply carries the last seq.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn wal(
        &self,
        entries: Vec<WalEntry>,
        durability: Durability,
        reply: Reply<u64, JournalError>,
    ) -> Result<(), NotTaken> {
        let request = JournalRequest::Wal {
            entries,
            durability,
            reply,
        };
        offer(&self.journal, Thread::Journal, request)
    }

    /// Commits a block with its certificate and what it does to the state. The reply comes once
    /// the block log is durable and the state lags by no more than eight blocks.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn commit(
        &self,
        block: CommittedBlock,
        state: StateCommit,
        reply: Reply<(), JournalError>,
    ) -> Result<(), NotTaken> {
        let (block, state) = (Box::new(block), Box::new(state));
        offer(
            &self.journal,
            Thread::Journal,
            JournalRequest::Commit {
                block,
                state,
                reply,
            },
        )
    }

    /// Puts a block back into the block log alone: it was refetched after its segment was put
    /// aside, or it is about to be replayed.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn restore_block(
        &self,
        block: CommittedBlock,
        reply: Reply<(), JournalError>,
    ) -> Result<(), NotTaken> {
        let request = JournalRequest::Restore {
            block: Box::new(block),
            reply,
        };
        offer(&self.journal, Thread::Journal, request)
    }

    /// Records a result commit. Another one for the same seat is refused.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn mark(
        &self,
        seat: SeatKey,
        commit: Digest,
        reply: Reply<(), JournalError>,
    ) -> Result<(), NotTaken> {
        offer(
            &self.journal,
            Thread::Journal,
            JournalRequest::Mark {
                seat,
                commit,
                reply,
            },
        )
    }

    /// Keeps a contradicting pair until [`StorageHandle::done`].
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn keep(
        &self,
        id: Digest,
        bytes: Vec<u8>,
        reply: Reply<(), JournalError>,
    ) -> Result<(), NotTaken> {
        offer(
            &self.journal,
            Thread::Journal,
            JournalRequest::Keep { id, bytes, reply },
        )
    }

    /// Says that a pair was included or has expired.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn done(&self, id: Digest, reply: Reply<(), JournalError>) -> Result<(), NotTaken> {
        offer(
            &self.journal,
            Thread::Journal,
            JournalRequest::Done { id, reply },
        )
    }

    /// Appends to the audit log. The reply carries the record's index.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn audit(
        &self,
        entry: AuditEntry,
        reply: Reply<u64, JournalError>,
    ) -> Result<(), NotTaken> {
        offer(
            &self.journal,
            Thread::Journal,
            JournalRequest::Audit { entry, reply },
        )
    }

    /// Hash of the newest audit checkpoint, for the node's next transaction.
    #[must_use]
    pub fn audit_anchor(&self) -> Option<Digest> {
        self.shared.anchor()
    }

    /// Notes the last height an actor has dealt with.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn note(
        &self,
        actor: ActorId,
        height: Height,
        reply: Reply<(), StoreError>,
    ) -> Result<(), NotTaken> {
        offer(
            &self.state,
            Thread::State,
            StateRequest::Note {
                actor,
                height,
                reply,
            },
        )
    }

    /// Commits state whose block is already in the block log: genesis, and replay at start.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn replay(&self, state: StateCommit, reply: Reply<(), StoreError>) -> Result<(), NotTaken> {
        let request = StateRequest::Commit {
            commit: Box::new(state),
            reply: Some(reply),
        };
        offer(&self.state, Thread::State, request)
    }

    /// Puts the state aside because its root is wrong, and starts empty.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn reset_state(&self, reply: Reply<(), StoreError>) -> Result<(), NotTaken> {
        offer(&self.state, Thread::State, StateRequest::Reset { reply })
    }

    /// The events of a height; `None` once they are too old.
    ///
    /// # Errors
    /// When the request is not taken.
    pub fn events(
        &self,
        height: Height,
        reply: Reply<Option<Vec<u8>>, StoreError>,
    ) -> Result<(), NotTaken> {
        offer(
            &self.state,
            Thread::State,
            StateRequest::Events { height, reply },
        )
    }

    /// Reads committed blocks, headers and the tip directly.
    #[must_use]
    pub const fn blocks(&self) -> &BlockReader {
        &self.reader
    }
}
