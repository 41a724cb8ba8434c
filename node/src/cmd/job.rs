//! `palisade job …`

mod inputs;
mod outputs;
mod plan;
mod watch;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use protocol::digest::JobId;
use protocol::tx::{CancelJob, TxBody};
use serde_json::{Value, json};

use super::Context;
use super::account::sent;
use super::chain::pairs;
use crate::api::ambiguous;
use crate::client::resolve::Resolved;
use crate::client::{number, text};
use crate::exit::Exit;
use crate::output::pal;
use crate::printable::printable;
use crate::problem::refuse;

pub(crate) use plan::PlanArgs;
pub(crate) use watch::is_ended;

/// Fewer digits say too little to be meant.
const PREFIX_MIN: usize = 4;

/// What to do with jobs.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Run the job here once and say what it would cost.
    Estimate(PlanArgs),
    /// Submit a job. If seats disagree, its input and outputs become public.
    Submit {
        #[command(flatten)]
        plan: PlanArgs,
        /// Follow it to its end. Ctrl-C detaches; the job goes on.
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        keep: Keep,
    },
    /// Follow a job to its end.
    Watch {
        /// Its id or a prefix.
        job: String,
        #[command(flatten)]
        keep: Keep,
    },
    /// Show one job.
    Show {
        /// Its id or a prefix.
        job: String,
    },
    /// List jobs, newest first.
    List {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: u8,
    },
    /// Everything that decided about a job: seats, reveals, money, reasons.
    Explain {
        /// Its id or a prefix.
        job: String,
    },
    /// Take back a job that still waits for its committee.
    Cancel {
        /// Its id or a prefix.
        job: String,
    },
}

/// What stays on disk of a job that was watched to its end.
#[derive(clap::Args, Debug)]
pub(crate) struct Keep {
    /// When watching: write the outputs here, as .npy files, and the receipt and the result.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// When watching: write no receipt and no result.
    #[arg(long)]
    no_receipt: bool,
}

impl Verb {
    /// Where this verb will write outputs.
    fn output_dir(&self) -> Option<&Path> {
        match self {
            Self::Submit {
                watch: true, keep, ..
            }
            | Self::Watch { keep, .. } => keep.output_dir.as_deref(),
            _ => None,
        }
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    verb.output_dir().map(outputs::prepare).transpose()?;
    let node = context.resolve()?;
    match verb {
        Verb::Estimate(args) => plan::estimate(context, &node, args),
        Verb::Submit {
            plan: args,
            watch: follow,
            keep,
        } => {
            let (job, document) = plan::submit(context, &node, args)?;
            if !follow {
                context.output.document(&document, || {
                    format!("{job}\nnext: palisade job watch {job}")
                });
                return Ok(Exit::Ok);
            }
            context.output.event(&document, &format!("submitted {job}"));
            watch::follow(context, &node, &job.to_string(), keep)
        }
        Verb::Watch { job, keep } => {
            let job = id_of(&node, job)?;
            watch::follow(context, &node, &job, keep)
        }
        Verb::Show { job } => {
            let job = id_of(&node, job)?;
            let mut value = node.api.get(&format!("/v1/jobs/{job}"))?;
            value["schema"] = json!("palisade.job/1");
            context.output.document(&value, || human(&value));
            Ok(Exit::Ok)
        }
        Verb::List { limit } => list(context, &node, *limit),
        Verb::Explain { job } => explain(context, &node, job),
        Verb::Cancel { job } => cancel(context, &node, job),
    }
}

/// A job's id, from a prefix of it.
pub(crate) fn id_of(node: &Resolved, text_of_id: &str) -> Result<String> {
    if text_of_id.parse::<JobId>().is_ok() {
        return Ok(text_of_id.to_owned());
    }
    let digits = text_of_id.bytes().all(|b| b.is_ascii_hexdigit());
    if !digits || text_of_id.len() < PREFIX_MIN {
        refuse!(
            "job.unknown",
            "{text_of_id:?}: an id, or at least {PREFIX_MIN} of its first digits"
        );
    }
    let wanted = text_of_id.to_ascii_lowercase();
    let mut fitting = Vec::new();
    let mut path = "/v1/jobs?limit=100".to_owned();
    loop {
        let value = node.api.get(&path)?;
        let rows = value["jobs"].as_array().into_iter().flatten();
        let ids = rows.map(|row| text(row, "id").to_owned());
        fitting.extend(ids.filter(|id| id.starts_with(&wanted)));
        let Some(after) = value["after"].as_str() else {
            break;
        };
        path = format!("/v1/jobs?limit=100&after={after}");
    }
    match fitting.as_slice() {
        [only] => Ok(only.clone()),
        [] => refuse!("job.unknown", "{text_of_id}"),
        several => Err(ambiguous(text_of_id, several).into()),
    }
}

fn list(context: &Context, node: &Resolved, limit: u8) -> Result<Exit> {
    let value = node
        .api
        .get(&format!("/v1/jobs?limit={}", limit.min(100)))?;
    context.output.document(&value, || {
        let rows = value["jobs"].as_array().into_iter().flatten();
        let lines: Vec<String> = rows
            .map(|row| {
                let outcome = text(row, "outcome");
                format!(
                    "{}  {:<10} {outcome:<14} {}",
                    text(row, "id"),
                    text(row, "state"),
                    pal(number(row, "paid"))
                )
            })
            .collect();
        if lines.is_empty() {
            "none".to_owned()
        } else {
            lines.join("\n")
        }
    });
    Ok(Exit::Ok)
}

/// A job in lines for people.
pub(crate) fn human(job: &Value) -> String {
    let mut shown = job.clone();
    if let Some(map) = shown.as_object_mut() {
        map.remove("seats");
    }
    for amount in ["locked", "paid", "refunded", "fee", "burned"] {
        shown[amount] = json!(pal(number(job, amount)));
    }
    let mut lines = vec![pairs(&shown)];
    for seat in job["seats"].as_array().into_iter().flatten() {
        lines.push(format!(
            "seat {:<3} {:<10} {:<10} {}, paid {}",
            number(seat, "seat"),
            text(seat, "level"),
            printable(text(seat, "moniker")),
            said(seat),
            pal(number(seat, "paid"))
        ));
    }
    lines.join("\n")
}

/// What a seat has said so far.
fn said(seat: &Value) -> String {
    let root = text(seat, "result_root");
    match (text(seat, "declined"), root, &seat["commit_height"]) {
        ("", "", Value::Null) => "nothing yet".to_owned(),
        ("", "", height) => format!("committed at height {height}, nothing revealed"),
        ("", root, _) => format!("result {}…", root.get(..12).unwrap_or(root)),
        (reason, ..) => format!("declined: {}", printable(reason)),
    }
}

fn explain(context: &Context, node: &Resolved, job: &str) -> Result<Exit> {
    let job = id_of(node, job)?;
    let state = node.api.get(&format!("/v1/jobs/{job}"))?;
    let events = node.api.get(&format!("/v1/jobs/{job}/events"))?;
    let document = json!({
        "schema": "palisade.job-explain/1", "job": state, "events": events["events"],
    });
    context.output.document(&document, || {
        let mut lines = vec![human(&state), String::new()];
        for event in events["events"].as_array().into_iter().flatten() {
            lines.push(watch::line(event));
        }
        lines.join("\n")
    });
    Ok(Exit::Ok)
}

fn cancel(context: &Context, node: &Resolved, job: &str) -> Result<Exit> {
    let chain = node.chain()?;
    let job: JobId = id_of(node, job)?.parse()?;
    let signer = node.wallet(&chain)?;
    let body = TxBody::CancelJob(CancelJob { job });
    let (ready, included) = node.transact(&chain, &signer, |_| Ok(body))?;
    let document = sent("palisade.job-cancel/1", &ready, &included);
    context.output.document(&document, || {
        format!("{job} cancelled at height {}", number(&included, "height"))
    });
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_committed_has_said_something() {
        let root = "0123456789abcdef";
        for (seat, shown) in [
            (json!({}), "nothing yet"),
            (
                json!({"commit_height": null, "result_root": null, "declined": null}),
                "nothing yet",
            ),
            (
                json!({"commit_height": 7, "result_root": null, "declined": null}),
                "committed at height 7, nothing revealed",
            ),
            (
                json!({"commit_height": 7, "result_root": root, "declined": null}),
                "result 0123456789ab…",
            ),
            (
                json!({"commit_height": null, "declined": "no_show"}),
                "declined: no_show",
            ),
        ] {
            assert_eq!(said(&seat), shown);
            let job = human(&json!({"seats": [seat]}));
            assert!(job.contains(&format!(" {shown}, paid 0 PAL")), "{job}");
        }
    }
}
