//! Jobs, evidence and slashes.

use std::sync::Arc;

use ledger::State;
use ledger::execution::{Seat, SeatState};
use ledger::jobs::{JobHead, JobRequest, Phase};
use protocol::digest::JobId;
use protocol::events::Event;
use protocol::job::SeatRef;
use protocol::signed::Signed;
use protocol::tx::{RevealedOutput, Tx, TxBody};
use protocol::units::Fuel;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::events::happened_json;
use super::prefix::{Range, only};
use super::shared::Shared;
use crate::history::JobHistory;
use crate::problem::Problem;
use crate::receipt::Receipt;

type Now = Result<Answer, Problem>;

/// GET /v1/jobs, newest first
pub(crate) fn list(shared: &Arc<Shared>, call: &Call) -> Now {
    let after = call.query.get("after").map(|text| text.parse());
    let after = after
        .transpose()
        .map_err(|_| Problem::new("api.bad_request", "?after is no id of a job"))?;
    let limit = call.limit()?;
    let mut ids = shared.history.jobs(after, limit.saturating_add(1));
    let more = ids.len() > limit;
    ids.truncate(limit);
    let rows: Vec<Value> = ids
        .iter()
        .filter_map(|id| job_json(shared, id).ok())
        .collect();
    let next = ids.last().filter(|_| more).map(ToString::to_string);
    Ok(Answer::Json(
        json!({"schema": "palisade.jobs/1", "jobs": rows, "after": next}),
    ))
}

/// GET /v1/jobs/{id}
pub(crate) fn show(shared: &Arc<Shared>, call: &Call) -> Now {
    let id: JobId = call.id(0, "job.unknown")?;
    job_json(shared, &id).map(Answer::Json)
}

/// A job as of one height. The books follow the chain some milliseconds behind, and minutes at a
/// start: what they know of a job is shown with the state they have reached, never with a newer one.
fn job_json(shared: &Shared, id: &JobId) -> Result<Value, Problem> {
    let unknown = || Problem::new("job.unknown", id);
    let (state, history) = match shared.history.job_with_state(id) {
        Some(known) => known,
        None => (shared.snapshot().state.clone(), JobHistory::default()),
    };
    let Some(head) = state.jobs.get(id) else {
        let trace = state.traces.get(id).ok_or_else(unknown)?;
        return Ok(json!({
            "schema": "palisade.job/1", "id": id.to_string(), "state": trace.phase.name(),
            "height": state.height().0,
            "result_root": trace.result_root.map(|root| root.to_string()),
            "paid": trace.amounts.paid.to_string(), "retired": true,
        }));
    };
    // Nobody is paid before the end, so a job that the books lack lacks nothing until then.
    if history.events.is_empty() && head.phase.is_end() {
        let text = format!("the history has not reached the end of job {id} yet");
        return Err(Problem::new("check.sync", text));
    }
    let request = state.requests.get(id);
    Ok(head_json(&state, id, head, request, &history))
}

fn head_json(
    state: &State,
    id: &JobId,
    head: &JobHead,
    request: Option<&JobRequest>,
    history: &JobHistory,
) -> Value {
    let spec = request.map(|request| &request.spec);
    let seats: Vec<Value> = (0_u16..)
        .zip(&head.seats)
        .filter_map(|(number, _)| {
            let place = SeatRef {
                job: *id,
                attempt: head.attempt,
                seat: number,
            };
            let seat = state.seats.get(&place)?;
            let moniker = state
                .validators
                .get(&seat.validator)
                .map(|row| row.moniker.clone());
            Some(seat_json(number, seat, moniker, history))
        })
        .collect();
    let amounts = &head.amounts;
    json!({
        "schema": "palisade.job/1",
        "id": id.to_string(),
        "height": state.height().0,
        "client": head.client.to_string(),
        "payer": head.payer.to_string(),
        "state": head.phase.name(),
        "reason": reason(head.phase),
        "outcome": head.answer.map(|answer| answer.outcome.name()),
        "result_root": head.answer.map(|answer| answer.result_root.to_string()),
        "fuel": head.answer.map(|answer| answer.fuel.0),
        "engine": spec.map(|spec| spec.engine),
        "model_root": spec.map(|spec| spec.model_root.to_string()),
        "input": spec.map(|spec| spec.input.to_string()),
        "fuel_limit": spec.map(|spec| spec.fuel_limit.0),
        "k": head.k,
        "locked": amounts.locked.to_string(),
        "paid": amounts.paid.to_string(),
        "refunded": amounts.refunded.to_string(),
        "fee": amounts.fee.to_string(),
        "burned": amounts.burned.to_string(),
        "compensated": amounts.compensated.to_string(),
        "inclusion_height": head.submitted.0,
        "deadline": head.deadline.0,
        "end_height": head.phase.is_end().then_some(head.deadline.0),
        "seats": seats,
    })
}

/// Why a job waits, or why it ended as it did.
fn reason(phase: Phase) -> Value {
    match phase {
        Phase::Failed(code) => json!(code.name()),
        Phase::Queued => json!("waits for enough eligible validators"),
        Phase::Frozen => json!("the draw is two blocks after submission"),
        Phase::Commit(_) => json!("seats are running it"),
        Phase::Reveal(_) => json!("seats open their commits"),
        Phase::Ambiguous => json!("no answer has two thirds of all stake"),
        Phase::Expired => json!("too few seats could be filled or committed"),
        Phase::Settled | Phase::Resolved | Phase::Cancelled => Value::Null,
    }
}

fn seat_json(number: u16, seat: &Seat, moniker: Option<String>, history: &JobHistory) -> Value {
    let (mut commit_height, mut reveal_height, mut root, mut declined) =
        (Value::Null, Value::Null, Value::Null, Value::Null);
    match &seat.state {
        SeatState::Open => {}
        SeatState::Committed(commit) => commit_height = json!(commit.at.0),
        SeatState::Revealed(reveal) => {
            commit_height = json!(reveal.commit.at.0);
            reveal_height = json!(reveal.at.0);
            root = json!(reveal.result_root.to_string());
        }
        SeatState::Declined(reason) => declined = json!(reason.name()),
        SeatState::Unavailable => declined = json!("input_unavailable"),
        SeatState::NoShow => declined = json!("no_show"),
    }
    json!({
        "seat": number, "level": seat.level.name(), "validator": seat.validator.to_text(),
        "moniker": moniker, "commit_height": commit_height, "reveal_height": reveal_height,
        "result_root": root, "declined": declined, "paid": paid(number, history).to_string(),
    })
}

/// What a seat was paid, by the events.
fn paid(number: u16, history: &JobHistory) -> u64 {
    let released = history
        .events
        .iter()
        .filter_map(|happened| match &happened.event {
            Event::Released { seat, amount, .. } if *seat == number => Some(amount.0),
            _ => None,
        });
    released.fold(0, u64::saturating_add)
}

/// GET /v1/jobs/{id}/events
pub(crate) fn events(shared: &Arc<Shared>, call: &Call) -> Now {
    let id: JobId = call.id(0, "job.unknown")?;
    let history = shared
        .history
        .job(&id)
        .ok_or_else(|| Problem::new("job.unknown", id))?;
    let events: Vec<Value> = history
        .events
        .iter()
        .map(|happened| happened_json(happened.place, &happened.event))
        .collect();
    Ok(Answer::Json(
        json!({"schema": "palisade.job-events/1", "events": events}),
    ))
}

/// GET /v1/jobs/{id}/receipt: the file itself.
pub(crate) async fn receipt(shared: Arc<Shared>, call: Call) -> Now {
    let id: JobId = call.id(0, "job.unknown")?;
    let history = shared.history.clone();
    let parts = tokio::task::spawn_blocking(move || history.receipt(&id)).await;
    let parts = parts.map_err(|_| Problem::new("internal", "the receipt was not made"))??;
    let text = String::from_utf8(Receipt::of(&parts).to_bytes())
        .map_err(|_| Problem::new("internal", "the receipt is no text"))?;
    Ok(Answer::Text("application/json", text))
}

/// GET /v1/jobs/{id}/output: the output blob of the agreed answer.
pub(crate) async fn output(shared: Arc<Shared>, call: Call) -> Now {
    let id: JobId = call.id(0, "job.unknown")?;
    let history = shared
        .history
        .job(&id)
        .ok_or_else(|| Problem::new("job.unknown", id))?;
    let snapshot = shared.snapshot();
    let head = snapshot
        .state
        .jobs
        .get(&id)
        .ok_or_else(|| Problem::new("job.unknown", id))?;
    if shared.exposed {
        let asker = call.signer.map(|key| key.address());
        if asker.is_none_or(|asker| asker != head.client && asker != head.payer) {
            return Err(Problem::new(
                "auth.role",
                format!("not a party to job {id}"),
            ));
        }
    }
    let none = || Problem::new("blob.missing", format!("job {id} has no output here"));
    let wanted = head.answer.ok_or_else(none)?.result_root;
    let reveals: Vec<_> = history
        .events
        .iter()
        .filter_map(|happened| match &happened.event {
            Event::Revealed {
                result_root, tx, ..
            } if *result_root == wanted => Some(*tx),
            _ => None,
        })
        .collect();
    for tx in reveals {
        let books = shared.history.clone();
        let bytes = tokio::task::spawn_blocking(move || books.tx_bytes(&tx)).await;
        let Some(bytes) = bytes.ok().flatten() else {
            continue;
        };
        let Ok(signed) = Signed::<Tx>::from_bytes(&bytes) else {
            continue;
        };
        let TxBody::RevealResult(reveal) = signed.message.body else {
            continue;
        };
        match reveal.output {
            RevealedOutput::Inline(blob) => return Ok(Answer::Bytes(blob)),
            RevealedOutput::Blob { sha256, .. } => {
                if let Ok(blob) = shared.node.get_blob(sha256).await {
                    return Ok(Answer::Bytes(blob));
                }
            }
            RevealedOutput::Code(_) => {}
        }
    }
    Err(none())
}

/// What a client asks the price of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    fuel_limit: u64,
    k: Option<u16>,
}

/// POST /v1/jobs/estimate: prices a fuel limit and runs nothing.
pub(crate) fn estimate(shared: &Arc<Shared>, call: &Call) -> Now {
    let wish: Wish = call.json()?;
    let params = &shared.chain.genesis.params;
    let fuel = Fuel(wish.fuel_limit);
    let k = wish.k.unwrap_or(params.k).max(params.k);
    if fuel > params.job_fuel_max || fuel == Fuel::ZERO {
        let text = format!("fuel_limit {fuel}, 1 to {} allowed", params.job_fuel_max);
        return Err(Problem::new("api.bad_request", text));
    }
    Ok(Answer::Json(json!({
        "schema": "palisade.job-price/1", "fuel_limit": fuel.0, "k": k,
        "seat_reward": params.seat_reward(fuel).to_string(),
        "max_price": params.price_min(k, fuel).to_string(),
        "commit_blocks": params.commit_blocks(fuel),
    })))
}

/// GET /v1/evidence
pub(crate) fn evidence(shared: &Arc<Shared>, _: &Call) -> Now {
    let rows: Vec<Value> = shared
        .history
        .evidence()
        .iter()
        .map(evidence_json)
        .collect();
    Ok(Answer::Json(
        json!({"schema": "palisade.evidence/1", "evidence": rows}),
    ))
}

fn evidence_json(row: &crate::history::Accepted) -> Value {
    json!({
        "id": row.id.to_string(), "kind": row.kind, "validator": row.validator.to_text(),
        "height": row.height.0, "round": row.round, "included_at": row.included_at.0,
        "reporter": row.reporter,
    })
}

/// GET /v1/evidence/{id or its first digits}
pub(crate) fn evidence_one(shared: &Arc<Shared>, call: &Call) -> Now {
    let text = call.place(0);
    let range = Range::asked(text, "evidence.unknown")?;
    let all = shared.history.evidence();
    let fitting = all.iter().filter(|row| range.contains(&row.id.0));
    let unknown = || Problem::new("evidence.unknown", text);
    let id = only(text, fitting.map(|row| row.id))?.ok_or_else(unknown)?;
    let found = all.iter().find(|row| row.id == id).ok_or_else(unknown)?;
    Ok(Answer::Json(evidence_json(found)))
}

/// GET /v1/slashes
pub(crate) fn slashes(shared: &Arc<Shared>, _: &Call) -> Now {
    let rows: Vec<Value> = shared
        .history
        .slashes()
        .iter()
        .map(|slash| {
            json!({
                "validator": slash.validator.to_text(), "offence": slash.offence,
                "amount": slash.amount.to_string(), "burned": slash.burned.to_string(),
                "height": slash.height.0, "job": slash.job.map(|job| job.to_string()),
            })
        })
        .collect();
    Ok(Answer::Json(
        json!({"schema": "palisade.slashes/1", "slashes": rows}),
    ))
}
