//! Goal: the net that containers start from is whole, is made once, and hides every key. Method: make
//! it as docker-compose.yml does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::{problem, run, stdout};

const INIT: [&str; 7] = [
    "testnet",
    "init",
    "-d",
    "net",
    "--names",
    "alice",
    "--if-missing",
];

fn private(path: &Path) -> bool {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}

#[test]
fn a_net_with_a_client_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let more = [
        "--keys",
        "random",
        "--chain-name",
        "palisade-compose-1",
        "--client",
        "carl",
    ];
    let args: Vec<&str> = INIT.into_iter().chain(more).collect();
    let made = run(dir.path(), &args);
    assert_eq!(made.status.code(), Some(0), "{:?}", problem(&made));
    let client = dir.path().join("net/clients/carl");
    assert!(private(&client.join("keys/wallet-carl.json")));
    assert!(private(&client.join("password")));
    let accounts = std::fs::read_to_string(dir.path().join("net/accounts.json")).unwrap();
    let accounts: serde_json::Value = serde_json::from_str(&accounts).unwrap();
    assert_eq!(
        accounts["accounts"],
        serde_json::json!([]),
        "a random key was published"
    );
    // The client is funded in the genesis that every home has.
    let key = run(
        &client,
        &["--home", ".", "--output", "json", "keys", "list"],
    );
    let key: serde_json::Value = serde_json::from_str(&stdout(&key)).unwrap();
    let address = key["keys"][0]["address"].as_str().unwrap();
    let genesis = std::fs::read_to_string(client.join("genesis.toml")).unwrap();
    assert!(genesis.contains(address), "{address} is not funded");
    let home = dir.path().join("net/nodes/alice/genesis.toml");
    assert_eq!(std::fs::read_to_string(home).unwrap(), genesis);
    // Again: nothing is made anew, and the same chain is named.
    let again = run(dir.path(), &args);
    assert_eq!(again.status.code(), Some(0));
    assert!(stdout(&again).contains("already"), "{}", stdout(&again));
    assert_eq!(
        std::fs::read_to_string(client.join("genesis.toml")).unwrap(),
        genesis
    );
}

#[test]
fn a_client_of_a_development_net_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let args: Vec<&str> = INIT.into_iter().chain(["--client", "carl"]).collect();
    let refused = run(dir.path(), &args);
    assert_eq!(refused.status.code(), Some(78));
    let hint = problem(&refused)["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("palisade testnet accounts"), "{hint}");
    assert!(!dir.path().join("net").exists(), "something was written");
}
