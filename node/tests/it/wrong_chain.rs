//! Goal: a home is made for the chain its operator meant, or not at all.

use crate::{problem, refused, run};

const GENESIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/genesis.toml");
const RECEIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/receipt.json");

#[test]
fn a_wrong_genesis_hash_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let zero = "0".repeat(64);
    let args = [
        "--home",
        "h",
        "init",
        "--chain",
        GENESIS,
        "--genesis-hash",
        &zero,
        "--role",
        "full",
    ];
    let problem = refused(&run(dir.path(), &args), "config.chain", 78);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("--genesis-hash"),
        "{problem}"
    );
    assert!(!dir.path().join("h").exists());

    let bytes = std::fs::read(GENESIS).unwrap();
    let hash = protocol::digest::ChainId::of_genesis(&bytes).to_string();
    let args = [
        "--home",
        "h",
        "init",
        "--chain",
        GENESIS,
        "--genesis-hash",
        &hash,
        "--role",
        "full",
    ];
    assert_eq!(run(dir.path(), &args).status.code(), Some(0));
    refused(&run(dir.path(), &args), "home.exists", 5);
}

#[test]
fn receipts_verify_by_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let verify = |file: &str| {
        let args = [
            "--output",
            "json",
            "verify",
            "receipt",
            file,
            "--genesis",
            GENESIS,
        ];
        let output = run(dir.path(), &args);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        // Whoever reads stderr alone is told the code and what to do about it, beside the document.
        if output.status.code() == Some(8) {
            let malformed = document["cause"] == "malformed";
            let code = if malformed {
                "receipt.malformed"
            } else {
                "receipt.false"
            };
            let problem = problem(&output);
            assert_eq!(
                (&problem["code"], &problem["exit_code"]),
                (&code.into(), &8.into())
            );
            let hint = problem["hint"].as_str().unwrap();
            assert!(hint.contains("palisade receipt fetch"), "{hint}");
            let why = document["detail"].as_str().unwrap();
            assert!(
                problem["detail"].as_str().unwrap().contains(why),
                "{problem}"
            );
        }
        (output.status.code(), document)
    };
    let (exit, document) = verify(RECEIPT);
    assert_eq!((exit, &document["ok"]), (Some(0), &serde_json::json!(true)));
    for part in ["signatures", "certificate", "inclusion", "trust"] {
        assert_eq!(document[part], true, "{part}");
    }
    let text = std::fs::read_to_string(RECEIPT)
        .unwrap()
        .replace("\"spec\":\"0", "\"spec\":\"1");
    std::fs::write(dir.path().join("changed.json"), text).unwrap();
    let (exit, document) = verify("changed.json");
    assert_eq!(
        (exit, &document["ok"]),
        (Some(8), &serde_json::json!(false))
    );
    std::fs::write(dir.path().join("none.json"), "nonsense").unwrap();
    let (exit, document) = verify("none.json");
    assert_eq!(
        (exit, &document["cause"]),
        (Some(8), &serde_json::json!("malformed"))
    );
}

/// Goal: a flag that names no file is told as that, and not as a home that is missing.
#[test]
fn a_genesis_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let hash = "ab".repeat(32);
    let init = [
        "init",
        "--chain",
        "nofile",
        "--genesis-hash",
        &hash,
        "--role",
        "full",
    ];
    let verify = ["verify", "receipt", RECEIPT, "--genesis", "nofile"];
    for args in [&init[..], &verify] {
        let problem = refused(&run(dir.path(), args), "file.unreadable", 3);
        assert!(
            problem["detail"].as_str().unwrap().contains("nofile"),
            "{problem}"
        );
    }
}

#[test]
fn a_home_is_not_made_of_what_no_node_would_take() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = std::fs::read(GENESIS).unwrap();
    let hash = protocol::digest::ChainId::of_genesis(&genesis).to_string();
    let bare = "/ip4/127.0.0.1/tcp/1";
    let long = "m".repeat(500);
    for more in [
        ["--peer", "garbage"],
        ["--peer", bare],
        ["--moniker", &long],
    ] {
        let init = [
            "init",
            "--chain",
            GENESIS,
            "--genesis-hash",
            &hash,
            "--role",
            "full",
        ];
        let args: Vec<&str> = ["--home", "h"]
            .into_iter()
            .chain(init)
            .chain(more)
            .collect();
        let problem = refused(&run(dir.path(), &args), "usage", 2);
        assert!(
            problem["detail"].as_str().unwrap().contains(more[0]),
            "{problem}"
        );
        assert!(!dir.path().join("h").exists(), "something was written");
    }
}
