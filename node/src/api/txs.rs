//! Transactions: the only way to change anything.

use std::sync::Arc;

use actors::mempool::Admission;
use protocol::codec::Canonical as _;
use protocol::digest::TxId;
use protocol::signed::{Signed, Verified};
use protocol::tx::{Tx, TxBody};
use serde_json::{Value, json};

use super::answer::Answer;
use super::blobs;
use super::call::Call;
use super::prefix::{NAMED_MAX, Range, only};
use super::shared::Shared;
use crate::history::Included;
use crate::problem::Problem;

/// Decodes and verifies where blocking is allowed: a check takes tens of microseconds.
async fn verified(shared: &Arc<Shared>, body: Vec<u8>) -> Result<Verified<Tx>, Problem> {
    let signed =
        Signed::<Tx>::from_bytes(&body).map_err(|error| Problem::new(error.code(), error))?;
    let chain = shared.chain.id;
    let work = tokio::task::spawn_blocking(move || signed.verify(&chain)).await;
    let verdict = work.map_err(|_| Problem::new("internal", "the check did not finish"))?;
    verdict.map_err(|_| Problem::new("tx.bad_signature", "not signed for this chain by that key"))
}

/// POST /v1/tx
pub(crate) async fn submit(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let signed =
        Signed::<Tx>::from_bytes(&call.body).map_err(|error| Problem::new(error.code(), error))?;
    if let TxBody::SubmitJob(submit) = &signed.message.body {
        for root in [submit.spec.model_root, submit.spec.input] {
            if !blobs::is_whole(&shared, root).await {
                return Err(Problem::new(
                    "job.blob_missing",
                    format!("{root} or a part of it"),
                ));
            }
        }
    }
    admit(&shared, signed).await
}

/// Hands a transaction to the mempool.
pub(crate) async fn admit(shared: &Shared, signed: Signed<Tx>) -> Result<Answer, Problem> {
    let answer = |id: TxId| json!({"schema": "palisade.tx/1", "id": id.to_string()});
    match shared.node.submit(signed).await {
        Ok(Admission::Admitted(id)) => Ok(Answer::Accepted(answer(id))),
        Ok(Admission::Known(id)) => Ok(Answer::Json(answer(id))),
        Ok(Admission::Refused { code, detail }) => Err(Problem::new(code, detail)),
        Err(error) => Err(Problem::new(error.code(), &error)),
    }
}

/// POST /v1/tx/simulate
pub(crate) async fn simulate(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let tx = verified(&shared, call.body).await?;
    let state = shared.snapshot().state.clone();
    let id = tx.tx_id(&shared.chain.id);
    let work = tokio::task::spawn_blocking(move || state.simulate(&tx)).await;
    let events = work
        .map_err(|_| Problem::new("internal", "the simulation did not finish"))?
        .map_err(|error| Problem::new(error.code(), &error))?;
    let events: Vec<Value> = events.iter().map(super::events::fields).collect();
    Ok(Answer::Json(
        json!({"schema": "palisade.tx-simulate/1", "id": id.to_string(), "events": events}),
    ))
}

/// The transaction with this id, or the included one whose id begins so.
fn meant(shared: &Shared, text: &str) -> Result<TxId, Problem> {
    let range = Range::asked(text, "tx.unknown")?;
    if range.is_whole() {
        return Ok(TxId(range.first));
    }
    let (first, last) = (TxId(range.first), TxId(range.last));
    let fitting = shared.history.txs_between(first, last, NAMED_MAX + 1);
    only(text, fitting)?.ok_or_else(|| {
        let text = format!("no included transaction begins {text}");
        Problem::new("tx.unknown", text).hint("One that waits is found by all of its 64 digits.")
    })
}

/// GET /v1/tx/{id or its first digits}
pub(crate) async fn show(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let id = meant(&shared, call.place(0))?;
    let answer = |status: &str, at: Option<Included>, result: Value| {
        Answer::Json(json!({
            "schema": "palisade.tx/1", "id": id.to_string(), "status": status,
            "height": at.map(|at| at.height.0), "index": at.map(|at| at.index), "result": result,
        }))
    };
    if let Some(at) = shared.history.tx(&id) {
        return Ok(answer("included", Some(at), result_of(&shared, at).await));
    }
    if let Ok(Some(_)) = shared.node.waiting(id).await {
        return Ok(answer("pending", None, Value::Null));
    }
    // The pool forgets what is included a moment before the books know it.
    shared.history.reach(shared.snapshot().height).await;
    Ok(match shared.history.tx(&id) {
        Some(at) => answer("included", Some(at), result_of(&shared, at).await),
        None => answer("unknown", None, Value::Null),
    })
}

/// What became of an included transaction, as far as it is still known.
async fn result_of(shared: &Shared, at: Included) -> Value {
    let history = shared.history.clone();
    let outcome = tokio::task::spawn_blocking(move || history.outcome(at)).await;
    match outcome.ok().flatten() {
        Some(Ok(())) => json!({"applied": true}),
        Some(Err(error)) => {
            json!({"applied": false, "code": error.code(), "detail": error.to_string()})
        }
        None => Value::Null,
    }
}

/// The longest signed transaction fits the route's cap.
const _: () = assert!(Tx::BYTES_MAX + protocol::keys::Signature::LEN <= 33 << 10);
