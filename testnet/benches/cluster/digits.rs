//! How long a paid job takes from submission to settlement, beside running the model once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testnet::client::{Api, number, text};
use testnet::clock::{Stopwatch, poll};
use testnet::models::Model;

use crate::bed::{Bed, Scale};

const SETTLED_MAX: Duration = Duration::from_secs(60);

/// One model, several jobs.
#[derive(Debug, Clone)]
pub(crate) struct Digits {
    /// From the client's command to the state `settled`, in seconds, sorted.
    pub settled_s: Vec<f64>,
    /// Blocks from the submission's to the job's last.
    pub blocks: Vec<u64>,
    /// One run of the model in the same sandbox on this machine, with the start of a client, sorted.
    pub bare_s: Vec<f64>,
    /// The start of a client alone, sorted.
    pub client_s: Vec<f64>,
    /// The chain's block interval, in milliseconds.
    pub block_ms: u64,
    /// What a run costs.
    pub fuel: u64,
    /// Resident memory of each node afterwards, in MiB.
    pub rss_mib: Vec<f64>,
}

/// Runs jobs one after the other, each beside a bare run.
///
/// # Errors
/// If a job does not settle.
pub(crate) fn measure(binary: &Path, scale: Scale) -> Result<Digits> {
    let bed = Bed::up(binary, "", &[], "")?;
    let model = Model::by_name("demo/digits").context("no digits")?;
    let (file, inputs) = model.write(&bed.file("models"))?;
    let (file, input) = (path(&file)?, path(&inputs[0])?);
    let alice = Api::new(bed.apis()?.swap_remove(0));
    let job = ["--model", file.as_str(), "--input", input.as_str()];
    let estimate = bed.run(&[&["job", "estimate"], &job[..]].concat())?;
    let fuel = number(&estimate, "fuel_limit")?;
    let limit = fuel.to_string();
    let submit = [
        &["job", "submit", "--no-estimate", "--fuel-limit", &limit],
        &job[..],
    ]
    .concat();
    let (mut settled_s, mut blocks, mut bare_s, mut client_s) = (vec![], vec![], vec![], vec![]);
    // Blobs travel once; the first job is not counted.
    settle(&bed, &alice, &submit)?;
    for _ in 0..scale.pick(2, 7) {
        let (seconds, count) = settle(&bed, &alice, &submit)?;
        settled_s.push(seconds);
        blocks.push(count);
        let clock = Stopwatch::start();
        bed.run(&[&["job", "estimate"], &job[..]].concat())?;
        bare_s.push(clock.seconds());
        let clock = Stopwatch::start();
        bed.run(&["config", "default"])?;
        client_s.push(clock.seconds());
    }
    for times in [&mut settled_s, &mut bare_s, &mut client_s] {
        times.sort_by(f64::total_cmp);
    }
    blocks.sort_unstable();
    let params = alice.get("/v1/chain/params")?;
    let block_ms = number(&params["params"], "block_interval_ms")?;
    Ok(Digits {
        settled_s,
        blocks,
        bare_s,
        client_s,
        block_ms,
        fuel,
        rss_mib: bed.rss_mib()?,
    })
}

fn path(path: &Path) -> Result<String> {
    let whole = path.canonicalize()?;
    Ok(whole.to_str().context("not a path of text")?.to_owned())
}

fn settle(bed: &Bed, alice: &Api, submit: &[&str]) -> Result<(f64, u64)> {
    let clock = Stopwatch::start();
    let submitted = bed.run(submit)?;
    let id = text(&submitted, "job")?;
    let job = poll(SETTLED_MAX, || {
        let job = alice.get(&format!("/v1/jobs/{id}")).ok()?;
        job["end_height"].is_u64().then_some(job)
    });
    let job = job.with_context(|| format!("job {id} has not ended"))?;
    ensure!(
        job["state"] == "settled",
        "job {id} ended {}: {}",
        job["state"],
        job["reason"]
    );
    let blocks = number(&job, "end_height")? - number(&job, "inclusion_height")?;
    Ok((clock.seconds(), blocks))
}
