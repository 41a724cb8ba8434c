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
fn two_hundred_concurrent_starts_leave_nothing() {
    let _many = bed::many_processes();
    let text = churn("0", "200");
    assert!(text.contains("200 ran, nothing left"), "{text}");
}

/// A leak of one descriptor, page table or namespace in a hundred starts shows only here. Takes a
/// minute, so it is asked for: `SANDBOX_LONG=1 cargo test -p sandbox --test it ten_thousand`.
#[test]
fn ten_thousand_sequential_starts_leave_nothing() {
    let times = match std::env::var_os("SANDBOX_LONG") {
        Some(_) => "10000",
        None => "600",
    };
    let text = churn(times, "0");
    assert!(
        text.contains(&format!("{times} ran, nothing left")),
        "{text}"
    );
}
