//! What the journal can be asked.

use std::fmt;

use protocol::digest::Digest;

use crate::audit::record::AuditEntry;
use crate::blocks::CommittedBlock;
use crate::request::{JournalError, Reply};
use crate::sign::commits::SeatKey;
use crate::state::StateCommit;
use crate::wal::WalEntry;

/// When a write-ahead batch is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it survives a power cut. A batch with an own message always waits for this.
    Now,
    /// Once the kernel has it; it rides with the next batch that waits.
    Later,
}

pub(crate) type JournalReply<T> = Reply<T, JournalError>;

pub(crate) enum JournalRequest {
    Wal {
        entries: Vec<WalEntry>,
        durability: Durability,
        reply: JournalReply<u64>,
    },
    Commit {
        block: Box<CommittedBlock>,
        state: Box<StateCommit>,
        reply: JournalReply<()>,
    },
    Restore {
        block: Box<CommittedBlock>,
        reply: JournalReply<()>,
    },
    Mark {
        seat: SeatKey,
        commit: Digest,
        reply: JournalReply<()>,
    },
    Keep {
        id: Digest,
        bytes: Vec<u8>,
        reply: JournalReply<()>,
    },
    Done {
        id: Digest,
        reply: JournalReply<()>,
    },
    Audit {
        entry: AuditEntry,
        reply: JournalReply<u64>,
    },
    /// The state thread has taken a block.
    StateMoved,
    Stop,
}

impl fmt::Debug for JournalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wal { .. } => "Wal",
            Self::Commit { .. } => "Commit",
            Self::Restore { .. } => "Restore",
            Self::Mark { .. } => "Mark",
            Self::Keep { .. } => "Keep",
            Self::Done { .. } => "Done",
            Self::Audit { .. } => "Audit",
            Self::StateMoved => "StateMoved",
            Self::Stop => "Stop",
        })
    }
}
