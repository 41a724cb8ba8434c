//! Goal: whatever the kernel refuses while a job is set up has its own name. Method: put a filter
//! beneath the launcher that refuses one call, or kills whoever makes it; the refusal is the
//! kernel's own, and so is everything that follows from it.

use std::os::unix::fs::symlink;

use sandbox::{Outcome, Profile, Report, Sandbox, Scratch, Slot, Spec, Stage};
use serde_json::{Value, json};

use crate::bed;

/// One argument that tells the job's call from the launcher's.
fn only(index: u32, value: u64) -> Value {
    json!([{"index": index, "type": "dword", "op": "eq", "val": value, "comment": "this one"}])
}

/// Stage, the call it stands or falls with, and what tells that call from others.
fn table() -> Vec<(Stage, &'static str, Value)> {
    let mount_flags = |flags: libc::c_ulong| only(3, flags);
    let prctl = |option: i32| only(0, u64::from(option.unsigned_abs()));
    // How `std::fs::write` opens the map files; the launcher opens nothing else for writing.
    let for_writing = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    vec![
        (Stage::Clone, "clone3", Value::Null),
        (
            Stage::IdMap,
            "openat",
            only(2, u64::from(for_writing.unsigned_abs())),
        ),
        (Stage::Identity, "setresgid", only(0, 1000)),
        (Stage::Identity, "setresuid", only(0, 1000)),
        (Stage::ParentDeath, "poll", only(1, 1)),
        (Stage::Session, "setsid", Value::Null),
        (Stage::Hostname, "sethostname", Value::Null),
        (Stage::Priority, "setpriority", Value::Null),
        (
            Stage::MountPrivate,
            "mount",
            mount_flags(libc::MS_REC | libc::MS_PRIVATE),
        ),
        (Stage::Root, "mount_setattr", Value::Null),
        (Stage::Root, "open_tree", Value::Null),
        (Stage::Pivot, "pivot_root", Value::Null),
        (Stage::Pivot, "umount2", Value::Null),
        (Stage::Mdwe, "prctl", prctl(libc::PR_SET_MDWE)),
        (Stage::Capabilities, "prctl", prctl(libc::PR_SET_SECUREBITS)),
        (Stage::Capabilities, "prctl", prctl(libc::PR_CAPBSET_DROP)),
        (Stage::Capabilities, "capset", Value::Null),
        (
            Stage::Scratch,
            "mount",
            mount_flags(libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC),
        ),
        (
            Stage::Rlimit,
            "prlimit64",
            only(1, u64::from(libc::RLIMIT_NPROC)),
        ),
        (Stage::Landlock, "landlock_add_rule", Value::Null),
        (Stage::Landlock, "landlock_restrict_self", Value::Null),
        (Stage::Descriptors, "dup3", Value::Null),
        (Stage::Init, "clone", Value::Null),
        (Stage::Seccomp, "seccomp", only(0, 1)),
        (Stage::Exec, "execveat", Value::Null),
    ]
}

/// A launcher under a filter: the testbed under another name, which finds the filter beside it.
struct Rigged {
    _directory: tempfile::TempDir,
    slot: Slot,
}

impl Rigged {
    fn new(index: u32, action: &Value, call: &str, arguments: &Value) -> Rigged {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("launcher");
        symlink(bed::testbed(), &path).unwrap();
        let mut rule = json!({"syscall": call, "comment": "the step under test"});
        if !arguments.is_null() {
            rule["args"] = arguments.clone();
        }
        let filter = json!({"rig": {
            "mismatch_action": "allow", "match_action": action, "filter": [rule],
        }});
        std::fs::write(path.with_extension("json"), filter.to_string()).unwrap();
        let sandbox: &Sandbox = bed::sandbox();
        let config = sandbox.slot(index).unwrap().with_launcher(path);
        Rigged {
            _directory: directory,
            slot: Slot::spawn(config).unwrap(),
        }
    }

    /// A job that goes through every stage.
    fn run(&mut self) -> Report {
        let mut spec: Spec = bed::spec(Profile::Native, &["exit", "0"]);
        spec.scratch = Some(Scratch {
            bytes: 1 << 20,
            inodes: 16,
            collect: Vec::new(),
            collect_bytes: 0,
        });
        bed::run(&mut self.slot, spec)
    }
}

#[test]
fn every_stage_that_fails_is_named_with_its_errno() {
    for (index, (stage, call, arguments)) in (400..).zip(table()) {
        // An errno that none of these calls gives by itself.
        let action = json!({"errno": libc::EL2HLT});
        let mut rigged = Rigged::new(index, &action, call, &arguments);
        let wanted = Outcome::SetupFailed {
            stage,
            errno: libc::EL2HLT,
        };
        // With a spare that could not be made, and without one.
        for _ in 0..2 {
            let report = rigged.run();
            assert_eq!(report.outcome, wanted, "{call}");
        }
    }
}

#[test]
fn a_job_killed_at_any_stage_has_an_end_and_a_successor() {
    for (index, (stage, call, arguments)) in (440..).zip(table()) {
        if matches!(stage, Stage::Clone | Stage::IdMap) {
            // These are the launcher's own calls: it is the launcher that dies.
            continue;
        }
        let action = json!("kill_process");
        let mut rigged = Rigged::new(index, &action, call, &arguments);
        let launcher = rigged.slot.launcher_pid();
        for _ in 0..2 {
            let report = rigged.run();
            let ended = matches!(
                report.outcome,
                Outcome::SeccompViolation { .. } | Outcome::Signaled(libc::SIGSYS)
            );
            assert!(ended, "{call}: {:?}", report.outcome);
        }
        assert_eq!(rigged.slot.launcher_pid(), launcher, "{call}");
    }
}

#[test]
fn a_launcher_killed_by_its_own_step_is_replaced() {
    for (index, call) in (470..).zip(["clone3"]) {
        let mut rigged = Rigged::new(index, &json!("kill_process"), call, &Value::Null);
        for _ in 0..3 {
            assert_eq!(rigged.run().outcome, Outcome::LauncherLost);
        }
    }
}

/// No call fails here: the job's descriptors do not fit any more.
#[test]
fn a_request_that_cannot_be_taken_is_named() {
    let duplicate = only(1, u64::from(libc::F_DUPFD_CLOEXEC.unsigned_abs()));
    let mut rule = duplicate.as_array().unwrap().clone();
    rule.push(json!({"index": 2, "type": "dword", "op": "eq", "val": 65, "comment": "the job's"}));
    let action = json!({"errno": libc::EMFILE});
    let mut rigged = Rigged::new(480, &action, "fcntl", &Value::Array(rule));
    let wanted = Outcome::SetupFailed {
        stage: Stage::Request,
        errno: libc::EMFILE,
    };
    assert_eq!(rigged.run().outcome, wanted);
}

/// Every stage is in the table, but for those that cannot fail by themselves.
#[test]
fn the_table_leaves_no_stage_out() {
    let elsewhere = [
        // Its own test above.
        Stage::Request,
        // The launcher has set it before, for itself and all it clones.
        Stage::NoNewPrivileges,
    ];
    for stage in Stage::ALL {
        let tested = table().iter().any(|(tested, _, _)| *tested == stage);
        assert!(tested || elsewhere.contains(&stage), "{stage:?}");
    }
}
