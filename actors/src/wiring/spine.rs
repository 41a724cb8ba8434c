//! Makes the actors that a transaction passes on its way into a block: network, mempool, consensus.

use std::sync::Arc;

use consensus::{Effect, Machine, Window};
use net::{Lanes, PeerMemory, Ports, Role};
use protocol::keys::SecretKey;
use tokio::sync::watch;

use super::StartError;
use super::common::Common;
use crate::agreement::actor::{ConsensusActor, ConsensusParts};
use crate::agreement::blocks::Bench;
use crate::agreement::publish::Publisher;
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

pub(super) fn network(common: &Common, core: &Core) -> NetworkActor {
    NetworkActor::new(NetworkParts {
        net: common.net.clone(),
        chain: common.chain,
        role: core.role,
        session: common.session.clone(),
        storage: common.storage.clone(),
        own: common.bells.network.clone(),
        jobs: common.bells.jobs.clone(),
        timers: common.timers.clone(),
        wall: common.wall.clone(),
        snapshots: core.publish.subscribe(),
        public: common.public.clone(),
        supervisor: common.supervisor.clone(),
    })
}

pub(super) fn mempool(common: &Common) -> MempoolActor {
    MempoolActor::new(
        common.first.clone(),
        common.verified.clone(),
        common.taken.clone(),
        common.bells.consensus.clone(),
        common.bells.network.clone(),
        common.metrics.mempool.clone(),
    )
}

pub(super) fn consensus(common: &Common, core: Core) -> ConsensusActor {
    let bells = &common.bells;
    let parts = ConsensusParts {
        chain: common.chain,
        consensus_key: common.consensus_key,
        session: common.session.clone(),
        storage: common.storage.clone(),
        own: bells.consensus.clone(),
        mempool: bells.mempool.clone(),
        network: bells.network.clone(),
        publisher: Publisher {
            snapshots: core.publish,
            feed: common.feed.clone(),
            staking: bells.staking.clone(),
            escrow: bells.escrow.clone(),
            jobs: bells.jobs.clone(),
            execution: bells.execution.clone(),
            evidence: bells.evidence.clone(),
        },
        window: core.windows,
        timers: common.timers.clone(),
        wall: common.wall.clone(),
        tamper: common.tamper.clone(),
        metrics: common.metrics.consensus.clone(),
        supervisor: common.supervisor.clone(),
    };
    let bench = Bench::new(common.first.state.clone(), common.verified.clone());
    ConsensusActor::new(parts, core.machine, bench, core.effects)
}

/// Where the network's lanes lead.
pub(super) fn lane_ends(common: &Common) -> LaneEnds {
    LaneEnds {
        consensus: common.bells.consensus.clone(),
        evidence: common.bells.evidence.clone(),
        mempool: common.bells.mempool.clone(),
        network: common.bells.network.clone(),
    }
}
