//! Fact 2: a job is escrowed, executed, revealed and paid, and its receipt verifies offline.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Finding;
use super::stage::{Stage, ended_in};
use crate::client::{list, number, text};

/// What the client locks: 5 PAL, far above the price, so that a refund is seen too.
const PRICE: &str = "5PAL";

/// Jobs until all three seats of one revealed in time; a slow host may miss a window.
const JOBS_MAX: usize = 3;

pub(super) fn check(stage: &Stage) -> Finding {
    for _ in 1..JOBS_MAX {
        let (id, job) = settled(stage)?;
        let missed = list(&job, "seats")?
            .iter()
            .any(|seat| seat["result_root"].is_null());
        if !missed {
            return judge(stage, &id, &job);
        }
    }
    let (id, job) = settled(stage)?;
    judge(stage, &id, &job)
}

fn settled(stage: &Stage) -> Result<(String, Value)> {
    let id = stage.submit("demo/digits", &["--max-price", PRICE])?;
    let job = stage.job_end(&id, Duration::from_secs(30))?;
    if !ended_in(&job, &["settled"]) {
        bail!("job {id} ended {}: {}", job["state"], job["reason"]);
    }
    Ok((id, job))
}

fn judge(stage: &Stage, id: &str, job: &Value) -> Finding {
    let seats = list(job, "seats")?;
    let root = text(job, "result_root")?;
    ensure!(seats.len() == 3, "{} seats instead of 3", seats.len());
    for seat in seats {
        ensure!(
            seat["result_root"] == root,
            "seat {} revealed another root",
            seat["seat"]
        );
    }
    let (locked, paid) = (number(job, "locked")?, number(job, "paid")?);
    let (refunded, fee) = (number(job, "refunded")?, number(job, "fee")?);
    ensure!(
        locked == paid + refunded + fee,
        "{locked} locked, {paid} + {refunded} + {fee} out"
    );
    verify_receipt(stage, id)?;
    let committee: Vec<&str> = seats
        .iter()
        .filter_map(|seat| seat["moniker"].as_str())
        .collect();
    let detail = format!(
        "job {}: {} agree, {paid} upal paid, {refunded} refunded; the receipt verifies offline",
        &id[..12],
        committee.join(", ")
    );
    let data = json!({
        "job": id, "committee": committee, "result_root": root, "locked": locked, "paid": paid,
        "refunded": refunded, "fee": fee,
    });
    Ok((detail, data))
}

/// Fetches the receipt and verifies it with the genesis alone.
fn verify_receipt(stage: &Stage, id: &str) -> anyhow::Result<()> {
    let file = stage.net.dir.file("receipt.json");
    let path = file.display().to_string();
    let genesis = stage.client.genesis().display().to_string();
    let fetched = stage.wait("the receipt", Duration::from_secs(10), || {
        let output = stage
            .client
            .run(&["receipt", "fetch", id, "--to", &path])
            .ok()?;
        output.status.success().then_some(())
    });
    fetched.context("the node has no receipt")?;
    let verified = stage
        .client
        .run(&["verify", "receipt", &path, "--genesis", &genesis])?;
    ensure!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stderr)
    );
    Ok(())
}
