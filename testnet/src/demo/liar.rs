//! Fact 5: a validator that lies about a result is found out by the whole set and pays for it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use protocol::genesis::Genesis;
use protocol::units::{Amount, Fuel};
use serde_json::{Value, json};

use super::stage::{Stage, ended_in};
use super::{Finding, NAMES};
use crate::client::{list, number, text};

const LIAR: &str = "mallory";
/// Jobs until mallory is drawn, at most. Three of four seats: missing eight times has chance 1.5·10⁻⁵.
const JOBS_MAX: usize = 8;
/// A case that a slow host leaves undecided is repeated, so often at most.
const CASES_MAX: usize = 3;

pub(super) fn check(stage: &Stage) -> Finding {
    let home = stage.net.dir.home(LIAR);
    for _ in 0..CASES_MAX {
        let stake = number(&stage.validator(stage.api(), LIAR)?, "stake")?;
        let balance = operator_balance(stage)?;
        crate::admin::set_byzantine(&home, Some("wrong-result"), 0)?;
        let id = job_with_liar(stage)?;
        let job = stage.job_end(&id, Duration::from_secs(40))?;
        crate::admin::set_byzantine(&home, None, 0)?;
        if ended_in(&job, &["resolved"]) {
            return judge(stage, &id, &job, stake, balance);
        }
        if !ended_in(&job, &["ambiguous"]) {
            bail!("job {id} ended {}: {}", job["state"], job["reason"]);
        }
    }
    bail!("{CASES_MAX} cases in a row stayed ambiguous: this host is too slow for its jobs")
}

/// Submits jobs one after the other until the liar has a seat in one.
fn job_with_liar(stage: &Stage) -> Result<String> {
    for _ in 0..JOBS_MAX {
        let id = stage.submit("demo/digits", &[])?;
        let seats = stage.wait("a committee", Duration::from_secs(15), || {
            let job = stage.job(stage.api(), &id).ok()?;
            let seats = list(&job, "seats").ok()?;
            (!seats.is_empty()).then(|| seats.to_vec())
        })?;
        if seats.iter().any(|seat| seat["moniker"] == LIAR) {
            return Ok(id);
        }
        stage.job_end(&id, Duration::from_secs(30))?;
    }
    bail!("{LIAR} was not drawn in {JOBS_MAX} jobs")
}

fn operator_balance(stage: &Stage) -> Result<u64> {
    let row = stage.validator(stage.api(), LIAR)?;
    let account = stage
        .api()
        .get(&format!("/v1/accounts/{}", text(&row, "operator")?))?;
    number(&account, "balance")
}

fn judge(stage: &Stage, id: &str, job: &Value, stake: u64, balance: u64) -> Finding {
    let slash = the_slash(stage, id)?;
    let (slashed, height) = (number(&slash, "amount")?, number(&slash, "height")?);
    let expected = expected(stage, job, stake)?.0;
    ensure!(
        slashed == expected,
        "{slashed} upal slashed, the rule says {expected}"
    );
    let left = number(&stage.validator(stage.api(), LIAR)?, "stake")?;
    ensure!(
        stake - left == expected,
        "stake fell from {stake} to {left}, not by {expected}"
    );
    jailed_everywhere(stage)?;
    let paid = operator_balance(stage)?.checked_sub(balance);
    ensure!(liar_pay(job)? == 0, "the liar was paid");
    let root = text(job, "result_root")?;
    let honest = list(job, "seats")?
        .iter()
        .filter(|seat| seat["moniker"] != LIAR)
        .all(|seat| seat["result_root"].is_null() || seat["result_root"] == root);
    ensure!(honest, "the resolved root is not the honest one");
    let detail = format!(
        "{LIAR} lied in job {}, lost {} PAL at height {height}, jailed on all nodes",
        &id[..12],
        Amount(slashed).0 / protocol::units::UPAL_PER_PAL
    );
    let data = json!({
        "node": LIAR, "job": id, "offence": slash["offence"], "slashed": slashed,
        "expected": expected, "height": height, "earned_meanwhile": paid,
    });
    Ok((detail, data))
}

fn the_slash(stage: &Stage, id: &str) -> Result<Value> {
    let liar = &stage.net.plan.node(LIAR).context("no liar")?.validator;
    let slashes = stage.api().get("/v1/slashes")?;
    let of_job: Vec<&Value> = list(&slashes, "slashes")?
        .iter()
        .filter(|slash| slash["job"] == *id)
        .collect();
    match of_job.as_slice() {
        [slash] if slash["validator"] == **liar => Ok((*slash).clone()),
        other => bail!("expected one slash of {LIAR}, found {other:?}"),
    }
}

/// The amount that the rule of protocol.md §7 gives for this stake and job.
fn expected(stage: &Stage, job: &Value, stake: u64) -> Result<Amount> {
    let genesis = Genesis::parse(&std::fs::read(stage.net.dir.file("genesis.toml"))?)?;
    let fuel_limit = Fuel(number(job, "fuel_limit")?);
    let seat_bond = genesis.params.seat_bond(fuel_limit);
    Ok(seat_bond.max(Amount(stake).share(5, 100)))
}

fn jailed_everywhere(stage: &Stage) -> Result<()> {
    let mut terms = Vec::new();
    for name in NAMES {
        let api = stage.api_of(name)?;
        terms.push(
            stage.wait("the jail on every node", Duration::from_secs(5), || {
                let row = stage.validator(api, LIAR).ok()?;
                (row["state"] == "jailed").then(|| row["jailed_until"].clone())
            })?,
        );
    }
    ensure!(
        terms.windows(2).all(|pair| pair[0] == pair[1]),
        "jail terms differ: {terms:?}"
    );
    Ok(())
}

fn liar_pay(job: &Value) -> Result<u64> {
    let of_liar = list(job, "seats")?
        .iter()
        .filter(|seat| seat["moniker"] == LIAR);
    Ok(of_liar.filter_map(|seat| number(seat, "paid").ok()).sum())
}
