//! `testnet submit`: jobs from client-0, through the same client that everybody uses.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::print;
use crate::cli::{Context, SubmitArgs};
use crate::error::{CommandError, EXIT_FALSE};
use crate::files::NetDir;
use crate::models::Model;
use crate::net::Net;
use crate::palisade::Palisade;

pub(crate) fn run(args: &SubmitArgs, context: &Context<'_>) -> Result<()> {
    let net = Net::open(NetDir::of(&args.which.name)?)?;
    let (model, mut inputs) = files(&net, &args.model)?;
    let api = net.ready_api()?;
    if !args.input.is_empty() {
        inputs.clone_from(&args.input);
    }
    let client = Palisade::new(api.base(), &net.dir);
    let mut jobs = Vec::new();
    for number in 1..=args.count {
        let run = client.submit(&model, &inputs, args.watch)?;
        let id = if args.watch { &run["id"] } else { &run["job"] };
        super::note(&format!("job {number}/{}: {id}", args.count));
        jobs.push(run);
    }
    // Unwatched, accepted is all that can be said; watched, only an answer that was paid for counts.
    let ended_well = |job: &&Value| job["state"] == "settled" || job["state"] == "resolved";
    let good = jobs
        .iter()
        .filter(|job| !args.watch || ended_well(job))
        .count();
    let document = json!({ "schema": "palisade.testnet-submit/1", "jobs": jobs });
    print(context, &document, || {
        format!("{good} of {} jobs accepted", args.count)
    })?;
    if good == jobs.len() {
        return Ok(());
    }
    Err(CommandError {
        exit: EXIT_FALSE,
        code: "testnet.false".into(),
        detail: format!("{} jobs did not end paid", jobs.len() - good),
        hint: "`palisade job list` shows how they ended".into(),
    }
    .into())
}

/// The model's file and its example input: a shipped one is written into the net's folder first.
fn files(net: &Net, model: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
    match Model::by_name(model) {
        Some(shipped) => shipped.write(&net.dir.file("models")),
        None => Ok((PathBuf::from(model), Vec::new())),
    }
}
