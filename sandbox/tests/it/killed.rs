//! Goal: whoever dies, the job dies. Method: SIGKILL to the launcher, and to a whole node.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::{Cancel, Outcome, Profile, Slot};

use crate::{bed, clock};

fn exists(pid: i32) -> bool {
    // A zombie that its parent has not reaped yet is dead for our purpose.
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.contains(") Z "),
        Err(_) => false,
    }
}

/// Children of a process, waiting for there to be some.
fn children(pid: u32) -> Vec<i32> {
    let deadline = clock::now() + Duration::from_secs(10);
    loop {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let found: Vec<i32> = std::fs::read_to_string(path)
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        if !found.is_empty() || clock::now() > deadline {
            return found;
        }
        thread::yield_now();
    }
}

fn await_gone(pid: i32, most: Duration) {
    let deadline = clock::now() + most;
    while exists(pid) {
        assert!(clock::now() < deadline, "process {pid} is still there");
        thread::yield_now();
    }
}

#[test]
fn launcher_killed_takes_the_job_along() {
    for profile in [Profile::Runner, Profile::Native] {
        let mut slot = bed::slot();
        let launcher = slot.launcher_pid().unwrap();
        let killer = thread::spawn(move || {
            let jobs = children(launcher);
            assert_eq!(jobs.len(), 1, "one job of launcher {launcher}");
            kill(Pid::from_raw(launcher.cast_signed()), Signal::SIGKILL).unwrap();
            await_gone(jobs[0], Duration::from_secs(1));
        });
        let report = bed::run(&mut slot, bed::probe(profile, "sleep"));
        killer.join().unwrap();
        assert_eq!(report.outcome, Outcome::LauncherLost, "{profile:?}");
        // The slot heals itself.
        let next = bed::run(&mut slot, bed::spec(profile, &["exit", "5"]));
        assert_eq!(next.outcome, Outcome::Exited(5));
        assert_ne!(slot.launcher_pid(), Some(launcher));
    }
}

#[test]
fn node_killed_takes_launcher_and_job_along() {
    let work = tempfile::tempdir().unwrap();
    let mut node = Command::new(bed::testbed())
        .args(["run-forever", work.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let launcher: u32 = line
        .trim()
        .strip_prefix("launcher ")
        .unwrap()
        .parse()
        .unwrap();
    let jobs = children(launcher);
    assert_eq!(jobs.len(), 1, "one job of launcher {launcher}");
    node.kill().unwrap();
    node.wait().unwrap();
    await_gone(launcher.cast_signed(), Duration::from_secs(1));
    await_gone(jobs[0], Duration::from_secs(1));
}

#[test]
fn cancel_ends_a_run_from_another_thread() {
    let mut slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap();
    let cancel = Cancel::new().unwrap();
    let switch = cancel.clone();
    let thread = thread::spawn(move || {
        children(launcher);
        switch.cancel();
    });
    let started = clock::now();
    let report = slot
        .run(bed::probe(Profile::Native, "sleep"), &cancel)
        .unwrap();
    thread.join().unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(5));
    // Thrown before the start, it still ends the run.
    let report = slot
        .run(bed::probe(Profile::Runner, "sleep"), &cancel)
        .unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
}

#[test]
fn a_launcher_that_cannot_start_is_an_error() {
    let mut config = bed::config();
    config.launcher = "/bin/true".into();
    let mut sandbox = sandbox::Sandbox::probe(config).unwrap();
    let error = sandbox.self_test().unwrap_err();
    assert!(matches!(error, sandbox::Closed::Spawn(_)), "{error}");
}

#[test]
fn a_dropped_slot_ends_its_launcher() {
    let slot: Slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap().cast_signed();
    assert!(exists(launcher));
    drop(slot);
    assert!(!exists(launcher));
}
