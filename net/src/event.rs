//! What comes out of the network: one bounded lane per purpose.

use libp2p::PeerId;
use protocol::digest::{BlockId, ValidatorId};
use protocol::signed::Verified;
use protocol::tx::Tx;
use protocol::units::Height;
use protocol::vote::{Pair, Proposal, RelayedCertificate, Vote};
use tokio::sync::mpsc;

use crate::messages::{BlobRequest, Chunk, DecidedBlock, Tip};
use crate::role::Role;

/// The lanes. Dropping a receiver closes its lane: what would go there is counted as dropped.
#[derive(Debug)]
pub struct Lanes {
    /// 1,024 deep; when it is full, rounds are remembered as dirty and pulled later.
    pub consensus: mpsc::Receiver<ConsensusEvent>,
    /// 128 deep; its holders offer evidence again.
    pub evidence: mpsc::Receiver<EvidenceEvent>,
    /// 512 deep.
    pub duty: mpsc::Receiver<TxEvent>,
    /// 2,048 deep.
    pub tx: mpsc::Receiver<TxEvent>,
    /// 64 deep.
    pub bulk: mpsc::Receiver<BulkEvent>,
}

/// For the consensus machine.
#[derive(Clone, Debug)]
pub enum ConsensusEvent {
    /// A vote, for this height or too late for it.
    Vote {
        /// Who relayed it.
        peer: PeerId,
        /// The vote.
        vote: Verified<Vote>,
    },
    /// A proposal.
    Proposal {
        /// Who relayed it.
        peer: PeerId,
        /// The proposal.
        proposal: Verified<Proposal>,
        /// The block, if it rides inline. That it is the one proposed is not checked here.
        block: Option<Vec<u8>>,
    },
    /// A certificate; the relaying validator's signature is checked, the votes inside are not.
    Certificate {
        /// Who relayed it.
        peer: PeerId,
        /// The certificate.
        certificate: Verified<RelayedCertificate>,
    },
    /// A peer finished `hello`.
    PeerUp {
        /// The peer.
        peer: PeerId,
        /// What it is.
        role: Role,
        /// For which validator it proved to speak.
        validator: Option<ValidatorId>,
        /// Where it says its chain ends.
        tip: Tip,
    },
    /// A peer that had finished `hello` is gone.
    PeerDown {
        /// The peer.
        peer: PeerId,
    },
    /// Where a peer says its chain ends. Nobody checked.
    Status {
        /// The peer.
        peer: PeerId,
        /// Its claim.
        tip: Tip,
    },
    /// A peer relayed a message from beyond our window. Nobody checked its signature.
    Ahead {
        /// The peer.
        peer: PeerId,
        /// The message's height.
        height: Height,
    },
    /// Answer to [`crate::NetHandle::fetch_body`].
    Body {
        /// Who answered.
        peer: PeerId,
        /// What was asked for. That the bytes are this block is not checked here.
        block: BlockId,
        /// header ‖ body; nothing if the peer lacks it or did not answer.
        bytes: Option<Vec<u8>>,
    },
    /// Answer to [`crate::NetHandle::ask_height`].
    Synced {
        /// Who answered.
        peer: PeerId,
        /// The first height asked for.
        from: Height,
        /// Blocks in order, unchecked; empty if the peer has none or did not answer.
        blocks: Vec<DecidedBlock>,
    },
}

/// For the evidence actor.
#[derive(Clone, Debug)]
pub struct EvidenceEvent {
    /// Who relayed it.
    pub peer: PeerId,
    /// The pair; the relaying validator's signature is checked, the two inside are not.
    pub pair: Verified<Pair>,
}

/// For the mempool.
#[derive(Clone, Debug)]
pub struct TxEvent {
    /// Who relayed it.
    pub peer: PeerId,
    /// The transaction.
    pub tx: Verified<Tx>,
}

/// For whoever fetches blobs.
#[derive(Clone, Debug)]
pub struct BulkEvent {
    /// Who was asked.
    pub peer: PeerId,
    /// For what.
    pub request: BlobRequest,
    /// What came. The chunk's hash is not checked here; report a liar.
    pub outcome: Result<Chunk, FetchFailure>,
}

/// Why a chunk did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchFailure {
    /// The peer does not hold it, or not for us.
    #[error("peer does not hold it")]
    NotHeld,
    /// No connection, no answer in time, or the stream broke.
    #[error("no answer")]
    NoAnswer,
    /// The answer was malformed.
    #[error("broken answer")]
    Broken,
}
