//! Composition: every mailbox, actor, thread and arbiter of a node is made here and nowhere else.
//!
//! Order: restore the state, boot the machine, make all mailboxes, start the network, start the
//! actors. All mailboxes exist before the first actor runs, so a letter sent during start waits.

mod boxes;
mod domains;
mod shared;
mod spine;
mod threads;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use consensus::{Boot, Effect, Machine, Signer, TimerId, Timing};
use net::PeerMemory;
use prometheus::Registry;
use protocol::genesis::Genesis;
use protocol::keys::{KeyError, SecretKey};
use protocol::units::Amount;
use storage::handle::Storage;
use storage::open::Recovered;
use thiserror::Error;
use tokio::sync::watch;

use crate::agreement::boot;
use crate::audit::AuditTrail;
use crate::clock::Wall;
use crate::engine::Engine;
use crate::feed::EventFeed;
use crate::handle::{NodeHandle, Running};
use crate::mailbox::{MailboxMetrics, Post};
use crate::mempool::TakenJobs;
use crate::network::PublicBlobs;
use crate::network::lanes;
use crate::network::ports::Views;
use crate::snapshot::Snapshot;
use crate::staking::workflow::{Facts, Standing};
use crate::supervisor::{Fatal, HaltReason, Supervisor};
use crate::tamper::{Means, Profiles, TamperSwitch};
use crate::verified::VerifiedTxs;
use crate::wire::NodeWire;
use boxes::{Boxes, Metrics};
use shared::Shared;
use spine::{Core, NetParts};
use threads::Arbiters;

/// What the clock thread reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TimerKey {
    /// A timer of the machine.
    Consensus(TimerId),
    /// A transfer found nobody to ask.
    RetryBlobs,
    /// The proof for which validator we speak.
    RenewProof,
}

/// The keys that live on the host.
#[derive(Debug, Default)]
pub struct NodeKeys {
    /// Signs proposals and votes; none for a node that only watches.
    pub consensus: Option<SecretKey>,
    /// Signs results, evidence and peer proofs; none for a node that only watches.
    pub session: Option<SecretKey>,
}

/// Everything a node is made of.
pub struct NodeParts {
    /// The chain.
    pub genesis: Genesis,
    /// The hot keys.
    pub keys: NodeKeys,
    /// The open store. Its observer should be a [`crate::observer::StorageObserver`] of the same
    /// supervisor.
    pub storage: Storage,
    /// What opening it found.
    pub recovered: Recovered,
    /// Settings of the network.
    pub net: net::Config,
    /// What the network remembers over restarts.
    pub peer_memory: Arc<dyn PeerMemory>,
    /// What runs models.
    pub engine: Arc<dyn Engine>,
    /// Rehearsed misdeeds, on local test networks.
    pub profiles: Arc<dyn Profiles>,
    /// Where every component registers its metrics.
    pub registry: Registry,
    /// Who ends the process.
    pub supervisor: Supervisor,
}

impl std::fmt::Debug for NodeParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeParts")
            .field("chain", &self.genesis.chain_id)
            .finish_non_exhaustive()
    }
}

/// Why a node did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store and the chain do not fit together, or the machine refuses to start.
    #[error("{}: {}", .0.reason.name(), .0.detail)]
    Fatal(Fatal),
    /// The network.
    #[error(transparent)]
    Net(#[from] net::StartError),
    /// A metric is registered twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A thread.
    #[error("start thread: {0}")]
    Thread(#[from] io::Error),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl From<Fatal> for StartError {
    fn from(fatal: Fatal) -> Self {
        Self::Fatal(fatal)
    }
}

/// Starts a node. When this returns, its actors run and its listeners are bound.
///
/// # Errors
/// [`StartError`]; a node that does not start leaves nothing running but the store, which recovers.
pub fn start(mut parts: NodeParts) -> Result<NodeHandle, StartError> {
    let storage = parts.storage.handle();
    let restored = boot::restore(&parts.genesis, &storage, &parts.recovered)?;
    let first = Arc::new(restored.snapshot);
    let (chain, wall) = (parts.genesis.chain_id, Wall::default());
    let secret = parts
        .keys
        .consensus
        .as_ref()
        .map(copy)
        .transpose()?
        .map(Arc::new);
    let consensus_key = secret.as_ref().map(|secret| secret.public());
    let session = parts.keys.session.take().map(Arc::new);
    let (machine, effects) = machine(&mut parts, &first)?;

    let registry = &parts.registry;
    let metrics = Metrics::new(registry, consensus_key)?;
    let post = Post::new(MailboxMetrics::new(registry)?, parts.supervisor.clone());
    let boxes = Boxes::new(&post);
    let (windows, window) = watch::channel(Arc::new(machine.window()));
    let (publish, snapshots) = watch::channel(first.clone());
    let public = PublicBlobs::default();
    let mut config = parts.net;
    spine::prove(&mut config, session.as_ref(), &first, &wall);
    let role = config.role;
    let (net, lanes) = spine::network_loop(NetParts {
        config,
        metrics: metrics.net.clone(),
        memory: parts.peer_memory,
        views: Views {
            window,
            snapshots: snapshots.clone(),
        },
        storage: storage.clone(),
        public: public.clone(),
    })?;
    let means = Means {
        chain,
        validator: consensus_key.and_then(|key| first.state.key_holder(&key)),
        consensus_key: secret.clone(),
        session_key: session.clone(),
        wire: Arc::new(NodeWire::new(net.clone(), &boxes.bells(), chain)),
    };
    let shared = Shared {
        chain,
        consensus_key,
        session,
        net,
        timers: threads::clock(&boxes, &parts.supervisor)?,
        tamper: TamperSwitch::new(parts.profiles, means),
        audit: AuditTrail::new(
            storage.clone(),
            wall.clone(),
            parts.supervisor.clone(),
            registry,
        )?,
        storage,
        wall,
        public,
        supervisor: parts.supervisor,
        feed: EventFeed::new(restored.history, first.height),
        first,
        recovered: parts.recovered,
        engine: parts.engine,
        metrics,
        bells: boxes.bells(),
        verified: VerifiedTxs::default(),
        taken: TakenJobs::default(),
    };
    let core = Core {
        machine,
        effects,
        windows,
        publish,
        lost: restored.lost,
        role,
    };
    run(
        shared,
        core,
        boxes,
        lanes,
        Outside {
            storage: parts.storage,
            secret,
            snapshots,
        },
    )
}

/// What only the handle needs.
struct Outside {
    storage: Storage,
    secret: Option<Arc<SecretKey>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Starts the actors and hands the node out.
fn run(
    shared: Shared,
    core: Core,
    boxes: Boxes,
    lanes: net::Lanes,
    outside: Outside,
) -> Result<NodeHandle, StartError> {
    shared
        .audit
        .record("node", "start", shared.chain.to_string(), shared.chain.0);
    shared.open_models();
    let nowhere = Facts {
        standing: Standing::Unregistered,
        bonded: Amount::ZERO,
    };
    let (publish_standing, standing) = watch::channel(nowhere);
    let execution = domains::execution(&shared)?;
    let threads = Arbiters::start()?;

    let (staking, escrow) = (
        domains::staking(&shared, publish_standing),
        domains::escrow(&shared),
    );
    let (jobs, evidence) = (domains::jobs(&shared), domains::evidence(&shared));
    boxes.staking.1.start(&threads.duty, move || staking);
    boxes.escrow.1.start(&threads.duty, move || escrow);
    boxes.jobs.1.start(&threads.duty, move || jobs);
    boxes.execution.1.start(&threads.duty, move || execution);
    boxes.evidence.1.start(&threads.duty, move || evidence);
    let (network, mempool) = (spine::network(&shared, &core), spine::mempool(&shared));
    boxes.network.1.start(&threads.gate, move || network);
    boxes.mempool.1.start(&threads.gate, move || mempool);
    let consensus = spine::consensus(&shared, core);
    boxes
        .consensus
        .1
        .start(&threads.consensus, move || consensus);
    lanes::start(&shared.net, lanes, spine::lane_ends(&shared));
    lanes::watch_bans(&shared.net, shared.audit.clone());

    Ok(NodeHandle::new(Running {
        bells: shared.bells,
        snapshots: outside.snapshots,
        feed: shared.feed,
        net: shared.net,
        storage: outside.storage,
        standing,
        tamper: shared.tamper,
        wall: shared.wall,
        audit: shared.audit,
        public: shared.public,
        supervisor: shared.supervisor,
        session: shared.session,
        consensus: outside.secret,
        engine: shared.engine,
        stop: threads.stop,
        thread: threads.thread,
        chain: shared.chain,
    }))
}

/// After a stop in good order no longer ago than this nobody can have taken the key elsewhere and
/// caught up.
const SHORT_STOP: Duration = Duration::from_secs(60);

/// Boots the machine on the restored state and the write-ahead log.
fn machine(parts: &mut NodeParts, first: &Snapshot) -> Result<(Machine, Vec<Effect>), StartError> {
    let boot = Boot {
        chain: parts.genesis.chain_id,
        committed: first.height,
        sets: boot::sets(&first.state),
        timing: Timing::from(&parts.genesis.params),
        signer: parts.keys.consensus.take().map(Signer::new),
        floor: boot::floor(parts.recovered.floor),
        log: boot::log(&mut parts.recovered),
        epoch: 0,
    };
    let fatal = |halt: consensus::Halt| {
        Fatal::new(HaltReason::of_exit_code(halt.exit_code()), halt.to_string())
    };
    let is_short = |stopped_ago: Duration| stopped_ago < SHORT_STOP;
    let is_alone = parts.genesis.is_local() || parts.recovered.stopped_ago.is_some_and(is_short);
    let started = if is_alone || boot.signer.is_none() {
        Machine::boot(boot)
    } else {
        tracing::info!("silent_for_a_twin");
        Machine::boot_after_vigil(boot)
    };
    let (machine, effects) = started.map_err(fatal)?;
    if let Some(through) = machine.silent_through() {
        tracing::warn!(tip = %first.height, %through, "sign_state_above_tip");
    }
    Ok((machine, effects))
}

/// A second copy of a key: one is the machine's, the other signs heartbeats.
fn copy(key: &SecretKey) -> Result<SecretKey, KeyError> {
    SecretKey::from_bytes(&key.expose())
}
