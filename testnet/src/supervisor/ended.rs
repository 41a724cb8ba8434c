//! Why a node ended that should run: what it said, its exit code, and whether its disk is full.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::error::CommandError;
use crate::files::NetDir;

/// The problem line ends a log; this much of the end holds it.
const LOG_END_BYTES: u64 = 64 << 10;
/// What the system calls it.
const NO_SPACE: &str = "No space left on device";
/// With less than this a node cannot even write what it found.
const ROOM_BYTES_MIN: u64 = 1 << 20;

/// About a node that ended while it started.
pub(super) fn why(dir: &NetDir, node: &str, exit_code: Option<i32>) -> CommandError {
    let home = dir.home(node);
    let code = match exit_code {
        Some(code) => format!("exit code {code}"),
        None => "a signal".to_owned(),
    };
    let mut causes: Vec<String> = last_problem(&dir.log(node)).into_iter().collect();
    // A file that did not fit leaves the room that it would have needed.
    let said = causes.iter().any(|cause| cause.contains(NO_SPACE));
    let full = said || is_full(&home);
    if full && !said {
        causes.push(no_space(&home));
    }
    if causes.is_empty() {
        causes.push(format!("see {}", dir.log(node).display()));
    }
    let detail = format!("{node} ended while starting, {code}: {}", causes.join("; "));
    if full {
        return CommandError::unwritten(detail);
    }
    let hint = format!("`palisade testnet logs {node}` shows what it says");
    CommandError::unavailable(detail, hint)
}

/// About nodes that go on and reach no block.
pub(super) fn no_block(dir: &NetDir, seconds: u64) -> CommandError {
    let detail = format!("no first block within {seconds} s");
    if is_full(dir.path()) {
        return CommandError::unwritten(format!("{detail}: {}", no_space(dir.path())));
    }
    CommandError::unavailable(detail, "`palisade testnet logs` shows what the nodes say")
}

fn no_space(path: &Path) -> String {
    format!("no space is left on the disk of {}", path.display())
}

/// Whether the volume of a folder has no room to work with.
fn is_full(path: &Path) -> bool {
    nix::sys::statvfs::statvfs(path).is_ok_and(|volume| {
        let free = volume
            .blocks_available()
            .saturating_mul(volume.fragment_size());
        free < ROOM_BYTES_MIN
    })
}

/// The detail of the problem line that ends a log, if one does.
pub(crate) fn last_problem(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_END_BYTES)))
        .ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let last = text.lines().rfind(|line| !line.trim().is_empty())?;
    let problem: Value = serde_json::from_str(last).ok()?;
    problem["code"].as_str()?;
    let (title, detail) = (problem["title"].as_str()?, problem["detail"].as_str()?);
    Some(format!("{title}: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(log: &str) -> CommandError {
        let folder = tempfile::tempdir().unwrap();
        let dir = NetDir::at(folder.path());
        std::fs::create_dir_all(dir.home("bob")).unwrap();
        std::fs::write(dir.log("bob"), log).unwrap();
        let error = why(&dir, "bob", Some(76));
        assert_eq!(error.exit, 4);
        error
    }

    #[test]
    fn the_problem_that_ends_a_log_is_the_reason() {
        let line = "{\"code\":\"storage.failed\",\"title\":\"A durable write failed\",\
                    \"detail\":\"cannot write x: No space left on device\",\"hint\":\"\"}";
        let said = ended(&format!("{{\"message\":\"node_starting\"}}\n{line}\n\n"));
        assert!(
            said.detail
                .contains("bob ended while starting, exit code 76"),
            "{said}"
        );
        assert!(
            said.detail.contains("cannot write x: No space left"),
            "{said}"
        );
        assert!(said.hint.contains("--fresh"), "{}", said.hint);
    }

    #[test]
    fn without_a_problem_the_log_is_named() {
        for log in ["", "noise\n", "{\"message\":\"node_started\"}\n"] {
            let said = ended(log);
            assert!(said.detail.contains("log.jsonl"), "{said}");
        }
    }
}
