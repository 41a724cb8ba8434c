//! Both ends of every mailbox, and every component's metrics.

use prometheus::Registry;
use protocol::keys::PublicKey;

use crate::agreement::actor::ConsensusActor;
use crate::agreement::metrics::ConsensusMetrics;
use crate::catalogue::{
    ConsensusMail, EscrowMail, EvidenceMail, ExecutionMail, JobsMail, MempoolMail, NetworkMail,
    StakingMail,
};
use crate::escrow::actor::EscrowActor;
use crate::escrow::effects::EscrowMetrics;
use crate::evidence::actor::EvidenceActor;
use crate::evidence::effects::EvidenceMetrics;
use crate::execution::actor::ExecutionActor;
use crate::execution::effects::ExecutionMetrics;
use crate::handle::Bells;
use crate::jobs::actor::JobsActor;
use crate::jobs::effects::JobsMetrics;
use crate::mailbox::{Capacity, Mailbox, Outbox, Post};
use crate::mempool::actor::{MempoolActor, MempoolMetrics};
use crate::network::actor::NetworkActor;
use crate::staking::actor::StakingActor;
use crate::staking::effects::StakingMetrics;

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

/// The metrics of all components of one node.
pub(super) struct Metrics {
    pub(super) consensus: ConsensusMetrics,
    pub(super) mempool: MempoolMetrics,
    pub(super) staking: StakingMetrics,
    pub(super) escrow: EscrowMetrics,
    pub(super) jobs: JobsMetrics,
    pub(super) execution: ExecutionMetrics,
    pub(super) evidence: EvidenceMetrics,
    pub(super) net: net::Metrics,
}

impl Metrics {
    pub(super) fn new(
        registry: &Registry,
        own: Option<PublicKey>,
    ) -> Result<Self, prometheus::Error> {
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

/// Outbox and mailbox of each actor.
pub(super) struct Boxes {
    pub(super) consensus: (Outbox<ConsensusMail>, Mailbox<ConsensusActor>),
    pub(super) mempool: (Outbox<MempoolMail>, Mailbox<MempoolActor>),
    pub(super) network: (Outbox<NetworkMail>, Mailbox<NetworkActor>),
    pub(super) staking: (Outbox<StakingMail>, Mailbox<StakingActor>),
    pub(super) escrow: (Outbox<EscrowMail>, Mailbox<EscrowActor>),
    pub(super) jobs: (Outbox<JobsMail>, Mailbox<JobsActor>),
    pub(super) execution: (Outbox<ExecutionMail>, Mailbox<ExecutionActor>),
    pub(super) evidence: (Outbox<EvidenceMail>, Mailbox<EvidenceActor>),
}

impl Boxes {
    pub(super) fn new(post: &Post) -> Self {
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

    /// The outboxes alone.
    pub(super) fn bells(&self) -> Bells {
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
