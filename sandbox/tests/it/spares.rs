//! Goal: a process made before its job is as good as one made for it, and its loss costs nothing.
//! Method: kill it, misfit it, and compare jobs through it with jobs without.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::{Outcome, Profile, Scratch, Spec, Stage};

use crate::{bed, clock};

/// The one process a launcher has cloned, once it waits for a job.
fn spare_of(launcher: u32) -> i32 {
    let deadline = clock::now() + bed::AT_ONCE;
    loop {
        assert!(clock::now() < deadline, "no spare");
        let path = format!("/proc/{launcher}/task/{launcher}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let Some(pid) = children.split_whitespace().next() else {
            std::thread::yield_now();
            continue;
        };
        // Blocked in its one receive: it has passed every step before a job.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let caps = status.lines().find(|line| line.starts_with("CapBnd:"));
        if caps.is_some_and(|line| line.ends_with("0000000000000000")) {
            return pid.parse().unwrap();
        }
        std::thread::yield_now();
    }
}

fn with_scratch(words: &[&str]) -> Spec {
    let mut spec = bed::spec(Profile::Native, words);
    spec.scratch = Some(Scratch {
        bytes: 1 << 20,
        inodes: 16,
        collect: vec!["made".to_owned()],
        collect_bytes: 1 << 20,
    });
    spec
}

#[test]
fn a_job_runs_in_the_process_that_waited_for_it() {
    let mut slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap();
    for _ in 0..3 {
        let spare = spare_of(launcher);
        let report = bed::run(&mut slot, bed::spec(Profile::Runner, &["exit", "3"]));
        assert_eq!(report.outcome, Outcome::Exited(3));
        // Used once: the next one is another.
        assert_ne!(spare_of(launcher), spare);
        let at = |stage| report.steps.iter().find(|(s, _)| *s == stage).unwrap().1;
        assert!(at(Stage::Clone) < at(Stage::Request), "{:?}", report.steps);
    }
}

#[test]
fn a_killed_spare_is_not_missed() {
    let mut slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap();
    for profile in [Profile::Runner, Profile::Native] {
        let spare = spare_of(launcher);
        kill(Pid::from_raw(spare), Signal::SIGKILL).unwrap();
        while std::path::Path::new(&format!("/proc/{spare}")).exists() {
            std::thread::yield_now();
        }
        let report = bed::run(&mut slot, bed::spec(profile, &["exit", "4"]));
        assert_eq!(report.outcome, Outcome::Exited(4), "{profile:?}");
        assert_eq!(slot.launcher_pid(), Some(launcher));
    }
}

/// For a native program pid 1 is made beforehand, too.
#[test]
fn the_init_of_a_native_job_waited_for_it() {
    let mut slot = bed::slot();
    for _ in 0..3 {
        let report = bed::run(&mut slot, bed::spec(Profile::Native, &["exit", "3"]));
        assert_eq!(report.outcome, Outcome::Exited(3));
        spare_of(slot.launcher_pid().unwrap());
    }
    let report = bed::run(&mut slot, bed::spec(Profile::Native, &["identity"]));
    let said = String::from_utf8(report.stdout).unwrap();
    assert!(said.starts_with("pid 2\n"), "{said}");
    let at = |stage| report.steps.iter().find(|(s, _)| *s == stage).unwrap().1;
    assert!(at(Stage::Init) < at(Stage::Request), "{:?}", report.steps);
}

/// A spare of another shape never had the job: however it ends, the job is run.
#[test]
fn a_misfit_killed_while_it_is_discarded_costs_nothing() {
    let mut slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap();
    for turn in 0..20 {
        kill(Pid::from_raw(spare_of(launcher)), Signal::SIGKILL).unwrap();
        let profile = [Profile::Native, Profile::Runner][turn % 2];
        let report = bed::run(&mut slot, bed::spec(profile, &["exit", "4"]));
        assert_eq!(report.outcome, Outcome::Exited(4), "turn {turn}");
        assert_eq!(slot.launcher_pid(), Some(launcher), "turn {turn}");
    }
}

/// A spare that dies with the job in its hands, before anybody knows: an end, and soon.
#[test]
fn a_spare_killed_while_it_takes_a_job_is_a_typed_end() {
    let mut slot = bed::slot();
    for _ in 0..20 {
        let spare = spare_of(slot.launcher_pid().unwrap());
        kill(Pid::from_raw(spare), Signal::SIGKILL).unwrap();
        let started = clock::now();
        let report = bed::run(&mut slot, bed::spec(Profile::Runner, &["exit", "4"]));
        let ended = matches!(
            report.outcome,
            Outcome::Exited(4) | Outcome::LauncherLost | Outcome::Signaled(libc::SIGKILL)
        );
        assert!(ended, "{:?}", report.outcome);
        assert!(started.elapsed() < bed::AT_ONCE);
        let report = bed::run(&mut slot, bed::spec(Profile::Runner, &["exit", "5"]));
        assert_eq!(report.outcome, Outcome::Exited(5));
    }
}

#[test]
fn a_spare_of_the_wrong_shape_is_discarded() {
    let mut slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap();
    for _ in 0..2 {
        let report = bed::run(&mut slot, with_scratch(&["write-scratch", "made", "7"]));
        assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
        assert_eq!(report.files[0].content, Ok(vec![b'x'; 7]));
        let report = bed::run(
            &mut slot,
            bed::spec(Profile::Native, &["write-scratch", "made", "7"]),
        );
        assert_eq!(report.outcome, Outcome::Exited(libc::ENOENT));
    }
    assert_eq!(slot.launcher_pid(), Some(launcher));
}

/// One after the other through one slot, far more often than the launcher has descriptors.
#[test]
fn spares_do_not_pile_up() {
    let mut slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap();
    let open = || {
        spare_of(launcher);
        let descriptors = std::fs::read_dir(format!("/proc/{launcher}/fd")).unwrap();
        descriptors.count()
    };
    let before = open();
    for turn in 0..60 {
        let spec = if turn % 3 == 0 {
            with_scratch(&["exit", "0"])
        } else {
            bed::spec(Profile::Runner, &["exit", "0"])
        };
        assert_eq!(bed::run(&mut slot, spec).outcome, Outcome::Exited(0));
    }
    assert_eq!(open(), before);
}

#[test]
fn a_dropped_slot_leaves_no_spare() {
    let slot = bed::slot();
    let spare = spare_of(slot.launcher_pid().unwrap());
    drop(slot);
    // Reaped by its launcher, not left to whoever adopts orphans.
    assert!(!std::path::Path::new(&format!("/proc/{spare}")).exists());
}
