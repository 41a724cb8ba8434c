//! Goal: whatever a job consumes without end, it ends in the outcome meant for it and the host
//! does not notice.

use std::process::Command;
use std::time::Duration;

use sandbox::attacks::{self, Attack, Kind};
use sandbox::{Outcome, Profile};

use crate::{bed, clock};

#[test]
fn bombs_have_typed_outcomes() {
    let grouped = bed::has_cgroup("bombs_have_typed_outcomes");
    let mut slot = bed::slot();
    for attack in Attack::all().filter(|attack| attack.kind != Kind::Attempt) {
        let native = attacks::run(&mut slot, attack.name, "").unwrap();
        assert!(native.blocked, "{native:?}");
        let runner = attacks::run_as_runner(&mut slot, attack.name, "").unwrap();
        assert!(runner.blocked, "{runner:?}");
        if grouped && attack.name == "memory_bomb" {
            assert_eq!(native.outcome, "memory_limit", "{native:?}");
            assert_eq!(runner.outcome, "memory_limit", "{runner:?}");
        }
        if grouped && attack.name == "fork_bomb" {
            assert_eq!(native.outcome, "pids_limit", "{native:?}");
        }
        // The host still makes processes, whatever the job exhausted.
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
}

#[test]
fn wall_time_ends_within_its_margin() {
    let (limit, margin) = (Duration::from_millis(300), Duration::from_millis(100));
    let mut slot = bed::slot();
    bed::within(limit + margin, || {
        let mut spec = bed::probe(Profile::Native, "sleep");
        spec.limits.wall_ms = 300;
        let report = bed::run(&mut slot, spec);
        assert_eq!(report.outcome, Outcome::WallTimeout);
        assert!(report.usage.wall >= limit, "{:?}", report.usage);
        report.usage.wall
    });
}

#[test]
fn cpu_time_is_charged_when_it_runs_out() {
    for profile in [Profile::Runner, Profile::Native] {
        let mut spec = bed::probe(profile, "spin");
        spec.limits.cpu_seconds = 1;
        let report = bed::run(&mut bed::slot(), spec);
        assert_eq!(report.outcome, Outcome::CpuTimeout, "{profile:?}");
        // The kernel enforces by sampled ticks, which run ahead of true time on a busy machine.
        assert!(
            report.usage.cpu >= Duration::from_millis(750),
            "{:?}",
            report.usage
        );
    }
}

#[test]
fn a_daemon_dies_with_its_job() {
    let mut slot = bed::slot();
    let started = clock::now();
    let report = bed::run(&mut slot, bed::probe(Profile::Native, "daemon"));
    assert_eq!(report.outcome, Outcome::Exited(10), "{report:?}");
    // It held standard output open: an end of file proves that it is gone.
    assert!(started.elapsed() < bed::AT_ONCE);
    let next = bed::run(&mut slot, bed::spec(Profile::Native, &["exit", "0"]));
    assert_eq!(next.outcome, Outcome::Exited(0));
}
