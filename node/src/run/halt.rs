//! A node that must not go on: it says why, where a scrape and a person will find it.

use std::time::Duration;

use actors::supervisor::{Fatal, HaltReason};
use serde_json::json;

use crate::clock;
use crate::exit::Exit;
use crate::home::Home;
use crate::keys::file::write_private;
use crate::problem::Problem;

/// Three scrapes of Prometheus: a dead process cannot be scraped, so its alert would never fire.
pub(crate) const LINGER: Duration = Duration::from_secs(45);

/// Writes `run/halt.json`.
pub(crate) fn note(home: &Home, fatal: &Fatal) {
    let halt = json!({
        "schema": "palisade.halt/1",
        "reason": fatal.reason.name(),
        "detail": fatal.detail,
        "code": fatal.reason.exit_code(),
        "height": fatal.height,
        "evidence": fatal.evidence,
        "time": clock::rfc3339(clock::unix_seconds()),
    });
    if let Err(problem) = write_private(&home.halt_file(), halt.to_string().as_bytes()) {
        tracing::error!(detail = %problem.detail, "halt_note_failed");
    }
}

/// The same as the line that ends stderr: on a full disk there may be no other place for it.
pub(crate) fn problem(fatal: &Fatal) -> Problem {
    let detail = format!("{}: {}", fatal.reason.name(), fatal.detail);
    let problem = match fatal.reason {
        HaltReason::Durability => Problem::new("storage.failed", detail),
        _ => Problem::new("internal", detail)
            .hint("palisade status shows run/halt.json; do not delete sign-state"),
    };
    problem.exit(Exit::of(fatal.reason.exit_code()))
}

/// A new start is a new chance; what was noted stays in the log.
pub(crate) fn forget(home: &Home) {
    drop(std::fs::remove_file(home.halt_file()));
}
