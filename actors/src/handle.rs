//! A running node, as its binary holds it.

mod artifacts;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use net::{NetHandle, View};
use protocol::digest::{Address, BlockId, ChainId, Digest, TxId};
use protocol::keys::{PublicKey, SecretKey, Signature};
use protocol::signed::{Signed, Verified};
use protocol::tx::{Tx, heartbeat_digest};
use protocol::units::Height;
use storage::handle::{Storage, StorageHandle};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

pub use artifacts::{ManifestPut, PutError};

use crate::audit::AuditTrail;
use crate::catalogue::{
    ConsensusMail, EscrowMail, EvidenceMail, ExecutionMail, JobsMail, MempoolMail, NetworkMail,
    StakingMail,
};
use crate::clock::Wall;
use crate::engine::Engine;
use crate::feed::EventFeed;
use crate::jobs::workflow::Capacity;
use crate::mailbox::{AskError, Outbox};
use crate::mempool::Admission;
use crate::network::PublicBlobs;
use crate::snapshot::Snapshot;
use crate::staking::workflow::Facts;
use crate::supervisor::{Fatal, Supervisor};
use crate::tamper::{TamperSwitch, UnknownProfile};

/// An outbox of every actor, for pings.
#[derive(Clone, Debug)]
pub(crate) struct Bells {
    pub(crate) consensus: Outbox<ConsensusMail>,
    pub(crate) mempool: Outbox<MempoolMail>,
    pub(crate) network: Outbox<NetworkMail>,
    pub(crate) staking: Outbox<StakingMail>,
    pub(crate) escrow: Outbox<EscrowMail>,
    pub(crate) jobs: Outbox<JobsMail>,
    pub(crate) execution: Outbox<ExecutionMail>,
    pub(crate) evidence: Outbox<EvidenceMail>,
}

/// What `wiring::start` leaves running.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) bells: Bells,
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(crate) feed: EventFeed,
    pub(crate) net: NetHandle,
    pub(crate) storage: Storage,
    pub(crate) standing: watch::Receiver<Facts>,
    pub(crate) tamper: TamperSwitch,
    pub(crate) wall: Wall,
    pub(crate) audit: AuditTrail,
    pub(crate) public: PublicBlobs,
    pub(crate) supervisor: Supervisor,
    pub(crate) session: Option<Arc<SecretKey>>,
    pub(crate) consensus: Option<Arc<SecretKey>>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) thread: std::thread::JoinHandle<()>,
    pub(crate) chain: ChainId,
}

/// What ends with the node.
#[derive(Debug)]
struct Lifeline {
    storage: Storage,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    bells: Bells,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    feed: EventFeed,
    net: NetHandle,
    storage: StorageHandle,
    standing: watch::Receiver<Facts>,
    tamper: TamperSwitch,
    wall: Wall,
    audit: AuditTrail,
    public: PublicBlobs,
    supervisor: Supervisor,
    session: Option<Arc<SecretKey>>,
    consensus: Option<Arc<SecretKey>>,
    engine: Arc<dyn Engine>,
    chain: ChainId,
    lifeline: Mutex<Option<Lifeline>>,
}

/// A running node. Clones are the same node.
#[derive(Clone)]
pub struct NodeHandle {
    inner: Arc<Inner>,
}

impl fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeHandle({})", self.inner.net.peer_id())
    }
}

/// Why a transaction did not even reach the mempool.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The signature is not the signer's on this chain.
    #[error("signature does not verify on this chain")]
    Signature,
    /// The node is stopping.
    #[error(transparent)]
    Gone(#[from] AskError),
}

impl SubmitError {
    /// The stable machine code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signature => "tx.bad_signature",
            Self::Gone(_) => "node.stopping",
        }
    }
}

/// Both hot keys' signs of life over a recent block, for `Unjail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The block's height.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// By the consensus key.
    pub consensus: Signature,
    /// By the session key.
    pub session: Signature,
}

impl NodeHandle {
    pub(crate) fn new(running: Running) -> Self {
        let Running {
            storage,
            stop,
            thread,
            ..
        } = running;
        let inner = Inner {
            bells: running.bells,
            snapshots: running.snapshots,
            feed: running.feed,
            net: running.net,
            storage: storage.handle(),
            standing: running.standing,
            tamper: running.tamper,
            wall: running.wall,
            audit: running.audit,
            public: running.public,
            supervisor: running.supervisor,
            session: running.session,
            consensus: running.consensus,
            engine: running.engine,
            chain: running.chain,
            lifeline: Mutex::new(Some(Lifeline {
                storage,
                stop,
                thread,
            })),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Which chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.inner.chain
    }

    /// Offers a signed transaction: verifies the signature, which takes less time than handing it to
    /// another thread would, and asks the mempool.
    ///
    /// # Errors
    /// [`SubmitError`] if it does not get as far as the mempool.
    pub async fn submit(&self, signed: Signed<Tx>) -> Result<Admission, SubmitError> {
        let verified = signed.verify(&self.inner.chain);
        let tx = Box::new(verified.map_err(|_| SubmitError::Signature)?);
        let mempool = &self.inner.bells.mempool;
        Ok(mempool
            .ask(|reply| MempoolMail::Submit { tx, reply })
            .await?)
    }

    /// A transaction that waits in the mempool.
    ///
    /// # Errors
    /// [`AskError`] if the node is stopping.
    pub async fn waiting(&self, id: TxId) -> Result<Option<Arc<Verified<Tx>>>, AskError> {
        self.inner
            .bells
            .mempool
            .ask(|reply| MempoolMail::Lookup { id, reply })
            .await
    }

    /// The nonce an account should use next, counting what waits.
    ///
    /// # Errors
    /// [`AskError`] if the node is stopping.
    pub async fn next_nonce(&self, account: Address) -> Result<u64, AskError> {
        self.inner
            .bells
            .mempool
            .ask(|reply| MempoolMail::NextNonce { account, reply })
            .await
    }

    /// The newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshots.borrow().clone()
    }

    /// The newest snapshot, with a way to wait for the next.
    #[must_use]
    pub fn watch_snapshot(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.inner.snapshots.clone()
    }

    /// The events of the last heights.
    #[must_use]
    pub fn feed(&self) -> &EventFeed {
        &self.inner.feed
    }

    /// Blocks, blobs and stored events.
    #[must_use]
    pub fn storage(&self) -> &StorageHandle {
        &self.inner.storage
    }

    /// Peers, bans and listeners as of a moment ago.
    #[must_use]
    pub fn network(&self) -> Arc<View> {
        self.inner.net.view()
    }

    /// The network itself: bans at the operator's word, dials.
    #[must_use]
    pub fn net(&self) -> &NetHandle {
        &self.inner.net
    }

    /// Where our own validator stands.
    #[must_use]
    pub fn standing(&self) -> Facts {
        self.inner.standing.borrow().clone()
    }

    /// The key our validator votes with, if the node holds one.
    #[must_use]
    pub fn consensus_key(&self) -> Option<PublicKey> {
        self.inner.consensus.as_ref().map(|key| key.public())
    }

    /// The key our validator's seats speak with, if the node holds one.
    #[must_use]
    pub fn session_key(&self) -> Option<PublicKey> {
        self.inner.session.as_ref().map(|key| key.public())
    }

    /// Runs possible at once; none means that seats are declined.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.inner.engine.slots()
    }

    /// The protection under which models run.
    #[must_use]
    pub fn tier(&self) -> String {
        self.inner.engine.tier()
    }

    /// Stops or resumes taking seats.
    pub fn set_capacity(&self, capacity: Capacity) {
        let jobs = &self.inner.bells.jobs;
        if jobs.try_tell(JobsMail::Capacity(capacity)).is_err() {
            tracing::warn!("capacity_not_taken");
        }
    }

    /// Signs of life from both hot keys over the newest block, and nothing else: not a signing
    /// oracle. None if the node lacks a key or no block was committed yet.
    #[must_use]
    pub fn heartbeat(&self) -> Option<Heartbeat> {
        let (consensus, session) = self
            .inner
            .consensus
            .as_ref()
            .zip(self.inner.session.as_ref())?;
        let snapshot = self.snapshot();
        let validator = snapshot.state.key_holder(&consensus.public())?;
        snapshot.header?;
        let digest = heartbeat_digest(&self.inner.chain, &validator, &snapshot.block);
        Some(Heartbeat {
            height: snapshot.height,
            block: snapshot.block,
            consensus: consensus.sign(&digest),
            session: session.sign(&digest),
        })
    }

    /// Which blobs anybody may have.
    #[must_use]
    pub fn public_blobs(&self) -> &PublicBlobs {
        &self.inner.public
    }

    /// The audit trail, for what the API and the operator do.
    #[must_use]
    pub fn audit(&self) -> &AuditTrail {
        &self.inner.audit
    }

    /// Switches a rehearsed misdeed on, from a height, or off.
    ///
    /// # Errors
    /// [`UnknownProfile`] if the binary carries none of this name.
    pub fn byzantine(&self, profile: Option<(&str, Height)>) -> Result<(), UnknownProfile> {
        self.inner.tamper.set(profile)
    }

    /// The misdeed being rehearsed.
    #[must_use]
    pub fn byzantine_profile(&self) -> Option<&'static str> {
        self.inner.tamper.name()
    }

    /// Moves this node's wall clock, for fault injection on local chains.
    pub fn set_clock_skew_ms(&self, skew_ms: i64) {
        self.inner.wall.set_skew_ms(skew_ms);
    }

    /// Whether every actor has worked through what it held: for `/livez`. The caller sets the limit.
    ///
    /// # Errors
    /// The name of the first actor that is gone.
    pub async fn ping(&self) -> Result<(), &'static str> {
        let bells = &self.inner.bells;
        bells.consensus.ping().await.map_err(|_| "consensus")?;
        bells.mempool.ping().await.map_err(|_| "mempool")?;
        bells.network.ping().await.map_err(|_| "network")?;
        bells.staking.ping().await.map_err(|_| "staking")?;
        bells.escrow.ping().await.map_err(|_| "escrow")?;
        bells.jobs.ping().await.map_err(|_| "jobs")?;
        bells.execution.ping().await.map_err(|_| "execution")?;
        bells.evidence.ping().await.map_err(|_| "evidence")
    }

    /// Where the binary waits for a fault.
    #[must_use]
    pub fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.inner.supervisor.watch()
    }

    /// Stops everything, in good order if nothing failed before. Blocks until the threads have ended;
    /// a second call finds nothing to do.
    ///
    /// # Errors
    /// When the store could not note the orderly stop.
    pub fn shutdown(&self) -> io::Result<()> {
        let lifeline = self
            .inner
            .lifeline
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Lifeline {
            storage,
            stop,
            thread,
        }) = lifeline
        else {
            return Ok(());
        };
        self.inner
            .audit
            .record("node", "stop", self.inner.chain.to_string(), Digest::ZERO);
        self.inner.supervisor.close();
        self.inner.net.shutdown();
        // The system's thread may have ended by itself.
        let _ended = stop.send(());
        let _panicked = thread.join();
        storage.close()
    }
}
