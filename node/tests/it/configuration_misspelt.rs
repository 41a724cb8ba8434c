//! Goal: a misspelt or impossible configuration is refused with its place, before anything starts.

use std::path::Path;

use crate::{node, palisade, refused, run, stdout};

#[test]
fn the_default_file_is_accepted_and_a_misspelt_key_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let text = stdout(&run(dir.path(), &["config", "default"]));
    let file = dir.path().join("node.toml");
    std::fs::write(&file, &text).unwrap();
    let checked = run(dir.path(), &["--config", "node.toml", "config", "check"]);
    assert_eq!(checked.status.code(), Some(0));

    std::fs::write(&file, text.replace("moniker =", "moniker_ =")).unwrap();
    let output = run(dir.path(), &["--config", "node.toml", "config", "check"]);
    let problem = refused(&output, "config.invalid", 78);
    let detail = problem["detail"].as_str().unwrap();
    let line = text
        .lines()
        .position(|line| line.starts_with("moniker ="))
        .unwrap()
        + 1;
    assert!(
        detail.contains(&format!("node.toml:{line}:")) && detail.contains("moniker_"),
        "{detail}"
    );
}

#[test]
fn the_environment_is_checked_like_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = palisade(dir.path());
    let output = command
        .args(["config", "check"])
        .env("PALISADE__API__PORT", "1")
        .output()
        .unwrap();
    let problem = refused(&output, "config.invalid", 78);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("PALISADE__API__PORT"),
        "{problem}"
    );

    let mut command = palisade(dir.path());
    command
        .args(["--output", "json", "config", "show"])
        .env("PALISADE__NODE__MONIKER", "zoe");
    let shown: serde_json::Value =
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(shown["config"]["node"]["moniker"], "zoe");
    assert_eq!(shown["origins"][0]["from"], "PALISADE__NODE__MONIKER");
}

#[test]
fn plaintext_off_loopback_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for variable in ["PALISADE__API__LISTEN", "PALISADE__METRICS__LISTEN"] {
        let mut command = palisade(dir.path());
        let output = command
            .args(["config", "check"])
            .env(variable, "0.0.0.0:9")
            .output()
            .unwrap();
        refused(&output, "config.plain", 78);
    }
}

/// Writes one value into the home of `node::make_home` in place of another; returns its line.
fn with(dir: &Path, from: &str, to: &str) -> usize {
    let file = node::home(dir).join("node.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{from} is not in {text}");
    std::fs::write(&file, &changed).unwrap();
    changed.lines().position(|line| line == to).unwrap() + 1
}

/// Goal: what `node run` refuses, `config check` refuses before it, in the same words, with the place.
#[test]
fn impossible_values_are_told_with_their_line_by_the_check_and_by_the_start() {
    let rows = [
        (
            "listen = [\"/ip4/127.0.0.1/tcp/0\"]",
            "listen = [\"garbage\"]",
            "config.invalid",
        ),
        (
            "listen = [\"/ip4/127.0.0.1/tcp/0\"]",
            "listen = [\"/ip4/0.0.0.0/tcp/0\"]",
            "config.chain",
        ),
        (
            "persistent = []",
            "persistent = [\"/ip4/127.0.0.1/tcp/1\"]",
            "config.invalid",
        ),
        (
            "allow_degraded = [\"landlock-abi\"]",
            "allow_degraded = [\"nope\"]",
            "config.invalid",
        ),
        ("uid_base = 700000", "uid_base = 0", "config.invalid"),
    ];
    for (from, to, code) in rows {
        let dir = tempfile::tempdir().unwrap();
        node::make_home(dir.path());
        let line = with(dir.path(), from, to);
        let mut told = Vec::new();
        for verb in [["config", "check"], ["node", "run"]] {
            let output = run(dir.path(), &["--home", "net/nodes/alice", verb[0], verb[1]]);
            let problem = refused(&output, code, 78);
            let detail = problem["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(&format!("node.toml:{line}:")), "{detail}");
            assert!(!problem["hint"].as_str().unwrap().contains("sign-state"));
            told.push(detail);
        }
        assert_eq!(told[0], told[1]);
    }
}

#[test]
fn a_home_that_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let check = |home: &str| run(dir.path(), &["--home", home, "config", "check"]);
    let problem = refused(&check("nowhere"), "home.missing", 3);
    assert!(
        problem["hint"].as_str().unwrap().contains("palisade init"),
        "{problem}"
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("nowhere"),
        "{problem}"
    );
    std::fs::create_dir(dir.path().join("bare")).unwrap();
    assert_eq!(check("bare").status.code(), Some(0));
}
