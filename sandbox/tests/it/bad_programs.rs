//! Goal: what cannot be executed is reported as such, by stage and errno. Method: run it.

use std::os::unix::fs::PermissionsExt;

use sandbox::{Outcome, Profile, Program, Report, Spec, Stage};

use crate::bed;

fn run_bytes(bytes: &[u8], profile: Profile) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let spec = Spec::new(Program::open(&path).unwrap(), profile, &["program"]);
    bed::run(&mut bed::slot(), spec)
}

fn assert_exec_failed(report: &Report, errnos: &[i32]) {
    match report.outcome {
        Outcome::SetupFailed {
            stage: Stage::Exec,
            errno,
        } if errnos.contains(&errno) => {}
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn empty_text_and_malformed_files_fail_at_exec() {
    for profile in [Profile::Runner, Profile::Native] {
        assert_exec_failed(&run_bytes(b"", profile), &[libc::ENOEXEC]);
        assert_exec_failed(&run_bytes(b"just text", profile), &[libc::ENOEXEC]);
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(4096, 0);
        assert_exec_failed(&run_bytes(&elf, profile), &[libc::ENOEXEC]);
        // The interpreter of a script lies outside: Landlock or the empty root says no.
        let script = run_bytes(b"#!/bin/sh\nexit 0\n", profile);
        assert_exec_failed(&script, &[libc::ENOENT, libc::EACCES]);
    }
}

#[test]
fn a_dynamic_program_finds_no_loader() {
    let dynamic = std::fs::read("/bin/true").unwrap();
    let report = run_bytes(&dynamic, Profile::Native);
    assert_exec_failed(&report, &[libc::ENOENT, libc::EACCES]);
}

#[test]
fn one_huge_argument_fails_at_exec() {
    let mut spec = bed::spec(Profile::Native, &["exit", "0"]);
    spec.args.push(vec![b'a'; 140 * 1024]);
    let report = bed::run(&mut bed::slot(), spec);
    assert_exec_failed(&report, &[libc::E2BIG]);
}

#[test]
fn a_root_that_vanished_is_a_typed_failure() {
    let work = tempfile::tempdir().unwrap();
    let mut config = bed::config();
    config.work_dir = work.path().to_owned();
    let (sandbox, _) = sandbox::Sandbox::open(config).unwrap();
    let mut slot = sandbox::Slot::spawn(sandbox.slot(900).unwrap()).unwrap();
    std::fs::remove_dir(work.path().join("empty")).unwrap();
    let report = bed::run(&mut slot, bed::spec(Profile::Runner, &["exit", "0"]));
    let failed = matches!(
        report.outcome,
        Outcome::SetupFailed {
            stage: Stage::Root,
            ..
        }
    );
    assert!(failed, "{:?}", report.outcome);
}
