//! Goal: completions and manual pages cover every command, and shells accept them. The commands are
//! read from the help texts.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::{run, stdout};

#[test]
fn every_shell_has_completions() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(dir.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        for word in ["testnet", "if-missing", "byzantine", "quiesce"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    let unknown = run(dir.path(), &["completions", "abacus"]);
    assert_eq!(unknown.status.code(), Some(2));
    let document = stdout(&run(
        dir.path(),
        &["--output", "json", "completions", "bash"],
    ));
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let script = document["script"].as_str().unwrap();
    let mut stdin = bash.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    assert!(bash.wait().unwrap().success(), "bash refuses the script");
}

#[test]
fn every_command_has_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["--output", "json", "man", "pages/man1"]);
    assert_eq!(output.status.code(), Some(0));
    let pages: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let pages = pages["pages"].as_array().unwrap();
    assert!(pages.len() > 60, "{} pages", pages.len());
    for name in [
        "palisade.1",
        "palisade-job-submit.1",
        "palisade-testnet-up.1",
    ] {
        let path = dir.path().join("pages/man1").join(name);
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(
            page.starts_with(".ie") || page.contains(".TH "),
            "{name}: {page}"
        );
    }
    let page =
        std::fs::read_to_string(dir.path().join("pages/man1/palisade-job-submit.1")).unwrap();
    assert!(page.contains("watch"), "{page}");
    let hidden = dir.path().join("pages/man1/palisade-__runner.1");
    assert!(!hidden.exists(), "a hidden mode is documented");
    std::fs::write(dir.path().join("file"), "").unwrap();
    let refused = run(dir.path(), &["man", "file/below"]);
    assert_ne!(refused.status.code(), Some(0));
}
