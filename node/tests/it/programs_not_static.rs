//! Goal: `sandbox run` runs what can run alone, says beforehand why anything else cannot, and ends
//! as the program did. Method: the binary itself is a static program like any other.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::{refused, run, stdout};

const OWN: &str = env!("CARGO_BIN_EXE_palisade");

fn sandboxed(dir: &Path, args: &[&str]) -> std::process::Output {
    // Where there is no control group, native programs run only if that is allowed by name.
    let config = dir.join("node.toml");
    std::fs::write(&config, "[sandbox]\nallow_degraded = [\"cgroup\"]\n").unwrap();
    let mut all = vec!["--config", config.to_str().unwrap(), "sandbox", "run"];
    all.extend(args);
    run(dir, &all)
}

#[test]
fn a_static_program_runs_and_its_end_is_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    let output = sandboxed(dir.path(), &["--", OWN, "--version"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stdout(&output), stdout(&run(dir.path(), &["--version"])));
    let output = sandboxed(dir.path(), &["--", OWN, "explain", "no.such.code"]);
    let bare = run(dir.path(), &["explain", "no.such.code"]);
    assert_ne!(bare.status.code(), Some(0));
    assert_eq!(output.status.code(), bare.status.code(), "{output:?}");
    assert_eq!(output.stderr, bare.stderr);
}

#[test]
fn limits_end_it_with_their_own_codes() {
    let dir = tempfile::tempdir().unwrap();
    let probe = [OWN, sandbox::PROBE_MODE, "one"];
    for (limit, attack, code, outcome) in [
        ("wall=300ms", "sleep", 124, "wall_timeout"),
        ("stdout=4KiB", "output_flood", 141, "output_limit"),
        ("tasks=2", "unshare", 159, "seccomp_violation"),
        ("tasks=2", "abort", 134, "signaled"),
    ] {
        let mut args = vec!["--output", "json", "--limit", limit, "--"];
        args.extend(probe);
        args.extend([attack, ""]);
        let output = sandboxed(dir.path(), &args);
        assert_eq!(output.status.code(), Some(code), "{attack} {output:?}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["outcome"], outcome, "{document}");
        assert_eq!(document["exit_code"], code);
    }
}

#[test]
fn what_cannot_run_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    let plain = dir.path().join("plain");
    std::fs::copy(OWN, &plain).unwrap();
    for (path, mode) in [(&script, 0o755), (&plain, 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let (script, plain) = (script.to_str().unwrap(), plain.to_str().unwrap());
    for (program, word) in [
        (script, "is a script"),
        (plain, "chmod +x"),
        ("/bin/true", "link it statically"),
        ("/etc/hostname", "not an ELF"),
        ("/tmp", "not a regular file"),
    ] {
        let problem = refused(
            &sandboxed(dir.path(), &["--", program]),
            "sandbox.program",
            2,
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{detail}");
    }
    refused(
        &sandboxed(dir.path(), &["--", "/no/such"]),
        "sandbox.missing",
        3,
    );
    refused(
        &sandboxed(dir.path(), &["--", "no-such-tool"]),
        "sandbox.missing",
        3,
    );
}

#[test]
fn bad_options_are_refused_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    for (option, value, word) in [
        ("--limit", "wall=1h", "500ms"),
        ("--limit", "speed=1", "names are"),
        ("--limit", "memory=9GiB", "memory_bytes is"),
        ("--env", "LD_PRELOAD=x", "allow-list"),
    ] {
        let output = sandboxed(dir.path(), &[option, value, "--", OWN, "--version"]);
        let problem = refused(&output, "sandbox.spec", 2);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{detail}");
    }
    let output = sandboxed(dir.path(), &["--input", "/no/such", "--", OWN, "--version"]);
    refused(&output, "sandbox.file", 2);
}

#[test]
fn an_attack_that_there_is_not_is_answered_with_those_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let problem = refused(&run(dir.path(), &["sandbox", "attack", "nope"]), "usage", 2);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("nope") && detail.contains("fork_bomb"),
        "{detail}"
    );
    assert_eq!(problem["hint"], "palisade sandbox attack list");
}
