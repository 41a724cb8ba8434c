//! `palisade status` and `palisade health`

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::Context;
use crate::client::resolve::Resolved;
use crate::client::{number, text};
use crate::exit::Exit;
use crate::output::Format;
use crate::problem::{Problem, refuse};

/// How to look.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Exit 8 if this node cannot earn.
    #[arg(long)]
    check: bool,
    /// List every failing check.
    #[arg(long)]
    why: bool,
    /// Print again at every new height.
    #[arg(long)]
    watch: bool,
}

/// What to ask.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct HealthArgs {
    /// Do all actors answer?
    #[arg(long)]
    live: bool,
    /// Is the node in step with the chain?
    #[arg(long)]
    ready: bool,
}

/// Prints the status.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit> {
    if let Some(halt) = halted(context) {
        return Ok(halt);
    }
    let node = context.resolve()?;
    if args.watch {
        return watch(context, &node, args);
    }
    let status = node.api.get("/v1/status")?;
    context
        .output
        .document(&status, || human(&status, args.why));
    let earns = status["can_earn"].as_bool() == Some(true);
    Ok(match args.check && !earns {
        true => context.output.problem(&why_not(&status)),
        false => Exit::Ok,
    })
}

/// The first check that fails, as an error: its code has a text of its own.
fn why_not(status: &Value) -> Problem {
    let code = text(status, "reason");
    let checks = status["checks"].as_array();
    let failing = checks
        .into_iter()
        .flatten()
        .find(|row| row["code"] == code && row["ok"] == false);
    let detail = failing.map_or_else(String::new, |row| text(row, "detail").to_owned());
    Problem::new(code, detail).exit(Exit::False)
}

/// A stopped home that says why it halted.
fn halted(context: &Context) -> Option<Exit> {
    if context.global.api.is_some() {
        return None;
    }
    let text = std::fs::read_to_string(context.home.halt_file()).ok()?;
    let halt: Value = serde_json::from_str(&text).ok()?;
    let document = json!({"schema": "palisade.status/1", "can_earn": false, "halted": halt});
    context.output.document(&document, || {
        format!(
            "halted: {} (exit {}, height {})",
            crate::client::text(&halt, "reason"),
            halt["code"],
            halt["height"]
        )
    });
    Some(Exit::Unavailable)
}

fn human(status: &Value, why: bool) -> String {
    let earns = status["can_earn"].as_bool() == Some(true);
    let mut lines = vec![
        match (earns, text(status, "reason")) {
            (true, _) => "can earn".to_owned(),
            (false, reason) => format!("cannot earn: {reason}"),
        },
        format!(
            "height {}  {}  chain {}",
            number(status, "height"),
            text(&status["sync"], "state"),
            text(status, "chain_name")
        ),
        format!(
            "{}  {}  signing {}",
            text(status, "moniker"),
            status["validator"].as_str().unwrap_or("no validator"),
            status["signing"]
        ),
    ];
    let checks = status["checks"].as_array().into_iter().flatten();
    for check in checks.filter(|check| why && check["ok"].as_bool() != Some(true)) {
        lines.push(format!(
            "- {}: {}",
            text(check, "check"),
            text(check, "detail")
        ));
        lines.push(format!("  fix: {}", text(check, "fix")));
    }
    lines.join("\n")
}

fn watch(context: &Context, node: &Resolved, args: &Args) -> Result<Exit> {
    if context.output.format == Format::Json {
        refuse!(
            "api.bad_request",
            "--watch goes with --output jsonl or human"
        );
    }
    let mut last = None;
    loop {
        let status = node.api.get("/v1/status")?;
        let height = number(&status, "height");
        if last != Some(height) {
            context.output.event(&status, &human(&status, args.why));
            last = Some(height);
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// Liveness or readiness as an exit code.
pub(crate) fn health(context: &Context, args: &HealthArgs) -> Result<Exit> {
    let path = if args.live { "/livez" } else { "/readyz" };
    let (status, body) = context.resolve()?.api.probe(path)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let document = json!({"schema": "palisade.health/1", "ok": status == 200, "answer": body});
    if status != 200 {
        return Err(
            Problem::new("api.overloaded", format!("{path} answers {status}: {body}"))
                .hint("palisade status --why")
                .into(),
        );
    }
    context.output.document(&document, || "ok".to_owned());
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: whoever reads stderr alone is told which check fails, by its own code.
    #[test]
    fn what_keeps_a_node_from_earning_is_an_error_of_its_own() {
        let status = json!({
            "can_earn": false, "reason": "check.quiesce", "checks": [
                {"check": "keys", "ok": true, "code": null, "detail": "there"},
                {"check": "quiesce", "ok": false, "code": "check.quiesce", "detail": "told to"},
            ],
        });
        let problem = why_not(&status);
        assert_eq!(
            (problem.code.as_str(), problem.exit_code),
            ("check.quiesce", 8)
        );
        assert_eq!(
            (problem.detail.as_str(), problem.hint.as_str()),
            ("told to", "palisade quiesce --off")
        );
        // A node of another release may know checks that we do not.
        let unknown = why_not(&json!({"can_earn": false, "reason": "check.new"}));
        assert_eq!((unknown.code.as_str(), unknown.exit_code), ("check.new", 8));
    }
}
