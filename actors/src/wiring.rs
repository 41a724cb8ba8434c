//! Composition: every mailbox, actor, thread and arbiter of a node is made here and nowhere else.
//!
//! Order: restore the state, boot the machine, make all mailboxes, start the network, start the
//! actors. All mailboxes exist before the first actor runs, so a letter sent during start waits.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use actix::{Arbiter, ArbiterHandle, System};
use consensus::{Boot, Machine, Signer, TimerId, Timing};
use net::{Lanes, NetHandle, PeerMemory, Ports};
use prometheus::Registry;
use protocol::events::Domain;
use protocol::genesis::Genesis;
use protocol::keys::{KeyError, PublicKey, SecretKey};
use protocol::units::{Amount, Height};
use storage::handle::Storage;
use storage::open::Recovered;
use storage::state::ActorId;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::agreement::actor::{ConsensusActor, ConsensusParts};
use crate::agreement::blocks::Bench;
use crate::agreement::boot;
use crate::agreement::metrics::ConsensusMetrics;
use crate::agreement::publish::Publisher;
use crate::audit::{AuditTrail, actor_id};
use crate::catalogue::{
    ConsensusMail, DomainEvents, EscrowMail, EvidenceMail, ExecutionMail, JobsMail, MempoolMail,
    NetworkMail, StakingMail,
};
use crate::clock::{Timers, Wall};
use crate::duties::Duties;
use crate::escrow::actor::EscrowActor;
use crate::escrow::effects::{EscrowEffects, EscrowMetrics};
use crate::escrow::workflow::Escrow;
use crate::evidence::actor::EvidenceActor;
use crate::evidence::effects::{EvidenceEffects, EvidenceMetrics};
use crate::evidence::workflow::Evidence;
use crate::execution::actor::ExecutionActor;
use crate::execution::effects::{ExecutionEffects, ExecutionMetrics};
use crate::execution::engine::Engine;
use crate::execution::slots::Slots;
use crate::execution::workflow::Execution;
use crate::feed::{EventFeed, HeightEvents};
use crate::handle::{Bells, NodeHandle, Running};
use crate::jobs::actor::JobsActor;
use crate::jobs::effects::{JobsEffects, JobsMetrics};
use crate::jobs::workflow::{Capacity as JobCapacity, Jobs};
use crate::mailbox::{Capacity, Mailbox, MailboxMetrics, Outbox, Post};
use crate::mempool::TakenJobs;
use crate::mempool::actor::{MempoolActor, MempoolMetrics};
use crate::network::PublicBlobs;
use crate::network::actor::{NetworkActor, NetworkParts};
use crate::network::lanes::{self, LaneEnds};
use crate::network::ports::{NodeBlobs, NodeChain, NodeGate, Views};
use crate::snapshot::Snapshot;
use crate::staking::actor::StakingActor;
use crate::staking::effects::{StakingEffects, StakingMetrics};
use crate::staking::workflow::{Facts, Staking, Standing};
use crate::supervisor::{Fatal, HaltReason, Supervisor};
use crate::tamper::{Means, Profiles, TamperSwitch};
use crate::verified::VerifiedTxs;
use crate::wire::NodeWire;

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

/// Mailboxes of the domain actors: one letter a height, and what else they are told.
const DOMAIN: Capacity = Capacity {
    vital: 4_096,
    common: 256,
};
const CONSENSUS: Capacity = Capacity {
    vital: 4_096,
    common: 1_024,
};
const MEMPOOL: Capacity = Capacity {
    vital: 256,
    common: 4_096,
};
const NETWORK: Capacity = Capacity {
    vital: 4_096,
    common: 1_024,
};

struct Metrics {
    consensus: ConsensusMetrics,
    mempool: MempoolMetrics,
    staking: StakingMetrics,
    escrow: EscrowMetrics,
    jobs: JobsMetrics,
    execution: ExecutionMetrics,
    evidence: EvidenceMetrics,
    net: net::Metrics,
}

impl Metrics {
    fn new(registry: &Registry, own: Option<PublicKey>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            consensus: ConsensusMetrics::new(registry, own)?,
            mempool: MempoolMetrics::new(registry)?,
            staking: StakingMetrics::new(registry)?,
            escrow: EscrowMetrics::new(registry)?,
            jobs: JobsMetrics::new(registry)?,
            execution: ExecutionMetrics::new(registry)?,
            evidence: EvidenceMetrics::new(registry)?,
            net: net::Metrics::new(registry)?,
        })
    }
}

/// Both ends of every mailbox.
struct Boxes {
    consensus: (Outbox<ConsensusMail>, Mailbox<ConsensusActor>),
    mempool: (Outbox<MempoolMail>, Mailbox<MempoolActor>),
    network: (Outbox<NetworkMail>, Mailbox<NetworkActor>),
    staking: (Outbox<StakingMail>, Mailbox<StakingActor>),
    escrow: (Outbox<EscrowMail>, Mailbox<EscrowActor>),
    jobs: (Outbox<JobsMail>, Mailbox<JobsActor>),
    execution: (Outbox<ExecutionMail>, Mailbox<ExecutionActor>),
    evidence: (Outbox<EvidenceMail>, Mailbox<EvidenceActor>),
}

impl Boxes {
    fn new(post: &Post) -> Self {
        Self {
            consensus: post.mailbox("consensus", CONSENSUS),
            mempool: post.mailbox("mempool", MEMPOOL),
            network: post.mailbox("network", NETWORK),
            staking: post.mailbox("staking", DOMAIN),
            escrow: post.mailbox("escrow", DOMAIN),
            jobs: post.mailbox("jobs", DOMAIN),
            execution: post.mailbox("execution", DOMAIN),
            evidence: post.mailbox("evidence", DOMAIN),
        }
    }

    fn bells(&self) -> Bells {
        Bells {
            consensus: self.consensus.0.clone(),
            mempool: self.mempool.0.clone(),
            network: self.network.0.clone(),
            staking: self.staking.0.clone(),
            escrow: self.escrow.0.clone(),
            jobs: self.jobs.0.clone(),
            execution: self.execution.0.clone(),
            evidence: self.evidence.0.clone(),
        }
    }
}

/// The threads that actors run on (see the table in the crate's documentation).
struct Arbiters {
    consensus: ArbiterHandle,
    gate: ArbiterHandle,
    duty: ArbiterHandle,
    lanes: ArbiterHandle,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

/// Starts the actix system on a thread of its own.
fn arbiters() -> Result<Arbiters, StartError> {
    let (sender, receiver) = sync_channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("actors".into())
        .spawn(move || {
            System::new().block_on(async move {
                let arbiters = [
                    Arbiter::new(),
                    Arbiter::new(),
                    Arbiter::new(),
                    Arbiter::new(),
                ];
                let handles = arbiters.each_ref().map(Arbiter::handle);
                if sender.send(handles).is_err() {
                    return;
                }
                // Ends also when the handle is dropped without a word.
                let _stopped = stopped.await;
                for arbiter in arbiters {
                    arbiter.stop();
                    // A thread that panicked has told the supervisor already.
                    let _panicked = arbiter.join();
                }
            });
        })?;
    let handles = receiver
        .recv()
        .map_err(|_| io::Error::other("the actor system has ended"))?;
    let [consensus, gate, duty, lanes] = handles;
    Ok(Arbiters {
        consensus,
        gate,
        duty,
        lanes,
        stop,
        thread,
    })
}

/// What several actors share.
struct Common {
    chain: protocol::digest::ChainId,
    consensus_key: Option<PublicKey>,
    session: Option<Arc<SecretKey>>,
    storage: storage::handle::StorageHandle,
    timers: Timers<TimerKey>,
    wall: Wall,
    tamper: TamperSwitch,
    audit: AuditTrail,
    public: PublicBlobs,
    supervisor: Supervisor,
    feed: EventFeed,
    first: Arc<Snapshot>,
    recovered: Recovered,
}

impl Common {
    fn duties(&self, mempool: Outbox<MempoolMail>) -> Duties {
        Duties {
            chain: self.chain,
            session: self.session.clone(),
            mempool,
            storage: self.storage.clone(),
            tamper: self.tamper.clone(),
        }
    }

    fn noted(&self, actor: ActorId) -> Height {
        self.recovered
            .state
            .notes
            .get(&actor)
            .copied()
            .unwrap_or(Height::ZERO)
    }

    /// What an actor has not noted yet, as far as events are still kept.
    fn backlog(&self, actor: ActorId, domain: Domain) -> Vec<DomainEvents> {
        let of = |entry: HeightEvents| DomainEvents {
            height: entry.height,
            events: entry.of(domain),
            snapshot: self.first.clone(),
        };
        self.feed
            .after(self.noted(actor))
            .into_iter()
            .map(of)
            .collect()
    }
}

/// Starts a node. When this returns, its actors run and its listeners are bound.
///
/// # Errors
/// [`StartError`]; a node that does not start leaves nothing running but the store, which recovers.
pub fn start(parts: NodeParts) -> Result<NodeHandle, StartError> {
    let NodeParts {
        genesis,
        keys,
        storage,
        mut recovered,
        net,
        peer_memory,
        engine,
        profiles,
        registry,
        supervisor,
    } = parts;
    let handle = storage.handle();
    let restored = boot::restore(&genesis, &handle, &recovered)?;
    let first = Arc::new(restored.snapshot);
    let wall = Wall::default();
    let consensus_key = keys.consensus.as_ref().map(SecretKey::public);
    let metrics = Metrics::new(&registry, consensus_key)?;
    let consensus_secret = keys.consensus.as_ref().map(copy).transpose()?.map(Arc::new);
    let signer = keys.consensus.map(Signer::new);
    let (machine, effects) = Machine::boot(Boot {
        chain: genesis.chain_id,
        committed: first.height,
        sets: boot::sets(&first.state),
        timing: Timing::from(&genesis.params),
        signer,
        floor: boot::floor(recovered.floor),
        log: boot::log(&mut recovered),
        epoch: 0,
    })
    .map_err(|halt| Fatal::new(HaltReason::of_exit_code(halt.exit_code()), halt.to_string()))?;

    let post = Post::new(MailboxMetrics::new(&registry)?, supervisor.clone());
    let boxes = Boxes::new(&post);
    let (windows, window) = watch::channel(Arc::new(machine.window()));
    let (publish, snapshots) = watch::channel(first.clone());
    let feed = EventFeed::new(restored.history, first.height);
    let timers = clock_thread(&boxes, &supervisor)?;
    let public = PublicBlobs::default();
    let views = Views {
        window,
        snapshots: snapshots.clone(),
    };
    let role = net.role;
    let session = keys.session.map(Arc::new);
    let mut net = net;
    if let Some(session) = session.as_ref().filter(|_| net.proof.is_none())
        && let Some(validator) = first.session_holder(&session.public())
    {
        let (peer, now) = (net.node_key.peer_id(), wall.now().0);
        let proof = net::Proof::sign(session, &genesis.chain_id, role, validator, peer, now);
        net.proof = Some(proof);
    }
    let (net, lanes) = net::start(
        net,
        Ports {
            gate: Arc::new(NodeGate(views.clone())),
            memory: peer_memory,
            blobs: Arc::new(NodeBlobs {
                storage: handle.clone(),
                public: public.clone(),
            }),
            chain: Arc::new(NodeChain {
                views,
                storage: handle.clone(),
            }),
        },
        metrics.net.clone(),
    )?;
    let means = Means {
        chain: genesis.chain_id,
        validator: consensus_key.and_then(|key| first.state.key_holder(&key)),
        consensus_key: consensus_secret.clone(),
        session_key: session.clone(),
        wire: Arc::new(NodeWire {
            net: net.clone(),
            network: boxes.network.0.clone(),
            mempool: boxes.mempool.0.clone(),
            chain: genesis.chain_id,
        }),
    };
    let common = Common {
        chain: genesis.chain_id,
        consensus_key,
        session,
        storage: handle.clone(),
        timers,
        wall: wall.clone(),
        tamper: TamperSwitch::new(profiles, means),
        audit: AuditTrail::new(handle, wall, supervisor.clone(), &registry)?,
        public,
        supervisor,
        feed,
        first: first.clone(),
        recovered,
    };
    common.audit.record(
        "node",
        "start",
        genesis.chain_id.to_string(),
        genesis.chain_id.0,
    );
    for job in first.state.live_jobs() {
        if let Some(request) = first.state.requests.get(&job) {
            common
                .public
                .add_model(&common.storage, request.spec.model_root);
        }
    }
    let (standing, standing_out) = watch::channel(Facts {
        standing: Standing::Unregistered,
        bonded: Amount::ZERO,
    });
    let threads = arbiters()?;
    let bells = boxes.bells();
    let core = Core {
        machine,
        effects,
        windows,
        publish,
        role,
        lanes,
    };
    start_actors(
        core, &common, boxes, &threads, &metrics, &net, &engine, standing,
    )?;
    Ok(NodeHandle::new(Running {
        bells,
        snapshots,
        feed: common.feed,
        net,
        storage,
        standing: standing_out,
        tamper: common.tamper,
        wall: common.wall,
        audit: common.audit,
        public: common.public,
        supervisor: common.supervisor,
        session: common.session,
        consensus: consensus_secret,
        engine,
        stop: threads.stop,
        thread: threads.thread,
        chain: genesis.chain_id,
    }))
}

/// A second copy of a key: one is the machine's, the other signs heartbeats.
fn copy(key: &SecretKey) -> Result<SecretKey, KeyError> {
    SecretKey::from_bytes(&key.expose())
}

fn clock_thread(boxes: &Boxes, supervisor: &Supervisor) -> io::Result<Timers<TimerKey>> {
    let (consensus, network) = (boxes.consensus.0.clone(), boxes.network.0.clone());
    Timers::start(supervisor.clone(), move |key| match key {
        TimerKey::Consensus(id) => consensus.tell(ConsensusMail::Timeout(id)),
        TimerKey::RetryBlobs => network.tell(NetworkMail::RetryBlobs),
        TimerKey::RenewProof => network.tell(NetworkMail::RenewProof),
    })
}

/// What only the consensus and network actors get.
struct Core {
    machine: Machine,
    effects: Vec<consensus::Effect>,
    windows: watch::Sender<Arc<consensus::Window>>,
    publish: watch::Sender<Arc<Snapshot>>,
    role: net::Role,
    lanes: Lanes,
}

#[expect(
    clippy::too_many_arguments,
    reason = "the one place where everything meets"
)]
fn start_actors(
    core: Core,
    common: &Common,
    boxes: Boxes,
    threads: &Arbiters,
    metrics: &Metrics,
    net: &NetHandle,
    engine: &Arc<dyn Engine>,
    standing: watch::Sender<Facts>,
) -> Result<(), StartError> {
    let Boxes {
        consensus,
        mempool,
        network,
        staking,
        escrow,
        jobs,
        execution,
        evidence,
    } = boxes;
    let (verified, taken) = (VerifiedTxs::default(), TakenJobs::default());
    let (first, duty) = (&common.first, &threads.duty);

    let actor = StakingActor {
        workflow: Staking::new(common.noted(actor_id::STAKING)),
        effects: StakingEffects {
            consensus_key: common.consensus_key,
            net: net.clone(),
            standing,
            storage: common.storage.clone(),
            audit: common.audit.clone(),
            metrics: metrics.staking.clone(),
        },
        first: Some(first.clone()),
        backlog: common.backlog(actor_id::STAKING, Domain::Staking),
    };
    staking.1.start(duty, move || actor);

    let actor = EscrowActor {
        workflow: Escrow::new(common.noted(actor_id::ESCROW)),
        effects: EscrowEffects {
            consensus_key: common.consensus_key,
            storage: common.storage.clone(),
            audit: common.audit.clone(),
            metrics: metrics.escrow.clone(),
        },
        backlog: common.backlog(actor_id::ESCROW, Domain::Escrow),
    };
    escrow.1.start(duty, move || actor);

    let session_key = common.session.as_ref().map(|session| session.public());
    let capacity = match engine.slots() {
        0 => JobCapacity::Closed,
        slots => JobCapacity::Slots(slots),
    };
    let actor = JobsActor {
        workflow: Jobs::new(capacity, common.noted(actor_id::JOBS)),
        effects: JobsEffects {
            session_key,
            duties: common.duties(mempool.0.clone()),
            network: network.0.clone(),
            execution: execution.0.clone(),
            public: common.public.clone(),
            taken: taken.clone(),
            metrics: metrics.jobs.clone(),
            height: first.height,
        },
        first: Some(first.clone()),
        backlog: common.backlog(actor_id::JOBS, Domain::Jobs),
    };
    jobs.1.start(duty, move || actor);

    metrics.execution.host(engine.slots(), &engine.tier());
    let ends = execution.0.clone();
    let report = Arc::new(move |seat, end| {
        ends.tell(ExecutionMail::Ended {
            seat,
            end: Box::new(end),
        });
    });
    let mut workflow = Execution::new(common.chain, common.noted(actor_id::EXECUTION));
    workflow.know(session_key.and_then(|key| first.session_holder(&key)));
    let actor = ExecutionActor {
        workflow,
        effects: ExecutionEffects {
            session_key,
            slots: Slots::start(engine, &common.storage, report)?,
            duties: common.duties(mempool.0.clone()),
            own: execution.0.clone(),
            jobs: jobs.0.clone(),
            audit: common.audit.clone(),
            metrics: metrics.execution.clone(),
            height: first.height,
        },
        backlog: common.backlog(actor_id::EXECUTION, Domain::Execution),
    };
    execution.1.start(duty, move || actor);

    let age = first.state.params().evidence_age_blocks;
    let actor = EvidenceActor {
        workflow: Evidence::new(common.consensus_key, age, common.noted(actor_id::EVIDENCE)),
        effects: EvidenceEffects {
            duties: common.duties(mempool.0.clone()),
            network: network.0.clone(),
            own: evidence.0.clone(),
            audit: common.audit.clone(),
            supervisor: common.supervisor.clone(),
            metrics: metrics.evidence.clone(),
            height: first.height,
        },
        snapshot: first.clone(),
        stored: common
            .recovered
            .pairs
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .collect(),
        backlog: common.backlog(actor_id::EVIDENCE, Domain::Evidence),
    };
    evidence.1.start(duty, move || actor);

    let parts = NetworkParts {
        net: net.clone(),
        chain: common.chain,
        role: core.role,
        session: common.session.clone(),
        storage: common.storage.clone(),
        own: network.0.clone(),
        jobs: jobs.0.clone(),
        timers: common.timers.clone(),
        wall: common.wall.clone(),
        snapshots: core.publish.subscribe(),
        public: common.public.clone(),
        supervisor: common.supervisor.clone(),
    };
    network
        .1
        .start(&threads.gate, move || NetworkActor::new(parts));
    let actor = MempoolActor::new(
        first.clone(),
        verified.clone(),
        taken,
        consensus.0.clone(),
        network.0.clone(),
        metrics.mempool.clone(),
    );
    mempool.1.start(&threads.gate, move || actor);

    let parts = ConsensusParts {
        chain: common.chain,
        consensus_key: common.consensus_key,
        session: common.session.clone(),
        storage: common.storage.clone(),
        own: consensus.0.clone(),
        mempool: mempool.0.clone(),
        network: network.0.clone(),
        publisher: Publisher {
            snapshots: core.publish,
            feed: common.feed.clone(),
            staking: staking.0,
            escrow: escrow.0,
            jobs: jobs.0,
            execution: execution.0,
            evidence: evidence.0.clone(),
        },
        window: core.windows,
        timers: common.timers.clone(),
        wall: common.wall.clone(),
        tamper: common.tamper.clone(),
        metrics: metrics.consensus.clone(),
        supervisor: common.supervisor.clone(),
    };
    let bench = Bench::new(first.state.clone(), verified);
    let (machine, effects) = (core.machine, core.effects);
    consensus.1.start(&threads.consensus, move || {
        ConsensusActor::new(parts, machine, bench, effects)
    });
    let ends = LaneEnds {
        consensus: consensus.0,
        evidence: evidence.0,
        mempool: mempool.0,
        network: network.0,
    };
    lanes::start(&threads.lanes, core.lanes, ends);
    Ok(())
}
