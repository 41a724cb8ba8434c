//! What the machine asks of the driver.

use std::sync::Arc;
use std::time::Duration;

use protocol::digest::BlockId;
use protocol::evidence::ContradictingPair;
use protocol::keys::PublicKey;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{Certificate, CommitCertificate, Proposal, Vote};
use thiserror::Error;

use crate::guard::{SignMark, SignPoint};
use crate::input::Peer;
use crate::timers::TimerId;
use crate::wal::Record;

/// Numbers the batches of one process, from 1. Zero is durable from the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WalSeq(pub u64);

/// What is to be sent to everybody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outgoing {
    /// An own vote.
    Vote(Signed<Vote>),
    /// A proposal, with the block that rides on it if the proposal says so.
    Proposal(Signed<Proposal>, Option<Arc<[u8]>>),
    /// A certificate; the driver signs it as relay, with the session key.
    Certificate(Certificate),
}

/// Whether these bytes were sent before: a repeated gossip message is dropped as a duplicate, so the
/// network offers it to peers in another way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// For the first time.
    First,
    /// Once more, because nothing happens.
    Again,
}

/// One thing to do. Effects are to be performed in order, and all may be performed at once: what has
/// to wait for the disk is not emitted before [`crate::Input::Durable`] has said so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Pull this block from this peer.
    FetchBody {
        /// The block.
        id: BlockId,
        /// Who should have it.
        peer: Peer,
    },
    /// Build a block and answer with `Built` within the round.
    Build {
        /// For this height.
        height: Height,
        /// And this round.
        round: Round,
    },
    /// Judge a block and answer with `Verdict`.
    Judge {
        /// For this height.
        height: Height,
        /// The block.
        id: BlockId,
        /// Header and body.
        block: Arc<[u8]>,
    },
    /// Answer with `Timeout` after this long; a timer that is set again starts again.
    SetTimer(TimerId, Duration),
    /// Forget a timer. One that fires nevertheless is ignored.
    CancelTimer(TimerId),
    /// Append these records, make them durable, then the sign-state, then answer `Durable(seq)`.
    Wal {
        /// In order.
        records: Vec<Record>,
        /// The highest signature among them, or one found in the log that the sign-state lacks.
        sign_mark: Option<SignMark>,
        /// This batch.
        seq: WalSeq,
    },
    /// Put the block into the block log, apply it, then answer `Committed`.
    Commit {
        /// Durable already.
        after: WalSeq,
        /// Header and body.
        block: Arc<[u8]>,
        /// What proves it.
        certificate: CommitCertificate,
    },
    /// Send to everybody.
    Broadcast {
        /// Durable already.
        after: WalSeq,
        /// What.
        message: Outgoing,
        /// Whether it is news.
        delivery: Delivery,
    },
    /// Ask this peer for decided blocks from this height on.
    AskHeight {
        /// Whom.
        peer: Peer,
        /// From where.
        height: Height,
    },
    /// A validator contradicted itself; both signatures verify.
    Contradiction(ContradictingPair),
    /// Two valid certificates for one height: write both down and end. Nothing follows.
    Freeze(Box<Conflict>),
    /// End the process. Nothing follows.
    Halt(Halt),
}

/// Two blocks certified at one height: more than a third of the power is dishonest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// One.
    pub first: CommitCertificate,
    /// The other.
    pub second: CommitCertificate,
}

/// Why the machine stopped itself.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Halt {
    /// The driver's start values make no machine.
    #[error("cannot start: {0}")]
    Boot(&'static str),
    /// A signature would contradict, or could contradict, an earlier one.
    #[error("refused to sign at {asked:?}: already signed at {floor:?}")]
    SignRefused {
        /// What was to be signed.
        asked: SignPoint,
        /// The last thing signed.
        floor: SignPoint,
    },
    /// Our key signs somewhere else, or this host's log was set back.
    #[error("the own key {key} signed at {found:?}, this host did not")]
    OwnKeyElsewhere {
        /// Our key.
        key: PublicKey,
        /// Where it signed.
        found: SignPoint,
    },
    /// A quorum committed what our ledger refuses.
    #[error("block {block} at height {height} is certified, but invalid here")]
    CertifiedInvalid {
        /// At which height.
        height: Height,
        /// Which block.
        block: BlockId,
    },
    /// The log does not lead to what the log says was signed.
    #[error("replay of the log diverged: {0}")]
    ReplayDivergence(String),
    /// A record of the log does not decode.
    #[error("a record of the log is malformed")]
    Record,
    /// The core returned an error.
    #[error("the core failed: {0}")]
    Core(String),
    /// Something that cannot be, was.
    #[error("invariant broken: {0}")]
    Invariant(&'static str),
}

impl Halt {
    /// The process's documented exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Boot(_) => 75,
            Self::SignRefused { .. } | Self::OwnKeyElsewhere { .. } => 72,
            Self::CertifiedInvalid { .. } => 73,
            Self::ReplayDivergence(_) | Self::Record => 76,
            Self::Core(_) | Self::Invariant(_) => 70,
        }
    }
}
