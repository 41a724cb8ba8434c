//! Goal: runs leave nothing. Method: count descriptors, children, mounts and control groups of a
//! process that does nothing else, before and after many runs.
//!
//! The counting process is the testbed, run as a child: other tests of this binary have launchers
//! and descriptors of their own.

use std::process::Command;

use crate::bed;

fn churn(sequential: &str, concurrent: &str) -> String {
    let work = tempfile::tempdir().unwrap();
    let output = Command::new(bed::testbed())
        .args([
            "churn",
            work.path().to_str().unwrap(),
            sequential,
            concurrent,
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn two_hundred_sequential_starts_leave_nothing() {
    let text = churn("200", "0");
    assert!(text.contains("200 ran, nothing left"), "{text}");
}

#[test]
fn fifty_concurrent_starts_leave_nothing() {
    let text = churn("0", "50");
    assert!(text.contains("50 ran, nothing left"), "{text}");
}
