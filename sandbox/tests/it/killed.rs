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

/// Children of a process as of now.
pub(crate) fn children_now(pid: u32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let words = text.split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Children of a process, waiting for there to be some.
fn children(pid: u32) -> Vec<i32> {
    let deadline = clock::now() + bed::AT_ONCE;
    loop {
        let found = children_now(pid);
        if !found.is_empty() || clock::now() > deadline {
            return found;
        }
        thread::yield_now();
    }
}

/// After the death of whom it belongs to, a job is gone so soon.
const GONE: Duration = Duration::from_secs(1);

/// Waits for processes to be gone; says how long that took.
pub(crate) fn until_gone(is_there: impl Fn() -> bool) -> Duration {
    let started = clock::now();
    while is_there() {
        assert!(started.elapsed() < bed::AT_ONCE, "still there");
        thread::yield_now();
    }
    started.elapsed()
}

/// How long a job outlives its launcher.
fn kill_a_launcher(profile: Profile) -> Duration {
    let mut slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap();
    let killer = thread::spawn(move || {
        let jobs = children(launcher);
        assert_eq!(jobs.len(), 1, "one job of launcher {launcher}");
        kill(Pid::from_raw(launcher.cast_signed()), Signal::SIGKILL).unwrap();
        until_gone(|| exists(jobs[0]))
    });
    let report = bed::run(&mut slot, bed::probe(profile, "sleep"));
    let took = killer.join().unwrap();
    assert_eq!(report.outcome, Outcome::LauncherLost, "{profile:?}");
    // The slot heals itself.
    let next = bed::run(&mut slot, bed::spec(profile, &["exit", "5"]));
    assert_eq!(next.outcome, Outcome::Exited(5));
    assert_ne!(slot.launcher_pid(), Some(launcher));
    took
}

#[test]
fn launcher_killed_takes_the_job_along() {
    for profile in [Profile::Runner, Profile::Native] {
        bed::within(GONE, || kill_a_launcher(profile));
    }
}

#[test]
fn node_killed_takes_launcher_and_job_along() {
    bed::within(GONE, kill_a_node);
}

/// How long launcher and job outlive their node.
fn kill_a_node() -> Duration {
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
    until_gone(|| exists(launcher.cast_signed()) || exists(jobs[0]))
}

/// Processes of the user that only this slot has.
fn processes_of(uid: u32) -> Vec<i32> {
    let mine = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let is_dead = status.lines().any(|line| line.starts_with("State:\tZ"));
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let own = uids.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
        own == Some(uid) && !is_dead
    };
    let names = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(mine).collect()
}

/// Lets some time pass without giving up the processor: the moments in question are that short.
fn spin(time: Duration) {
    let until = clock::now() + time;
    while clock::now() < until {
        std::hint::spin_loop();
    }
}

/// Goal: no moment of a launch at which the launcher's death leaves something behind. Method: kill
/// it a little later each time, over more than the length of a launch.
#[test]
fn launcher_killed_at_any_moment_leaves_nothing() {
    const INDEX: u32 = 500;
    let config = bed::sandbox().slot(INDEX).unwrap();
    let Some(uid) = config.uid() else {
        eprintln!("skipped: without root the slot has no user of its own to count by");
        return;
    };
    let mut slot = Slot::spawn(config).unwrap();
    let mut seen = [0u32; 2];
    for turn in 0..60u32 {
        let launcher = slot.launcher_pid().map(u32::cast_signed);
        let killer = thread::spawn(move || {
            spin(Duration::from_micros(u64::from(turn) * 60));
            if let Some(launcher) = launcher {
                // Gone already only if a run before took it along.
                kill(Pid::from_raw(launcher), Signal::SIGKILL).ok();
            }
        });
        let profile = [Profile::Runner, Profile::Native][turn as usize % 2];
        let report = bed::run(&mut slot, bed::spec(profile, &["exit", "0"]));
        killer.join().unwrap();
        match report.outcome {
            Outcome::Exited(0) => seen[0] += 1,
            Outcome::LauncherLost => seen[1] += 1,
            other => panic!("turn {turn}: {other:?}"),
        }
        // Whether or not this run was lost, the next is not.
        let next = bed::run(&mut slot, bed::spec(profile, &["exit", "5"]));
        let healed = matches!(next.outcome, Outcome::Exited(5) | Outcome::LauncherLost);
        assert!(healed, "turn {turn}: {:?}", next.outcome);
        let next = bed::run(&mut slot, bed::spec(profile, &["exit", "6"]));
        assert_eq!(next.outcome, Outcome::Exited(6), "turn {turn}");
    }
    eprintln!("{} ran to their end, {} were lost", seen[0], seen[1]);
    drop(slot);
    until_gone(|| !processes_of(uid).is_empty());
}

/// The testbed's, which no other test may use.
const NODE_SLOT: u32 = 8;

/// The same for the whole node, which runs one short job after another.
#[test]
fn node_killed_at_any_moment_leaves_nothing() {
    let Some(uid) = bed::sandbox().slot(NODE_SLOT).unwrap().uid() else {
        eprintln!("skipped: without root the slot has no user of its own to count by");
        return;
    };
    let mut soonest = bed::AT_ONCE;
    for turn in 0..8u64 {
        let work = tempfile::tempdir().unwrap();
        let mut node = Command::new(bed::testbed())
            .args(["start-forever", work.path().to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(node.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with("launcher "), "{line}");
        spin(Duration::from_micros(500 * turn));
        node.kill().unwrap();
        node.wait().unwrap();
        soonest = soonest.min(until_gone(|| !processes_of(uid).is_empty()));
    }
    assert!(soonest < GONE, "{soonest:?}");
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
    assert!(started.elapsed() < bed::AT_ONCE);
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
