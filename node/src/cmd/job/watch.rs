//! Following a job: the chain's events, a reason for each wait, one summary.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use protocol::result::{OutputTensor, decode_blob, root_of_blob};
use runner::npy;
use serde_json::{Value, json};

use super::super::Context;
use super::{human, plan};
use crate::client::resolve::Resolved;
use crate::client::{number, text};
use crate::exit::Exit;
use crate::problem::{Problem, refuse};

/// How often the node is asked.
const POLL: Duration = Duration::from_millis(200);
/// Results with at most so many elements are printed.
const PRINTED_ELEMENTS_MAX: usize = 64;

/// Prints a job's events until it ends, then its result.
pub(super) fn follow(
    context: &Context,
    node: &Resolved,
    job: &str,
    output_dir: Option<&Path>,
) -> Result<Exit> {
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
    end(context, node, &job, output_dir)
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
            format!("{}…", text.get(..16).unwrap_or(text))
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn end(context: &Context, node: &Resolved, job: &Value, output_dir: Option<&Path>) -> Result<Exit> {
    let paid = ["settled", "resolved"].contains(&text(job, "state").to_ascii_lowercase().as_str());
    let mut summary = job.clone();
    summary["schema"] = json!("palisade.job-watch/1");
    summary["job"] = job["id"].clone();
    summary["job_id"] = job["id"].clone();
    let mut shown = human(job);
    if paid && text(job, "outcome") == "ok" {
        let outputs = outputs_of(node, job)?;
        summary["outputs"] = outputs.iter().map(describe).collect();
        for output in &outputs {
            shown.push_str(&format!("\noutput {}", print(output)));
            if let Some(dir) = output_dir {
                shown.push_str(&format!("\n  written to {}", keep(dir, output)?));
            }
        }
    }
    shown.push_str(&format!(
        "\nnext: palisade receipt fetch {}",
        text(job, "id")
    ));
    context.output.document(&summary, || shown);
    Ok(if paid { Exit::Ok } else { Exit::JobFailed })
}

/// The outputs, checked against the root that the chain knows.
fn outputs_of(node: &Resolved, job: &Value) -> Result<Vec<OutputTensor>> {
    let blob = node
        .api
        .get_bytes(&format!("/v1/jobs/{}/output", text(job, "id")))?;
    let found = root_of_blob(&blob).map_err(|error| Problem::new("blob.digest", error))?;
    if plan::result_root(job) != Some(found) {
        refuse!(
            "blob.digest",
            "the node's output has root {found}, the chain says another"
        );
    }
    decode_blob(&blob).map_err(|error| Problem::new("blob.digest", error).into())
}

fn describe(output: &OutputTensor) -> Value {
    json!({
        "name": output.name, "dtype": output.dtype.to_string(), "dims": output.dims,
        "values": values(output),
    })
}

/// Elements of a small output.
fn values(output: &OutputTensor) -> Option<Vec<Value>> {
    use protocol::result::Dtype;
    let all = &output.elements;
    let width = match output.dtype {
        Dtype::F32 | Dtype::I32 => 4,
        Dtype::I64 => 8,
        _ => 1,
    };
    if all.len() / width > PRINTED_ELEMENTS_MAX {
        return None;
    }
    let value = |part: &[u8]| match output.dtype {
        Dtype::F32 => json!(f32::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::I32 => json!(i32::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::I64 => json!(i64::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::I8 => json!(i8::from_le_bytes(part.try_into().unwrap_or_default())),
        Dtype::Bool => json!(part == [1]),
        _ => json!(part.first()),
    };
    Some(all.chunks(width).map(value).collect())
}

fn print(output: &OutputTensor) -> String {
    let head = format!("{} {} {:?}", output.name, output.dtype, output.dims);
    match values(output) {
        Some(values) => {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            format!("{head} = {}", values.join(" "))
        }
        None => format!("{head}, too long to print: use --output-dir"),
    }
}

/// Output names come from the model: only harmless characters become part of a file's name.
fn keep(dir: &Path, output: &OutputTensor) -> Result<String> {
    std::fs::create_dir_all(dir)?;
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '_'
        }
    };
    let name: String = output.name.chars().take(64).map(plain).collect();
    let path = dir.join(format!("{name}.npy"));
    let array = npy::Array {
        dtype: output.dtype,
        dims: output.dims.clone(),
        elements: output.elements.clone(),
    };
    std::fs::write(&path, npy::write(&array))?;
    Ok(path.display().to_string())
}
