//! What the network asks of the rest of the node.
//!
//! `net` decides nothing about meaning. These four traits are all it knows of the world behind it;
//! a test implements them in a few lines.

use std::io;

use protocol::digest::BlockId;
use protocol::envelope::EnvelopeHeader;
use protocol::units::{Height, Round};

use crate::bans::Ban;
use crate::book::KnownPeer;
use crate::messages::{BlobRequest, Chunk, DecidedBlock, Tip};

/// The admission filter over the newest snapshot.
pub trait Gate: Send + Sync + 'static {
    /// Judges a message by its header alone, before its signature is checked. Runs on the network
    /// loop: it must not block, and must not trust a word of the header.
    fn admit(&self, header: &EnvelopeHeader) -> Admission;
}

/// The gate's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Of use now: verify, forward, deliver.
    Admit,
    /// Too late to matter, but may prove an offence: verify and deliver, do not forward.
    Late,
    /// Beyond the window. Its relayer is ahead of us, perhaps.
    Ahead,
    /// About a set that we do not know yet.
    UnknownSet,
    /// Held already.
    Duplicate,
    /// Signed by somebody who may not, in a set that we do know. The relayer could have known.
    Foreign,
}

/// What survives a restart. Called on threads that may block.
pub trait PeerMemory: Send + Sync + 'static {
    /// The bans in force when the process last ended.
    ///
    /// # Errors
    /// If they cannot be read. Nothing stored yet is no error.
    fn load_bans(&self) -> io::Result<Vec<Ban>>;
    /// Replaces the stored bans.
    ///
    /// # Errors
    /// If they cannot be written; they stay in force in this process.
    fn store_bans(&self, bans: &[Ban]) -> io::Result<()>;
    /// The address book as last stored.
    ///
    /// # Errors
    /// As [`Self::load_bans`].
    fn load_peers(&self) -> io::Result<Vec<KnownPeer>>;
    /// Replaces the stored address book.
    ///
    /// # Errors
    /// As [`Self::store_bans`].
    fn store_peers(&self, peers: &[KnownPeer]) -> io::Result<()>;
}

/// Chunks for others. Called on a thread that may block.
pub trait Blobs: Send + Sync + 'static {
    /// At most [`crate::messages::CHUNK_BYTES`] bytes of a blob from the offset on; nothing if it
    /// is not held, or not for the likes of this peer.
    fn chunk(&self, request: BlobRequest, access: Access) -> Option<Chunk>;
}

/// On whose behalf a blob is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: models and escalated jobs' data.
    Public,
    /// A peer with a validator's proof: also job inputs and outputs.
    Validator,
}

/// The chain, read-only.
pub trait Chain: Send + Sync + 'static {
    /// The last committed block. Runs on the network loop: memory only.
    fn tip(&self) -> Tip;
    /// Envelopes (votes and the proposal, without its block) of a round. Runs on the loop.
    fn round(&self, height: Height, round: Round) -> Vec<Vec<u8>>;
    /// A block's header ‖ body by id. Runs on the loop.
    fn body(&self, block: &BlockId) -> Option<Vec<u8>>;
    /// At most `count_max` decided blocks in order. Called on a thread that may block.
    fn decided(&self, from: Height, count_max: usize) -> Vec<DecidedBlock>;
}
