//! Goal: a host without user namespaces is a lower tier that runs only the runner, and only if it
//! is allowed by name. Method: forbid them inside a user namespace, by the kernel's own switch.

use std::process::Command;

use crate::bed;

/// What the testbed says about itself where no further namespace can be made; `None` where this
/// cannot be arranged.
fn without_namespaces(allowed: &str) -> Option<String> {
    let work = tempfile::tempdir().unwrap();
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script])
        .arg(bed::testbed())
        .args(["tier", work.path().to_str().unwrap(), allowed])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.is_empty() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(text)
}

#[test]
fn without_namespaces_nothing_runs_unasked() {
    if let Some(text) = without_namespaces("cgroup") {
        assert!(
            text.contains("needs allow_degraded = [\"namespaces\"]"),
            "{text}"
        );
    }
}

#[test]
fn without_namespaces_the_runner_still_has_two_walls() {
    if let Some(text) = without_namespaces("namespaces") {
        assert!(text.contains("no-namespaces"), "{text}");
        assert!(text.contains("runner exited 4\n"), "{text}");
        assert!(text.contains("native refused\n"), "{text}");
    }
}
