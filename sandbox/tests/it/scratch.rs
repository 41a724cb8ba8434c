//! The scratch directory of a native job: bounded, collected by name, gone afterwards.

use sandbox::{Outcome, Profile, Scratch, Spec};

use crate::bed;

fn with_scratch(words: &[&str], collect: &[&str]) -> Spec {
    let mut spec = bed::spec(Profile::Native, words);
    spec.scratch = Some(Scratch {
        bytes: 1 << 20,
        inodes: 16,
        collect: collect.iter().map(|name| (*name).to_owned()).collect(),
        collect_bytes: 1 << 20,
    });
    spec
}

#[test]
fn named_files_come_back_and_no_others() {
    let mut slot = bed::slot();
    let spec = with_scratch(&["write-scratch", "result", "5000"], &["result", "missing"]);
    let report = bed::run(&mut slot, spec);
    assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
    assert_eq!(report.files[0].content, Ok(vec![b'x'; 5000]));
    assert_eq!(report.files[1].content, Err(libc::ENOENT));
    // The next job of the slot finds it empty.
    let spec = with_scratch(&["exit", "0"], &["result"]);
    let report = bed::run(&mut slot, spec);
    assert_eq!(report.files[0].content, Err(libc::ENOENT));
}

/// Goal: a job has links and pipes as other programs do, and none of them comes out as a file.
#[test]
fn what_only_looks_like_a_file_is_not_collected() {
    let refused = [
        ("symlink", libc::ELOOP),
        ("outward", libc::ELOOP),
        ("hardlink", libc::EMLINK),
        ("fifo", libc::EINVAL),
        ("a", libc::EINVAL),
        ("../proc/self/exe", libc::EXDEV),
        ("/proc/self/exe", libc::EXDEV),
    ];
    let mut names: Vec<_> = refused.iter().map(|(name, _)| *name).collect();
    names.push("a/b/moved");
    let report = bed::run(&mut bed::slot(), with_scratch(&["tricks"], &names));
    assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
    for (file, (name, errno)) in report.files.iter().zip(refused) {
        assert_eq!(file.content, Err(errno), "{name}");
    }
    assert_eq!(report.files[refused.len()].content, Ok(b"moved".to_vec()));
}

#[test]
fn a_full_scratch_is_enospc() {
    let spec = with_scratch(&["write-scratch", "big", "2000000"], &[]);
    let report = bed::run(&mut bed::slot(), spec);
    assert_eq!(report.outcome, Outcome::Exited(libc::ENOSPC));
}

#[test]
fn a_file_past_its_limit_has_its_own_outcome() {
    let mut spec = with_scratch(&["write-scratch", "big", "100000"], &[]);
    spec.limits.file_bytes = 65_536;
    let report = bed::run(&mut bed::slot(), spec);
    assert_eq!(report.outcome, Outcome::FileSizeLimit, "{report:?}");
}

#[test]
fn without_scratch_there_is_nothing_to_write() {
    let report = bed::job(Profile::Native, &["write-scratch", "file", "1"]);
    assert_eq!(report.outcome, Outcome::Exited(libc::ENOENT));
}
