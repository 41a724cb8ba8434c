//! Alive, ready, measured.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus::{Encoder as _, TextEncoder};
use serde_json::json;

use super::admin::PING_TIME;
use super::answer::Answer;
use super::call::Call;
use super::checks;
use super::shared::Shared;
use crate::problem::Problem;

/// GET /livez: every actor has answered a ping.
pub(crate) async fn live(shared: Arc<Shared>, _: Call) -> Result<Answer, Problem> {
    if shared.halted.load(Ordering::SeqCst) {
        return Ok(Answer::Status(
            503,
            json!({"schema": "palisade.live/1", "ok": false, "failing": ["halted"]}),
        ));
    }
    let silent = match tokio::time::timeout(PING_TIME, shared.node.ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) | Err(_) => Some("actors"),
    };
    let status = if silent.is_none() { 200 } else { 503 };
    let failing: Vec<&str> = silent.into_iter().collect();
    Ok(Answer::Status(
        status,
        json!({"schema": "palisade.live/1", "ok": failing.is_empty(), "failing": failing}),
    ))
}

/// GET /readyz: in step with the chain.
pub(crate) fn ready(shared: &Arc<Shared>, _: &Call) -> Result<Answer, Problem> {
    let snapshot = shared.snapshot();
    let report = checks::report(shared, &snapshot);
    let failing = report.not_ready();
    let status = if failing.is_empty() { 200 } else { 503 };
    Ok(Answer::Status(
        status,
        json!({"schema": "palisade.ready/1", "ok": failing.is_empty(), "failing": failing}),
    ))
}

/// GET /metrics
pub(crate) fn metrics(shared: &Arc<Shared>, _: &Call) -> Result<Answer, Problem> {
    if !shared.halted.load(Ordering::SeqCst) {
        let snapshot = shared.snapshot();
        let report = checks::report(shared, &snapshot);
        shared.meters.observe(shared, &snapshot, &report);
    }
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&shared.registry.gather(), &mut text)
        .map_err(|error| Problem::new("internal", error))?;
    let text = String::from_utf8(text).map_err(|error| Problem::new("internal", error))?;
    Ok(Answer::Text("text/plain; version=0.0.4", text))
}
