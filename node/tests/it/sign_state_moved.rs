//! Goal: a consensus key that moves takes its sign-state along; whatever is wrong with the file is
//! refused with its own code and changes nothing, and a floor never falls.
//! Method: two hosts of one key, a directory each; no node runs.

use std::path::Path;

use serde_json::Value;
use storage::home::HomeLock;

use crate::node::{home, make_home};
use crate::{palisade, refused};

fn sign_state(dir: &Path, args: &[&str]) -> std::process::Output {
    palisade(dir)
        .args([
            "--home",
            "net/nodes/alice",
            "--output",
            "json",
            "sign-state",
        ])
        .args(args)
        .output()
        .unwrap()
}

fn told(output: &std::process::Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, &to).unwrap()),
        }
    }
}

/// A host whose key has signed up to height 7, and one with the same key and nothing else.
fn hosts() -> [tempfile::TempDir; 2] {
    let [old, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    make_home(old.path());
    std::fs::remove_dir_all(home(old.path()).join("data")).unwrap();
    copy(old.path(), new.path());
    let made = told(&sign_state(old.path(), &["init", "--floor", "7"]));
    assert_eq!(
        (&made["height"], &made["step"]),
        (&7.into(), &"precommit".into())
    );
    [old, new]
}

#[test]
fn exported_sign_state_becomes_the_floor_elsewhere() {
    let [old, new] = hosts();
    refused(&sign_state(new.path(), &["show"]), "sign_state.missing", 75);
    let file = new.path().join("moved.json");
    let to = file.to_str().unwrap();
    let exported = told(&sign_state(old.path(), &["export", "--to", to]));
    let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, exported);
    assert_eq!(exported["schema"], "palisade.sign-state/1");
    refused(
        &sign_state(old.path(), &["export", "--to", to]),
        "key.exists",
        6,
    );

    let imported = told(&sign_state(new.path(), &["import", to]));
    assert_eq!(
        (&imported["height"], &imported["raised"]),
        (&7.into(), &true.into())
    );
    assert_eq!(told(&sign_state(new.path(), &["show"])), exported);
    refused(
        &sign_state(new.path(), &["init", "--floor", "9"]),
        "sign_state.exists",
        75,
    );
}

#[test]
fn a_floor_never_falls() {
    let [old, new] = hosts();
    told(&sign_state(new.path(), &["init", "--floor", "12"]));
    let file = new.path().join("lower.json");
    let to = file.to_str().unwrap();
    told(&sign_state(old.path(), &["export", "--to", to]));
    let imported = told(&sign_state(new.path(), &["import", to]));
    assert_eq!(
        (&imported["height"], &imported["raised"]),
        (&12.into(), &false.into())
    );
    assert_eq!(told(&sign_state(new.path(), &["show"]))["height"], 12);
}

#[test]
fn wrong_exports_are_refused_and_change_nothing() {
    let [old, new] = hosts();
    told(&sign_state(new.path(), &["init", "--floor", "3"]));
    let before = told(&sign_state(new.path(), &["show"]));
    let file = new.path().join("wrong.json");
    let to = file.to_str().unwrap();
    told(&sign_state(old.path(), &["export", "--to", to]));
    let right = std::fs::read_to_string(&file).unwrap();
    let member = |name: &str| before[name].as_str().unwrap().to_owned();
    let other_key = {
        let secret = protocol::keys::SecretKey::from_bytes(&[9; 32]).unwrap();
        secret.public().to_string()
    };
    let cases = [
        (member("public_key"), other_key, "sign_state.other_key", 75),
        (member("genesis_hash"), "0".repeat(64), "config.chain", 78),
        (
            "\"height\":7".into(),
            "\"height\":-7".into(),
            "sign_state.malformed",
            6,
        ),
        // A floor cannot be lowered again, so one that no chain reaches is a mistake.
        (
            "\"height\":7".into(),
            format!("\"height\":{}", u64::MAX),
            "sign_state.malformed",
            6,
        ),
        ("{".into(), "[".into(), "sign_state.malformed", 6),
    ];
    for (from, to_text, code, exit) in cases {
        assert!(right.contains(&from), "{from} in {right}");
        std::fs::write(&file, right.replacen(&from, &to_text, 1)).unwrap();
        refused(&sign_state(new.path(), &["import", to]), code, exit);
        assert_eq!(told(&sign_state(new.path(), &["show"])), before, "{code}");
    }
    refused(
        &sign_state(new.path(), &["import", "nowhere.json"]),
        "sign_state.malformed",
        6,
    );
    let above = ["init", "--floor", "18446744073709551615"];
    assert_eq!(sign_state(new.path(), &above).status.code(), Some(2));
}

#[test]
fn sign_state_of_a_running_node_is_not_touched() {
    let [old, new] = hosts();
    let file = new.path().join("moved.json");
    let to = file.to_str().unwrap();
    told(&sign_state(old.path(), &["export", "--to", to]));
    let held = HomeLock::acquire(&home(old.path())).unwrap();
    for args in [&["show"][..], &["export", "--to", "x"], &["import", to]] {
        refused(&sign_state(old.path(), args), "lock.held", 75);
    }
    drop(held);
    told(&sign_state(old.path(), &["show"]));
}
