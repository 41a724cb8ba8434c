//! Makes the actors that a transaction passes on its way into a block: network, mempool, consensus.

use std::sync::Arc;

use consensus::{Effect, Machine, Window};
use net::{Lanes, PeerMemory, Ports, Role};
use protocol::keys::SecretKey;
use tokio::sync::watch;

use super::StartError;
use super::shared::Shared;
use crate::agreement::actor::{ConsensusActor, ConsensusParts};
use crate::agreement::blocks::Bench;
use crate::agreement::publish::Publisher;
use crate::agreement::refetch::{Lost, Refetch};
use crate::clock::Wall;
use crate::mempool::actor::MempoolActor;
use crate::network::PublicBlobs;
use crate::network::actor::{NetworkActor, NetworkParts};
use crate::network::lanes::LaneEnds;
use crate::network::ports::{NodeBlobs, NodeChain, NodeGate, Views};
use crate::snapshot::Snapshot;

/// What only the spine gets.
pub(super) struct Core {
    pub(super) machine: Machine,
    pub(super) effects: Vec<Effect>,
    pub(super) windows: watch::Sender<Arc<Window>>,
    pub(super) publish: watch::Sender<Arc<Snapshot>>,
    pub(super) lost: Lost,
    pub(super) role: Role,
}

/// What the network is started with.
pub(super) struct NetParts {
    pub(super) config: net::Config,
    pub(super) metrics: net::Metrics,
    pub(super) memory: Arc<dyn PeerMemory>,
    pub(super) views: Views,
    pub(super) storage: storage::handle::StorageHandle,
    pub(super) public: PublicBlobs,
}

/// Starts the network behind its ports.
pub(super) fn network_loop(parts: NetParts) -> Result<(net::NetHandle, Lanes), StartError> {
    let NetParts {
        config,
        metrics,
        memory,
        views,
        storage,
        public,
    } = parts;
    let ports = Ports {
        gate: Arc::new(NodeGate(views.clone())),
        memory,
        blobs: Arc::new(NodeBlobs {
            storage: storage.clone(),
            public,
        }),
        chain: Arc::new(NodeChain { views, storage }),
    };
    Ok(net::start(config, ports, metrics)?)
}

/// The proof for which validator we speak, if the chain knows our session key already. Shown in the
/// first `hello`, so that peers of a restarted node admit it at once.
pub(super) fn prove(
    config: &mut net::Config,
    session: Option<&Arc<SecretKey>>,
    first: &Snapshot,
    wall: &Wall,
) {
    let Some(session) = session.filter(|_| config.proof.is_none()) else {
        return;
    };
    let Some(validator) = first.session_holder(&session.public()) else {
        return;
    };
    let (peer, now) = (config.node_key.peer_id(), wall.now().0);
    let proof = net::Proof::sign(session, &config.chain, config.role, validator, peer, now);
    config.proof = Some(proof);
}

pub(super) fn network(shared: &Shared, core: &Core) -> NetworkActor {
    NetworkActor::new(NetworkParts {
        net: shared.net.clone(),
        chain: shared.chain,
        role: core.role,
        session: shared.session.clone(),
        storage: shared.storage.clone(),
        own: shared.bells.network.clone(),
        jobs: shared.bells.jobs.clone(),
        timers: shared.timers.clone(),
        wall: shared.wall.clone(),
        snapshots: core.publish.subscribe(),
        public: shared.public.clone(),
        supervisor: shared.supervisor.clone(),
    })
}

pub(super) fn mempool(shared: &Shared) -> MempoolActor {
    MempoolActor::new(
        shared.first.clone(),
        shared.verified.clone(),
        shared.taken.clone(),
        shared.bells.consensus.clone(),
        shared.bells.network.clone(),
        shared.metrics.mempool.clone(),
    )
}

pub(super) fn consensus(shared: &Shared, core: Core) -> ConsensusActor {
    let bells = &shared.bells;
    let parts = ConsensusParts {
        chain: shared.chain,
        consensus_key: shared.consensus_key,
        session: shared.session.clone(),
        storage: shared.storage.clone(),
        own: bells.consensus.clone(),
        mempool: bells.mempool.clone(),
        network: bells.network.clone(),
        publisher: Publisher {
            snapshots: core.publish,
            feed: shared.feed.clone(),
            staking: bells.staking.clone(),
            escrow: bells.escrow.clone(),
            jobs: bells.jobs.clone(),
            execution: bells.execution.clone(),
            evidence: bells.evidence.clone(),
        },
        window: core.windows,
        refetch: Refetch::new(core.lost, shared.storage.clone(), bells.network.clone()),
        timers: shared.timers.clone(),
        wall: shared.wall.clone(),
        tamper: shared.tamper.clone(),
        metrics: shared.metrics.consensus.clone(),
        supervisor: shared.supervisor.clone(),
    };
    let bench = Bench::new(shared.first.state.clone(), shared.verified.clone());
    ConsensusActor::new(parts, core.machine, bench, core.effects)
}

/// Where the network's lanes lead.
pub(super) fn lane_ends(shared: &Shared) -> LaneEnds {
    LaneEnds {
        consensus: shared.bells.consensus.clone(),
        evidence: shared.bells.evidence.clone(),
        mempool: shared.bells.mempool.clone(),
        network: shared.bells.network.clone(),
    }
}
