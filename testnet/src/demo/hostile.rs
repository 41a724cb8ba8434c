//! Fact 3: a model that has taken over its runner can do nothing.
//!
//! Three jobs with the engine `probe` act as a captured runner. A secret file lies where every process
//! of this user could read it, a listener waits on loopback, and the processes are counted.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::stage::{Stage, ended_in};
use super::{Finding, NAMES};
use crate::client::{list, text};

const ATTACKS: [&str; 3] = ["open_socket", "read_secret", "fork_bomb"];
const SECRET: &str = "this line must never leave the host\n";

pub(super) fn check(stage: &Stage) -> Finding {
    let secret = stage.net.dir.file("secret.txt");
    std::fs::write(&secret, SECRET)?;
    let canary = TcpListener::bind("127.0.0.1:0")?;
    canary.set_nonblocking(true)?;
    let before = job_processes()?;
    let mut ids = Vec::new();
    for attack in ATTACKS {
        ids.push(stage.submit(
            "demo/echo",
            &["--engine", "probe", "--probe-attack", attack],
        )?);
    }
    let mut attacks = Vec::new();
    for (attack, id) in ATTACKS.iter().zip(&ids) {
        let job = stage.job_end(id, Duration::from_secs(40))?;
        ensure!(
            ended_in(&job, &["failed"]),
            "{attack}: job ended {}",
            job["state"]
        );
        attacks.push(json!({ "attack": attack, "outcome": outcome(&job)? }));
    }
    ensure!(
        std::fs::read_to_string(&secret)? == SECRET,
        "the secret file was changed"
    );
    ensure!(canary.accept().is_err(), "something reached the listener");
    stage.wait("end of all job processes", Duration::from_secs(5), || {
        job_processes().ok()?.is_subset(&before).then_some(())
    })?;
    nobody_punished(stage)?;
    let tier = tier(stage)?;
    let detail = format!(
        "tier {tier}: {} attacks contained, nobody slashed or jailed",
        ids.len()
    );
    Ok((detail, json!({ "tier": tier, "attacks": attacks })))
}

/// Why the seats declined; all for one reason, as every run met the same wall.
fn outcome(job: &Value) -> Result<String> {
    let declined: BTreeSet<&str> = list(job, "seats")?
        .iter()
        .filter_map(|seat| seat["declined"].as_str())
        .collect();
    ensure!(!declined.is_empty(), "no seat declined: {job}");
    Ok(declined.into_iter().collect::<Vec<_>>().join(", "))
}

fn nobody_punished(stage: &Stage) -> Result<()> {
    let slashes = stage.api().get("/v1/slashes")?;
    ensure!(
        list(&slashes, "slashes")?.is_empty(),
        "somebody was slashed: {slashes}"
    );
    for name in NAMES {
        let row = stage.validator(stage.api(), name)?;
        if text(&row, "state")? != "active" {
            bail!("{name} is {}", row["state"]);
        }
    }
    Ok(())
}

fn tier(stage: &Stage) -> Result<String> {
    let report = stage.client.json(&["doctor", "--sandbox"])?;
    Ok(report["tier"]
        .as_str()
        .context("the doctor names no tier")?
        .to_owned())
}

/// Processes whose command line is a sandboxed runner's.
fn job_processes() -> Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if command
            .split(|byte| *byte == 0)
            .any(|argument| argument == b"__runner")
        {
            found.insert(pid);
        }
    }
    Ok(found)
}
