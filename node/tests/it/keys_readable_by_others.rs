//! Goal: key files that others could read are refused, passwords never come from arguments or the
//! environment, and nothing is overwritten.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::{palisade, refused, run};

fn password(dir: &Path, mode: u32) {
    let path = dir.join("pw");
    std::fs::write(&path, "secret\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

const NEW: [&str; 8] = [
    "--home",
    "h",
    "--password-file",
    "pw",
    "keys",
    "new",
    "--role",
    "session",
];

#[test]
fn modes_are_checked_and_set() {
    let dir = tempfile::tempdir().unwrap();
    password(dir.path(), 0o644);
    refused(&run(dir.path(), &NEW), "key.mode", 6);
    assert!(!dir.path().join("h").exists(), "nothing was written");

    password(dir.path(), 0o600);
    assert_eq!(run(dir.path(), &NEW).status.code(), Some(0));
    let file = dir.path().join("h/keys/session-main.json");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    refused(&run(dir.path(), &NEW), "key.exists", 6);

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
    refused(
        &run(dir.path(), &["--home", "h", "keys", "list"]),
        "key.mode",
        6,
    );
}

#[test]
fn a_wrong_password_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    password(dir.path(), 0o600);
    assert_eq!(run(dir.path(), &NEW).status.code(), Some(0));
    let file = dir.path().join("h/keys/session-main.json");
    let before = std::fs::read(&file).unwrap();
    std::fs::write(dir.path().join("pw"), "other").unwrap();
    let args = [
        "--home",
        "h",
        "--password-file",
        "pw",
        "keys",
        "passwd",
        "main",
        "--new-password-file",
        "pw",
    ];
    refused(&run(dir.path(), &args), "key.password", 6);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[test]
fn without_a_password_there_is_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = palisade(dir.path());
    command.args(["--home", "h", "keys", "new", "--role", "wallet"]);
    let output = command
        .stdin(std::process::Stdio::null())
        .env("PASSWORD", "x")
        .output()
        .unwrap();
    refused(&output, "key.password_missing", 6);
}

#[test]
fn the_words_of_a_wallet_restore_it() {
    let dir = tempfile::tempdir().unwrap();
    password(dir.path(), 0o600);
    let new = |home: &str, more: &[&str]| {
        let mut args = vec![
            "--home",
            home,
            "--output",
            "json",
            "--password-file",
            "pw",
            "keys",
        ];
        args.extend(more);
        let output = run(dir.path(), &args);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let made = new("a", &["new", "--role", "wallet"]);
    let words = dir.path().join("words");
    std::fs::write(&words, made["mnemonic"].as_str().unwrap()).unwrap();
    std::fs::set_permissions(&words, std::fs::Permissions::from_mode(0o600)).unwrap();
    let again = new(
        "b",
        &["import", "--role", "wallet", "--mnemonic-file", "words"],
    );
    assert_eq!(made["address"], again["address"]);
    assert!(again["mnemonic"].is_null());
}

/// Goal: what was named wrongly on the command line is told as that, and not as a damaged key.
#[test]
fn names_and_files_that_cannot_be_are_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    password(dir.path(), 0o600);
    let named: Vec<&str> = NEW.into_iter().chain(["--name", "../x"]).collect();
    let problem = refused(&run(dir.path(), &named), "usage", 2);
    assert!(
        problem["hint"]
            .as_str()
            .unwrap()
            .contains("palisade keys new"),
        "{problem}"
    );

    let mut absent = NEW;
    absent[3] = "nope";
    let mnemonic = [
        "keys",
        "import",
        "--role",
        "wallet",
        "--mnemonic-file",
        "nope",
    ];
    let keystore = ["keys", "import", "--role", "wallet", "--keystore", "nope"];
    for args in [&absent[..], &mnemonic, &keystore] {
        let problem = refused(&run(dir.path(), args), "file.unreadable", 3);
        assert!(
            problem["detail"].as_str().unwrap().contains("nope"),
            "{problem}"
        );
    }
}
