//! How a job enters the queue, and how its client takes it back.

use protocol::digest::{Address, JobId, TxId};
use protocol::events::Event;
use protocol::job::{JobSpec, sponsor_digest};
use protocol::limits::{
    CLIENT_JOBS_MAX, JOB_CPU_MS, JOB_EXPIRY_BLOCKS_MAX, JOB_MEM_BYTES, JOB_WALL_MS,
    OUTPUT_BYTES_MAX, OUTPUT_NAME_BYTES_MAX, OUTPUTS_MAX, SEATS_MAX,
};
use protocol::tx::{CancelJob, SubmitJob};
use protocol::units::Amount;

use super::{JobHead, JobRequest, Phase, finish};
use crate::account::need;
use crate::error::TxError;
use crate::escrow::{self, Amounts};
use crate::money::Reason;
use crate::work::Work;

/// Captured-runner rehearsals; local chains only.
const ENGINE_PROBE: u16 = 0;
/// ONNX by tract, portable kernels.
const ENGINE_ONNX: u16 = 1;

/// Locks the price and queues the job; the end of this block freezes its list, if it can.
pub(crate) fn submit(
    work: &mut Work,
    client: Address,
    nonce: u64,
    body: &SubmitJob,
    tx: TxId,
) -> Result<(), TxError> {
    let spec = &body.spec;
    check_terms(work, spec)?;
    check_times(work, spec)?;
    let live = work.state.account(&client).live_jobs;
    if live >= CLIENT_JOBS_MAX {
        return Err(TxError::TooManyJobs { live });
    }
    let spec_hash = spec.hash();
    let job = protocol::job::job_id(&work.state.chain_id(), &client, nonce, &spec_hash);
    let payer = payer(client, body, job)?;
    need(work, payer, spec.max_price)?;
    let height = work.block.height;
    let head = JobHead {
        version: 1,
        spec_hash,
        client,
        payer,
        phase: Phase::Queued,
        answer: None,
        attempt: 0,
        k: spec.k,
        submitted: height,
        deadline: height,
        amounts: Amounts::default(),
        seats: Vec::new(),
    };
    let seat_bond = work.state.params().seat_bond(spec.fuel_limit);
    let request = JobRequest {
        version: 1,
        nonce,
        tx,
        spec: spec.clone(),
        seat_bond,
    };
    work.state.add_job(job, head, request);
    let mut account = work.state.account(&client);
    account.live_jobs = live.saturating_add(1);
    work.state.accounts.put(client, account);
    escrow::lock(work, job, payer, spec.max_price)?;
    work.emit(Event::Queued { job, client, tx });
    Ok(())
}

fn payer(client: Address, body: &SubmitJob, job: JobId) -> Result<Address, TxError> {
    match &body.sponsor {
        None => Ok(client),
        Some(sponsor) => {
            let consent = sponsor
                .key
                .verify(&sponsor_digest(&job), &sponsor.signature);
            consent.map_err(|_| TxError::BadSponsor)?;
            Ok(sponsor.key.address())
        }
    }
}

fn check_terms(work: &Work, spec: &JobSpec) -> Result<(), TxError> {
    let params = work.state.params();
    let engine_known = match spec.engine {
        ENGINE_PROBE => work.state.is_local(),
        engine => engine == ENGINE_ONNX,
    };
    if !engine_known {
        return Err(TxError::UnknownEngine {
            engine: spec.engine,
        });
    }
    let eligible = params.eligible_per_seat.saturating_mul(u64::from(spec.k));
    // A committee that no set can fill would only be retried until it expires.
    if spec.k < params.k || spec.k > SEATS_MAX || eligible > params.validators_max {
        return Err(TxError::BadSeats {
            k: spec.k,
            least: params.k,
        });
    }
    let (fuel, most) = (spec.fuel_limit.0, params.job_fuel_max.0);
    if fuel == 0 || fuel > most {
        return Err(TxError::FuelLimit { fuel, most });
    }
    let needed = params.price_min(spec.k, spec.fuel_limit);
    if spec.max_price < needed {
        return Err(TxError::PriceTooLow {
            price: spec.max_price,
            needed,
        });
    }
    check_params(spec)
}

fn check_params(spec: &JobSpec) -> Result<(), TxError> {
    let refuse = |what| Err(TxError::BadParams { what });
    let params = &spec.params;
    if params.out_bytes == 0 || params.out_bytes > OUTPUT_BYTES_MAX {
        return refuse("out_bytes must be 1 to 4 MiB");
    }
    let limits = (params.cpu_ms, params.wall_ms, params.mem_bytes);
    if limits != (JOB_CPU_MS, JOB_WALL_MS, JOB_MEM_BYTES) {
        return refuse("cpu_ms, wall_ms and mem_bytes must be the defaults");
    }
    if params.outputs.len() > OUTPUTS_MAX {
        return refuse("at most 8 outputs can be asked for");
    }
    let names = &params.outputs;
    if names
        .iter()
        .any(|name| name.is_empty() || name.len() > OUTPUT_NAME_BYTES_MAX)
    {
        return refuse("output names must have 1 to 255 bytes");
    }
    if names
        .iter()
        .enumerate()
        .any(|(at, name)| names.iter().skip(at).skip(1).any(|n| n == name))
    {
        return refuse("an output is asked for twice");
    }
    Ok(())
}

fn check_times(work: &Work, spec: &JobSpec) -> Result<(), TxError> {
    let height = work.block.height;
    // The draw needs two blocks after this one.
    let (first, last) = (height.plus(3), height.plus(JOB_EXPIRY_BLOCKS_MAX));
    if spec.expiry < first || spec.expiry > last {
        return Err(TxError::BadExpiry {
            expiry: spec.expiry,
            first,
            last,
        });
    }
    match work.state.cohorts.get(&(spec.model_root, spec.engine)) {
        Some(cohort) if cohort.frozen_until > height => Err(TxError::CohortFrozen {
            until: cohort.frozen_until,
        }),
        _ => Ok(()),
    }
}

/// Takes back a job that has no committee yet: for nothing while it waits; once its list is frozen, for
/// what its seats would have earned at least.
pub(crate) fn cancel(work: &mut Work, client: Address, body: &CancelJob) -> Result<(), TxError> {
    let job = body.job;
    let head = work
        .state
        .jobs
        .get(&job)
        .ok_or(TxError::UnknownJob { job })?;
    if head.client != client {
        return Err(TxError::NotYourJob);
    }
    if !matches!(head.phase, Phase::Queued | Phase::Frozen) {
        return Err(TxError::NotQueued);
    }
    // A frozen list keeps other jobs waiting: nobody else's time is free.
    if head.phase == Phase::Frozen {
        let (base, seats) = (work.state.params().seat_base, u64::from(head.k));
        let cost = base.0.saturating_mul(seats);
        escrow::burn(work, job, Amount(cost), Reason::CancelledDraw)?;
    }
    work.emit(Event::Cancelled { job });
    finish::finish(work, job, Phase::Cancelled, None)?;
    Ok(())
}
