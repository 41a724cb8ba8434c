//! Makes the five domain actors.

use std::io;
use std::sync::Arc;

use protocol::events::Domain;
use tokio::sync::watch;

use super::common::Common;
use crate::audit::actor_id;
use crate::catalogue::ExecutionMail;
use crate::engine::slots::Slots;
use crate::escrow::actor::EscrowActor;
use crate::escrow::effects::EscrowEffects;
use crate::escrow::workflow::Escrow;
use crate::evidence::actor::EvidenceActor;
use crate::evidence::effects::EvidenceEffects;
use crate::evidence::workflow::Evidence;
use crate::execution::actor::ExecutionActor;
use crate::execution::effects::ExecutionEffects;
use crate::execution::workflow::Execution;
use crate::jobs::actor::JobsActor;
use crate::jobs::effects::JobsEffects;
use crate::jobs::workflow::{Capacity, Jobs};
use crate::staking::actor::StakingActor;
use crate::staking::effects::StakingEffects;
use crate::staking::workflow::{Facts, Staking};

pub(super) fn staking(common: &Common, standing: watch::Sender<Facts>) -> StakingActor {
    StakingActor {
        workflow: Staking::new(common.noted(actor_id::STAKING)),
        effects: StakingEffects {
            consensus_key: common.consensus_key,
            net: common.net.clone(),
            standing,
            storage: common.storage.clone(),
            audit: common.audit.clone(),
            metrics: common.metrics.staking.clone(),
        },
        first: Some(common.first.clone()),
        backlog: common.backlog(actor_id::STAKING, Domain::Staking),
    }
}

pub(super) fn escrow(common: &Common) -> EscrowActor {
    EscrowActor {
        workflow: Escrow::new(common.noted(actor_id::ESCROW)),
        effects: EscrowEffects {
            consensus_key: common.consensus_key,
            storage: common.storage.clone(),
            audit: common.audit.clone(),
            metrics: common.metrics.escrow.clone(),
        },
        backlog: common.backlog(actor_id::ESCROW, Domain::Escrow),
    }
}

pub(super) fn jobs(common: &Common) -> JobsActor {
    let capacity = match common.engine.slots() {
        0 => Capacity::Closed,
        slots => Capacity::Slots(slots),
    };
    JobsActor {
        workflow: Jobs::new(capacity, common.noted(actor_id::JOBS)),
        effects: JobsEffects {
            session_key: common.session_key(),
            duties: common.duties(),
            network: common.bells.network.clone(),
            execution: common.bells.execution.clone(),
            public: common.public.clone(),
            taken: common.taken.clone(),
            pins: Arc::default(),
            metrics: common.metrics.jobs.clone(),
            height: common.first.height,
        },
        first: Some(common.first.clone()),
        backlog: common.backlog(actor_id::JOBS, Domain::Jobs),
    }
}

pub(super) fn execution(common: &Common) -> io::Result<ExecutionActor> {
    let engine = &common.engine;
    common
        .metrics
        .execution
        .host(engine.slots(), &engine.tier());
    let ends = common.bells.execution.clone();
    let report = Arc::new(move |seat, end| {
        ends.tell(ExecutionMail::Ended {
            seat,
            end: Box::new(end),
        });
    });
    let mut workflow = Execution::new(common.chain, common.noted(actor_id::EXECUTION));
    workflow.know(
        common
            .session_key()
            .and_then(|key| common.first.session_holder(&key)),
    );
    Ok(ExecutionActor {
        workflow,
        effects: ExecutionEffects {
            session_key: common.session_key(),
            slots: Slots::start(engine, &common.storage, report)?,
            duties: common.duties(),
            own: common.bells.execution.clone(),
            jobs: common.bells.jobs.clone(),
            audit: common.audit.clone(),
            metrics: common.metrics.execution.clone(),
            height: common.first.height,
        },
        backlog: common.backlog(actor_id::EXECUTION, Domain::Execution),
    })
}

pub(super) fn evidence(common: &Common) -> EvidenceActor {
    let age = common.first.state.params().evidence_age_blocks;
    let noted = common.noted(actor_id::EVIDENCE);
    EvidenceActor {
        workflow: Evidence::new(common.consensus_key, age, noted),
        effects: EvidenceEffects {
            duties: common.duties(),
            network: common.bells.network.clone(),
            own: common.bells.evidence.clone(),
            audit: common.audit.clone(),
            supervisor: common.supervisor.clone(),
            metrics: common.metrics.evidence.clone(),
            height: common.first.height,
        },
        snapshot: common.first.clone(),
        stored: common
            .recovered
            .pairs
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .collect(),
        backlog: common.backlog(actor_id::EVIDENCE, Domain::Evidence),
    }
}
