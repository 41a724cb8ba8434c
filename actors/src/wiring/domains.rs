//! Makes the five domain actors.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use protocol::events::Domain;
use tokio::sync::watch;

use super::shared::Shared;
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
use crate::jobs::fetches::Fetches;
use crate::jobs::workflow::{Capacity, Jobs};
use crate::staking::actor::StakingActor;
use crate::staking::effects::StakingEffects;
use crate::staking::workflow::{Facts, Staking};

pub(super) fn staking(shared: &Shared, standing: watch::Sender<Facts>) -> StakingActor {
    StakingActor {
        workflow: Staking::new(shared.noted(actor_id::STAKING)),
        effects: StakingEffects {
            consensus_key: shared.consensus_key,
            net: shared.net.clone(),
            standing,
            audit: shared.audit.clone(),
            metrics: shared.metrics.staking.clone(),
        },
        first: Some(shared.first.clone()),
        backlog: shared.backlog(actor_id::STAKING, Domain::Staking),
    }
}

pub(super) fn escrow(shared: &Shared) -> EscrowActor {
    EscrowActor {
        workflow: Escrow::new(shared.noted(actor_id::ESCROW)),
        effects: EscrowEffects {
            consensus_key: shared.consensus_key,
            audit: shared.audit.clone(),
            metrics: shared.metrics.escrow.clone(),
        },
        backlog: shared.backlog(actor_id::ESCROW, Domain::Escrow),
    }
}

pub(super) fn jobs(shared: &Shared) -> JobsActor {
    let capacity = match shared.engine.slots() {
        0 => Capacity::Closed,
        slots => Capacity::Slots(slots),
    };
    JobsActor {
        workflow: Jobs::new(capacity, shared.noted(actor_id::JOBS)),
        effects: JobsEffects {
            session_key: shared.session_key(),
            duties: shared.duties(),
            fetches: Fetches::new(shared.bells.network.clone()),
            execution: shared.bells.execution.clone(),
            public: shared.public.clone(),
            taken: shared.taken.clone(),
            pins: Arc::default(),
            metrics: shared.metrics.jobs.clone(),
            height: shared.first.height,
        },
        first: Some(shared.first.clone()),
        backlog: shared.backlog(actor_id::JOBS, Domain::Jobs),
    }
}

pub(super) fn execution(shared: &Shared) -> io::Result<ExecutionActor> {
    let engine = &shared.engine;
    shared
        .metrics
        .execution
        .host(engine.slots(), &engine.tier());
    let ends = shared.bells.execution.clone();
    let report = Arc::new(move |seat, end| {
        ends.tell(ExecutionMail::Ended {
            seat,
            end: Box::new(end),
        });
    });
    let mut workflow = Execution::new(shared.chain, shared.noted(actor_id::EXECUTION));
    workflow.know(
        shared
            .session_key()
            .and_then(|key| shared.first.session_holder(&key)),
    );
    Ok(ExecutionActor {
        workflow,
        effects: ExecutionEffects {
            session_key: shared.session_key(),
            slots: Slots::start(engine, &shared.storage, report)?,
            duties: shared.duties(),
            own: shared.bells.execution.clone(),
            jobs: shared.bells.jobs.clone(),
            audit: shared.audit.clone(),
            metrics: shared.metrics.execution.clone(),
            height: shared.first.height,
        },
        snapshot: shared.first.clone(),
        backlog: shared.backlog(actor_id::EXECUTION, Domain::Execution),
    })
}

pub(super) fn evidence(shared: &Shared) -> EvidenceActor {
    let noted = shared.noted(actor_id::EVIDENCE);
    EvidenceActor {
        workflow: Evidence::new(shared.consensus_key, noted),
        effects: EvidenceEffects {
            duties: shared.duties(),
            network: shared.bells.network.clone(),
            own: shared.bells.evidence.clone(),
            audit: shared.audit.clone(),
            supervisor: shared.supervisor.clone(),
            metrics: shared.metrics.evidence.clone(),
            height: shared.first.height,
            taken: BTreeSet::new(),
        },
        snapshot: shared.first.clone(),
        stored: shared
            .recovered
            .pairs
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .collect(),
        backlog: shared.backlog(actor_id::EVIDENCE, Domain::Evidence),
    }
}
