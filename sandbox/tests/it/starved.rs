//! Goal: a job that its launcher kills for the wall-clock limit ends as `WallTimeout`, whoever was late.
//! Method: a node in small is stopped while its job sleeps, and goes on once the launcher's own timer has
//! ended the job.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bed;
use crate::killed::{children_now, until_gone};

/// Whether the job, or what stands between it and its launcher, has become the sleeper.
fn sleeps(pid: i32) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let below = children_now(pid.unsigned_abs());
    words.contains("sleep") || below.into_iter().any(sleeps)
}

fn outcome_of_a_starved_node(profile: &str) -> String {
    let work = tempfile::tempdir().unwrap();
    let mut node = Command::new(bed::testbed())
        .args(["run-late", work.path().to_str().unwrap(), profile])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(node.stdout.take().unwrap()).lines();
    let launcher = said.next().unwrap().unwrap();
    let launcher: u32 = launcher.strip_prefix("launcher ").unwrap().parse().unwrap();
    until_gone(|| !children_now(launcher).into_iter().any(sleeps));
    let pid = Pid::from_raw(node.id().cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();
    until_gone(|| !children_now(launcher).is_empty());
    kill(pid, Signal::SIGCONT).unwrap();
    let outcome = said.next().unwrap().unwrap();
    assert!(node.wait().unwrap().success());
    outcome
}

#[test]
fn a_slot_that_nothing_schedules_still_names_the_limit() {
    for profile in ["runner", "native"] {
        assert_eq!(
            outcome_of_a_starved_node(profile),
            "wall_timeout",
            "{profile}"
        );
    }
}
