//! Goal: nothing of the node reaches a job. Method: put secrets where they could leak from (open
//! descriptors without close-on-exec, the environment) and look from inside.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use sandbox::attacks;
use sandbox::{Outcome, Profile};

use crate::bed;

#[test]
fn canary_fds_and_env_absent() {
    // A descriptor that would be inherited by anything this process executes.
    let canary = tempfile::NamedTempFile::new().unwrap();
    let leak = File::open(canary.path()).unwrap();
    fcntl(&leak, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let mut slot = bed::slot();
    let launcher = slot.launcher_pid().unwrap();
    for name in ["stray_descriptor", "stray_environment"] {
        let report = attacks::run(&mut slot, name, "").unwrap();
        assert!(report.blocked, "{report:?}");
    }
    let environment = std::fs::read(format!("/proc/{launcher}/environ")).unwrap();
    assert!(environment.is_empty(), "the launcher has an environment");
    for entry in std::fs::read_dir(format!("/proc/{launcher}/fd")).unwrap() {
        // A descriptor that is gone again belongs to the launcher, which is at work on the next job:
        // one that leaked would never be closed.
        let Ok(target) = std::fs::read_link(entry.unwrap().path()) else {
            continue;
        };
        assert_ne!(
            target,
            canary.path(),
            "descriptor {} leaked",
            leak.as_raw_fd()
        );
    }
}

#[test]
fn a_job_sees_an_empty_world() {
    let report = bed::job(Profile::Native, &["identity"]);
    assert_eq!(report.outcome, Outcome::Exited(0));
    let text = String::from_utf8(report.stdout).unwrap();
    assert_eq!(
        text,
        "pid 2\nenvironment 0\narguments 2\nroot Err(Os { code: 13, kind: PermissionDenied, message: \"Permission denied\" })\n"
    );
}

#[test]
fn declared_variables_arrive_and_no_others() {
    let mut spec = bed::spec(Profile::Native, &["identity"]);
    spec.env = vec![b"TRACT_CPU_ISA=-avx".to_vec()];
    let report = bed::run(&mut bed::slot(), spec);
    assert!(
        String::from_utf8(report.stdout)
            .unwrap()
            .contains("environment 1\n")
    );
}
