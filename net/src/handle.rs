//! Commands to the network: all of them return at once.

use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use protocol::codec::encode;
use protocol::digest::BlockId;
use protocol::envelope::{Kind, seal_certificate, seal_pair, seal_proposal, seal_tx, seal_vote};
use protocol::signed::Signed;
use protocol::tx::{KeyKind, Tx};
use protocol::units::{Height, Round};
use protocol::vote::{Pair, Proposal, RelayedCertificate, Vote};
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::bans::Ban;
use crate::bundle::ENVELOPE_BYTES_MAX;
use crate::gossip::PAYLOAD_BYTES_MAX;
use crate::ladder::Offence;
use crate::messages::BlobRequest;
use crate::peers::{Member, PeerRow};
use crate::proof::Proof;
use crate::topic::Topic;
use crate::verify::topic_of;

/// Depth of the urgent command queue.
pub(crate) const HIGH: usize = 256;
/// Depth of the other.
pub(crate) const LOW: usize = 64;

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The urgent queue is full: the loop is stuck, and the process should end (exit 69).
    #[error("network loop is stuck: {HIGH} urgent commands waiting")]
    Stuck,
    /// A queue is full: try later.
    #[error("network is busy")]
    Busy,
    /// The network has ended.
    #[error("network has ended")]
    Ended,
    /// The message does not fit a gossip frame; a block that does not must travel apart.
    #[error("envelope of {len} bytes, at most {PAYLOAD_BYTES_MAX} allowed")]
    TooLarge {
        /// Its length.
        len: usize,
    },
}

#[derive(Debug)]
pub(crate) enum High {
    #[cfg(feature = "hostile")]
    PublishRaw {
        topic: Topic,
        bytes: Vec<u8>,
    },
    Publish {
        topic: Topic,
        bytes: Vec<u8>,
    },
    Offer {
        height: Height,
        round: Round,
    },
    Admit(Vec<Member>),
    SetProof(Proof),
    Report {
        peer: PeerId,
        offence: Offence,
    },
    Ban(PeerId),
    Unban(PeerId),
    Shutdown,
}

#[derive(Debug)]
pub(crate) enum Low {
    FetchBody { peer: PeerId, block: BlockId },
    AskHeight { peer: PeerId, from: Height },
    FetchChunk { peer: PeerId, request: BlobRequest },
    Dial(Multiaddr),
}

/// What the network shows of itself, renewed a few times a second.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Greeted peers.
    pub peers: Vec<PeerRow>,
    /// Bans in force.
    pub bans: Vec<Ban>,
    /// Addresses we listen on.
    pub listening: Vec<Multiaddr>,
}

/// A handle on the running network; clones share it.
#[derive(Clone, Debug)]
pub struct NetHandle {
    pub(crate) tasks: tokio::runtime::Handle,
    pub(crate) local: PeerId,
    pub(crate) high: mpsc::Sender<High>,
    pub(crate) low: mpsc::Sender<Low>,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) ended: watch::Receiver<bool>,
}

impl NetHandle {
    /// Runs a task beside the network's loop, so that what the loop hands it wakes no other thread. It
    /// must never block, and ends with the network.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Nobody joins it: it ends when its lane does.
        drop(self.tasks.spawn(task));
    }

    /// Our own peer id.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.local
    }

    /// Sends a vote to everybody.
    ///
    /// # Errors
    /// [`CommandError::Stuck`], [`CommandError::Ended`].
    pub fn broadcast_vote(&self, vote: &Signed<Vote>) -> Result<(), CommandError> {
        self.publish(Topic::Cons, seal_vote(vote))
    }

    /// Sends a proposal; `block` rides along if the proposal says so.
    ///
    /// # Errors
    /// [`CommandError::TooLarge`] if it does not fit; then the proposal must be signed anew with
    /// its block apart. Else as [`Self::broadcast_vote`].
    pub fn broadcast_proposal(
        &self,
        proposal: &Signed<Proposal>,
        block: &[u8],
    ) -> Result<(), CommandError> {
        self.publish(Topic::Cons, seal_proposal(proposal, block))
    }

    /// Sends a certificate.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    pub fn broadcast_certificate(
        &self,
        certificate: &Signed<RelayedCertificate>,
    ) -> Result<(), CommandError> {
        self.publish(Topic::Cons, seal_certificate(certificate))
    }

    /// Gossips a contradicting pair. Its holder offers it again until it is included.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    pub fn gossip_pair(&self, pair: &Signed<Pair>) -> Result<(), CommandError> {
        self.publish(Topic::Evid, seal_pair(pair))
    }

    /// Gossips a transaction, on the topic its key belongs to. A flood of them is no sign of a stuck
    /// loop: what users send waits for room in the pool that has it, not here.
    ///
    /// # Errors
    /// [`CommandError::Busy`] for a user's transaction, else as [`Self::broadcast_vote`].
    pub fn gossip_tx(&self, tx: &Signed<Tx>) -> Result<(), CommandError> {
        let kind = match tx.message.key_kind {
            KeyKind::Wallet => Kind::Tx,
            KeyKind::Session => Kind::Duty,
        };
        let message = &tx.message;
        let bytes = encode(message);
        let (signer, until) = (message.signer, message.valid_until);
        let sealed = seal_tx(kind, &bytes, signer, until, &tx.signature);
        match (kind, self.publish(topic_of(kind), sealed)) {
            (Kind::Tx, Err(CommandError::Stuck)) => Err(CommandError::Busy),
            (_, published) => published,
        }
    }

    /// Gossips bytes that are sealed already. Nothing is checked but their length; peers will. The
    /// pace is that of our own [`crate::Limits`], so a test's hostile peer raises those.
    ///
    /// # Errors
    /// As [`Self::broadcast_proposal`].
    pub fn publish(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), CommandError> {
        let most = match topic {
            Topic::Tx => ENVELOPE_BYTES_MAX,
            Topic::Cons | Topic::Evid | Topic::Duty => PAYLOAD_BYTES_MAX,
        };
        if bytes.len() > most {
            return Err(CommandError::TooLarge { len: bytes.len() });
        }
        self.send_high(High::Publish { topic, bytes })
    }

    /// Publishes any bytes on a topic, unpaced: what a hostile peer would do.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    #[cfg(feature = "hostile")]
    pub fn publish_raw(&self, topic: Topic, bytes: Vec<u8>) -> Result<(), CommandError> {
        self.send_high(High::PublishRaw { topic, bytes })
    }

    /// Publishes an envelope unpaced and alone.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    #[cfg(feature = "hostile")]
    pub fn publish_unpaced(&self, topic: Topic, envelope: Vec<u8>) -> Result<(), CommandError> {
        let bytes = match topic {
            Topic::Tx => crate::bundle::seal(&[envelope]),
            Topic::Cons | Topic::Evid | Topic::Duty => envelope,
        };
        self.publish_raw(topic, bytes)
    }

    /// Rebroadcasts a round: repeated bytes would be duplicates to gossip, so every validator peer
    /// is offered what we hold of it and asked for what we lack.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    pub fn offer_round(&self, height: Height, round: Round) -> Result<(), CommandError> {
        self.send_high(High::Offer { height, round })
    }

    /// Replaces the set of validators that the chain admits.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    pub fn admit(&self, members: Vec<Member>) -> Result<(), CommandError> {
        self.send_high(High::Admit(members))
    }

    /// Replaces the proof we show from now on.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    pub fn set_proof(&self, proof: Proof) -> Result<(), CommandError> {
        self.send_high(High::SetProof(proof))
    }

    /// Charges a peer for something only the layers above can see: a lying chunk, block or body.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    pub fn report(&self, peer: PeerId, offence: Offence) -> Result<(), CommandError> {
        self.send_high(High::Report { peer, offence })
    }

    /// Bans a peer at the operator's word.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    pub fn ban(&self, peer: PeerId) -> Result<(), CommandError> {
        self.send_high(High::Ban(peer))
    }

    /// Lifts a ban at the operator's word.
    ///
    /// # Errors
    /// As [`Self::broadcast_vote`].
    pub fn unban(&self, peer: PeerId) -> Result<(), CommandError> {
        self.send_high(High::Unban(peer))
    }

    /// Asks a peer for a block. [`crate::ConsensusEvent::Body`] answers, always.
    ///
    /// # Errors
    /// [`CommandError::Busy`], [`CommandError::Ended`].
    pub fn fetch_body(&self, peer: PeerId, block: BlockId) -> Result<(), CommandError> {
        self.send_low(Low::FetchBody { peer, block })
    }

    /// Asks a peer for decided blocks. [`crate::ConsensusEvent::Synced`] answers, always.
    ///
    /// # Errors
    /// As [`Self::fetch_body`].
    pub fn ask_height(&self, peer: PeerId, from: Height) -> Result<(), CommandError> {
        self.send_low(Low::AskHeight { peer, from })
    }

    /// Asks a peer for a chunk. [`crate::BulkEvent`] answers unless its lane is full.
    ///
    /// # Errors
    /// As [`Self::fetch_body`].
    pub fn fetch_chunk(&self, peer: PeerId, request: BlobRequest) -> Result<(), CommandError> {
        self.send_low(Low::FetchChunk { peer, request })
    }

    /// Dials an address once.
    ///
    /// # Errors
    /// As [`Self::fetch_body`].
    pub fn dial(&self, address: Multiaddr) -> Result<(), CommandError> {
        self.send_low(Low::Dial(address))
    }

    /// Peers, bans and listeners as of a moment ago.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// The same as a channel, for those who wait for a change.
    #[must_use]
    pub fn watch_view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Asks the network to end; [`Self::ended`] tells when it has.
    pub fn shutdown(&self) {
        if self.send_high(High::Shutdown).is_err() {
            tracing::debug!(event = "shutdown_of_ended_network");
        }
    }

    /// Turns true when the network has ended, asked or not.
    #[must_use]
    pub fn ended(&self) -> watch::Receiver<bool> {
        self.ended.clone()
    }

    fn send_high(&self, command: High) -> Result<(), CommandError> {
        self.high.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Stuck,
            mpsc::error::TrySendError::Closed(_) => CommandError::Ended,
        })
    }

    fn send_low(&self, command: Low) -> Result<(), CommandError> {
        self.low.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Ended,
        })
    }
}
