//! Goal: `doctor` finds what would keep a validator from working before it is started, and says what
//! to do. Method: a good home, then one fault at a time.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::{node, problem, run, stdout};

/// The rows of a profile on the home of one validator, by name.
fn examined(dir: &Path, more: &[&str]) -> (Value, Option<i32>) {
    let mut args = vec!["--home", "net/nodes/alice", "--output", "json", "doctor"];
    args.extend(more);
    let output = run(dir, &args);
    let text = stdout(&output);
    let document: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    if output.status.code() == Some(8) {
        let problem = problem(&output);
        assert_eq!(problem["code"], "doctor.failed", "{problem}");
        let rows = document["checks"].as_array().unwrap();
        for failed in rows.iter().filter(|row| row["verdict"] == "fail") {
            let name = failed["check"].as_str().unwrap();
            assert!(
                problem["detail"].as_str().unwrap().contains(name),
                "{problem}"
            );
        }
    }
    (document, output.status.code())
}

fn row(document: &Value, check: &str) -> Value {
    let rows = document["checks"].as_array().unwrap();
    let found = rows.iter().find(|row| row["check"] == check);
    found
        .unwrap_or_else(|| panic!("no {check}: {document}"))
        .clone()
}

#[test]
fn every_row_says_what_is_needed_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    node::make_home(dir.path());
    let (document, code) = examined(dir.path(), &["--profile", "production"]);
    let rows = document["checks"].as_array().unwrap();
    let fails = rows.iter().any(|row| row["verdict"] == "fail");
    assert_eq!(code, Some(if fails { 8 } else { 0 }));
    assert_eq!(document["ok"], !fails);
    for row in rows {
        for field in ["check", "found", "needed", "remedy", "verdict"] {
            assert!(
                row[field].as_str().is_some_and(|text| !text.is_empty()),
                "{row}"
            );
        }
    }
    let numbers = [
        "D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10", "D11", "P1", "P2",
    ];
    for number in numbers {
        let named = |row: &Value| {
            row["check"]
                .as_str()
                .unwrap()
                .starts_with(&format!("{number} "))
        };
        assert!(rows.iter().any(named), "{number} is missing: {document}");
    }
    // Nothing runs: the checks of a running node fail and name the reason.
    assert_eq!(row(&document, "P1 validators")["verdict"], "fail");
    let (local, _) = examined(dir.path(), &[]);
    assert!(local["checks"].as_array().unwrap().len() < rows.len());
    let (walls, _) = examined(dir.path(), &["--sandbox"]);
    assert!(walls["checks"].as_array().unwrap().len() < local["checks"].as_array().unwrap().len());
}

#[test]
fn faults_of_a_home_are_found_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    node::make_home(dir.path());
    let home = node::home(dir.path());
    let (document, _) = examined(dir.path(), &["--profile", "deploy"]);
    let id = row(&document, "D1 genesis")["found"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(row(&document, "D1 genesis")["verdict"], "by hand");
    assert_eq!(
        row(&document, "D3 sign-state")["verdict"],
        "pass",
        "{document}"
    );
    // The operator's key of a development home lies beside the others.
    assert_eq!(row(&document, "D2 keys")["verdict"], "degraded");

    let agreed = |hash: &str| {
        let (document, _) = examined(dir.path(), &["--profile", "deploy", "--genesis-hash", hash]);
        row(&document, "D1 genesis")["verdict"].clone()
    };
    assert_eq!(agreed(&id), "pass");
    assert_eq!(agreed(&"ab".repeat(32)), "fail");

    let key = home.join("keys/session-alice.json");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (document, code) = examined(dir.path(), &["--profile", "deploy"]);
    let keys = row(&document, "D2 keys");
    assert_eq!((&keys["verdict"], code), (&"fail".into(), Some(8)));
    assert!(
        keys["found"].as_str().unwrap().contains("0644")
            || keys["found"].as_str().unwrap().contains("644")
    );
    std::fs::remove_file(&key).unwrap();
    let (document, _) = examined(dir.path(), &["--profile", "deploy"]);
    let keys = row(&document, "D2 keys");
    assert!(
        keys["found"].as_str().unwrap().contains("0 session keys"),
        "{keys}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap();
    let file = home.join("node.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replacen(
        "listen = \"127.0.0.1:0\"",
        &format!("listen = \"{port}\""),
        1,
    );
    std::fs::write(&file, text).unwrap();
    let (document, _) = examined(dir.path(), &[]);
    assert_eq!(row(&document, "port api")["verdict"], "fail", "{document}");
}
