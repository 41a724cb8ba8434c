//! What the driver tells the machine.

use std::fmt;
use std::sync::Arc;

use protocol::digest::{BlockId, ChainId};
use protocol::signed::Verified;
use protocol::units::{Height, Round};
use protocol::validators::ValidatorSet;
use protocol::vote::{CommitCertificate, Proposal, RelayedCertificate, Vote};

use crate::effect::WalSeq;
use crate::guard::SignMark;
use crate::signer::Signer;
use crate::timers::{TimerId, Timing};
use crate::wal::Record;

/// A peer, named by whatever bytes the network uses for it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer(Arc<[u8]>);

impl Peer {
    /// Names a peer by these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes it was named by.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("peer ")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A message whose signature the network has checked.
#[derive(Clone, Debug)]
pub enum Received {
    /// A proposal.
    Proposal(Verified<Proposal>),
    /// A prevote or precommit.
    Vote(Verified<Vote>),
    /// A certificate; only its relay is verified, the machine verifies the votes inside.
    Certificate(Verified<RelayedCertificate>),
}

/// What the ledger says about a block: a pure function of the state before it and its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It may be voted for.
    Valid {
        /// How far the header's time is ahead of the local clock, in milliseconds. It may delay
        /// a vote, never change it.
        early_by_ms: u64,
    },
    /// It may not.
    Invalid,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A peer relayed a message.
    Message(Peer, Received),
    /// A block arrived: the answer to `FetchBody`, or one that rode on a proposal (give the
    /// proposal first).
    Body(Peer, BlockId, Arc<[u8]>),
    /// The block asked for by `Build` is ready.
    Built {
        /// As asked.
        height: Height,
        /// As asked.
        round: Round,
        /// Its id.
        id: BlockId,
        /// Header and body.
        block: Arc<[u8]>,
    },
    /// The answer to `Judge`.
    Verdict {
        /// As asked.
        height: Height,
        /// As asked.
        id: BlockId,
        /// The answer.
        verdict: Judgement,
    },
    /// A timer ran out.
    Timeout(TimerId),
    /// Everything up to this batch is durable: the log first, then the sign-state.
    Durable(WalSeq),
    /// The block of this height is in the block log and applied.
    Committed {
        /// Its height.
        height: Height,
        /// The validators of `height + 2`, which its state fixes.
        set: ValidatorSet,
    },
    /// A peer says what it has committed.
    Status {
        /// Who.
        peer: Peer,
        /// Its last committed height.
        tip: Height,
    },
    /// A peer's answer to `AskHeight`: one decided block.
    Synced {
        /// Who.
        peer: Peer,
        /// Header and body.
        block: Arc<[u8]>,
        /// What proves it, not verified yet.
        certificate: CommitCertificate,
    },
}

/// What a machine starts from.
#[derive(Debug)]
pub struct Boot {
    /// The chain.
    pub chain: ChainId,
    /// The last committed height; zero on a new chain. Work begins at the next.
    pub committed: Height,
    /// The validators of `committed + 1` and `committed + 2`, and of as many earlier heights as are
    /// at hand (for evidence).
    pub sets: Vec<(Height, ValidatorSet)>,
    /// Durations, from the chain's parameters.
    pub timing: Timing,
    /// The consensus key; `None` for an observer, which neither signs nor logs.
    pub signer: Option<Signer>,
    /// The sign-state's last mark, if there is one. If the log does not lead there, the node signs
    /// nothing up to the end of its height, and takes those heights from others.
    pub floor: Option<SignMark>,
    /// The write-ahead log, in order. Records of other heights may be among them.
    pub log: Vec<Record>,
    /// Timer epochs start above this; a driver whose timers outlive a restart passes a higher one.
    pub epoch: u64,
}
