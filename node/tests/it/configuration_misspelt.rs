//! Goal: a misspelt or impossible configuration is refused with its place, before anything starts.

use crate::{palisade, refused, run, stdout};

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
