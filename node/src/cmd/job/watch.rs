//! Following a job: the chain's events, a reason for each wait, one summary.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::{Context, receipt};
use super::{Keep, human, outputs};
use crate::client::resolve::Resolved;
use crate::client::{number, text};
use crate::exit::Exit;
use crate::printable::printable;

/// How often the node is asked.
const POLL: Duration = Duration::from_millis(200);

/// Prints a job's events until it ends, then its result.
pub(super) fn follow(context: &Context, node: &Resolved, job: &str, keep: &Keep) -> Result<Exit> {
    let mut seen = 0;
    let job = loop {
        let state = node.api.get(&format!("/v1/jobs/{job}"))?;
        let events = node.api.get(&format!("/v1/jobs/{job}/events"))?;
        let events = events["events"].as_array().cloned().unwrap_or_default();
        for event in events.iter().skip(seen) {
            context.output.event(event, &line(event));
        }
        seen = events.len();
        if is_ended(text(&state, "state")) {
            break state;
        }
        std::thread::sleep(POLL);
    };
    end(context, node, &job, keep)
}

/// States that never change again.
pub(crate) fn is_ended(state: &str) -> bool {
    const ENDS: [&str; 6] = [
        "settled",
        "resolved",
        "ambiguous",
        "cancelled",
        "expired",
        "failed",
    ];
    let state = state.to_ascii_lowercase();
    ENDS.iter().any(|end| state.starts_with(end))
}

/// One event, for people.
pub(super) fn line(event: &Value) -> String {
    let fields = event.as_object().into_iter().flatten();
    let shown: Vec<String> = fields
        .filter(|(key, _)| {
            !["schema", "height", "index", "name", "job", "domain"].contains(&key.as_str())
        })
        .map(|(key, value)| format!("{key} {}", short(value)))
        .collect();
    format!(
        "{:>6}  {:<14} {}",
        number(event, "height"),
        text(event, "name"),
        shown.join(", ")
    )
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() > 24 => {
            let start: String = text.chars().take(16).collect();
            format!("{}…", printable(&start))
        }
        Value::String(text) => printable(text),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(" "),
        other => printable(&other.to_string()),
    }
}

fn end(context: &Context, node: &Resolved, job: &Value, keep: &Keep) -> Result<Exit> {
    let paid = ["settled", "resolved"].contains(&text(job, "state").to_ascii_lowercase().as_str());
    let mut summary = job.clone();
    summary["schema"] = json!("palisade.job-watch/1");
    summary["job"] = job["id"].clone();
    summary["job_id"] = job["id"].clone();
    let mut shown = human(job);
    if paid && text(job, "outcome") == "ok" {
        let found = outputs::of(node, job)?;
        summary["outputs"] = found.iter().map(outputs::describe).collect();
        let mut names = outputs::file_names(&found).into_iter();
        for output in &found {
            shown.push_str(&format!("\noutput {}", outputs::print(output)));
            if let (Some(dir), Some(name)) = (&keep.output_dir, names.next()) {
                let path = outputs::write(dir, &name, output, text(job, "id"))?;
                shown.push_str(&format!("\n  written to {path}"));
            }
        }
    }
    let (receipt, lines) = keep_receipt(context, node, text(job, "id"), keep);
    summary["receipt"] = receipt;
    shown.push_str(&lines);
    context.output.document(&summary, || shown);
    let answered = paid && text(job, "outcome") == "ok";
    Ok(if answered { Exit::Ok } else { Exit::JobFailed })
}

/// The receipt's file and what to say about it. The job has ended either way, so a receipt that
/// cannot be had or written is told, with the command that fetches it later, and fails nothing.
fn keep_receipt(context: &Context, node: &Resolved, id: &str, keep: &Keep) -> (Value, String) {
    let later = format!("\nnext: palisade receipt fetch {id}");
    if keep.no_receipt {
        return (Value::Null, later);
    }
    let name = format!("receipt-{}.json", id.get(..12).unwrap_or(id));
    let dir = keep.output_dir.clone().unwrap_or_default();
    let saved = match receipt::save(node, id, &dir.join(name), None) {
        Ok(saved) => saved,
        Err(error) => return (Value::Null, format!("\nno receipt yet: {error:#}{later}")),
    };
    let holds = receipt::verify_saved(context, &saved).ok();
    let said = match holds {
        Some(true) => "it verifies",
        Some(false) => "it does NOT verify",
        None => "not checked: no genesis at hand",
    };
    let file = saved.receipt.display().to_string();
    let lines = format!("\nreceipt {file}: {said}\nnext: {}", saved.next());
    let result = saved.result.map(|path| path.display().to_string());
    (
        json!({"file": file, "result": result, "verified": holds}),
        lines,
    )
}
