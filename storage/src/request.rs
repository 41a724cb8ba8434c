//! How the rest of the node talks to the store's threads.

use std::fmt;
use std::time::Duration;

use crate::audit::log::AuditError;
use crate::blocks::BlockError;
use crate::exit::ExitKind;
use crate::record::log::LogError;
use crate::sign::floor::SignRefused;
use crate::sign::state::SignStateError;

/// Called once, on the store's thread, with the outcome of a request. It must not block.
pub type Reply<T, E> = Box<dyn FnOnce(Result<T, E>) + Send>;

/// A request was not taken; its reply will not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// The queue is full.
    #[error("the {0} queue is full")]
    Full(Thread),
    /// The thread has ended.
    #[error("the {0} thread has ended")]
    Ended(Thread),
}

/// The store's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thread {
    /// Record files and sign-state.
    Journal,
    /// The state's database.
    State,
    /// Blobs.
    Blobs,
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Journal => "journal",
            Self::State => "state",
            Self::Blobs => "blobs",
        })
    }
}

/// What becomes durable in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Store {
    /// The write-ahead log.
    Wal,
    /// The sign-state slots and commits.
    SignState,
    /// The block log.
    Blocks,
    /// The evidence log.
    Evidence,
    /// The audit log.
    Audit,
    /// The state's database.
    State,
}

/// Learns what happens on the store's threads. Calls must not block.
pub trait Observer: Send + Sync {
    /// The store has failed for good; the process should end in this way.
    fn fatal(&self, exit: ExitKind, reason: &str);

    /// Something became durable, and how long that took.
    fn flushed(&self, store: Store, took: Duration) {
        let _ = (store, took);
    }
}

/// Why the journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A record file failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Sign-state failed or refused.
    #[error(transparent)]
    Sign(#[from] SignStateError),
    /// The rule forbids a signature; nothing of the batch was written.
    #[error(transparent)]
    Refused(#[from] SignRefused),
    /// The block log failed or refused.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The audit log failed or refused.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// This node holds no key, so it cannot have signed anything.
    #[error("this store was opened without a signer")]
    NoSigner,
    /// Others in the same group failed, so this is not known to be durable.
    #[error("the group was not written: {0}")]
    Group(String),
    /// The state's thread has ended, so the block is durable but its state never will be.
    #[error("the state thread has ended")]
    StateEnded,
}

impl JournalError {
    /// How this ends the process; `None` if only the request is at fault.
    #[must_use]
    pub const fn exit(&self) -> Option<ExitKind> {
        match self {
            Self::Log(error) => error.exit(),
            Self::Sign(error) => error.exit(),
            Self::Block(error) => error.exit(),
            Self::Audit(error) => error.exit(),
            Self::Refused(_) => Some(ExitKind::SignState),
            Self::NoSigner => None,
            Self::Group(_) => Some(ExitKind::Durability),
            Self::StateEnded => Some(ExitKind::Rebuild),
        }
    }
}
