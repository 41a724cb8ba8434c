//! Goal: the net that containers start from is whole, is made once, and hides every key. Method: make
//! it as docker-compose.yml does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::{palisade, problem, refused, run, stdout};

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

/// Goal: a net that no node would start is not written. Its development keys are public, so a local
/// chain stays on loopback.
#[test]
fn addresses_that_no_node_would_take_are_refused() {
    for address in ["10.77.1.11", "0.0.0.0", "alice", "127.0.0.1/x"] {
        let dir = tempfile::tempdir().unwrap();
        let args: Vec<&str> = INIT.into_iter().chain(["--addr", address]).collect();
        let problem = refused(&run(dir.path(), &args), "testnet.config", 78);
        assert!(
            problem["detail"].as_str().unwrap().contains(address),
            "{problem}"
        );
        assert!(!dir.path().join("net").exists(), "something was written");
    }
    let dir = tempfile::tempdir().unwrap();
    let compose = [
        "--addr",
        "10.77.1.11",
        "--keys",
        "random",
        "--chain-name",
        "palisade-compose-1",
    ];
    let args: Vec<&str> = INIT.into_iter().chain(compose).collect();
    assert_eq!(run(dir.path(), &args).status.code(), Some(0));
    // What compose adds to it, with peers on the address that was given.
    let mut command = palisade(dir.path());
    command
        .args(["--home", "net/nodes/alice", "config", "check"])
        .env("PALISADE__METRICS__LISTEN", "10.77.2.11:9464")
        .env("PALISADE__METRICS__ALLOW_PLAIN", "true")
        .env("PALISADE__API__LISTEN", "0.0.0.0:8645")
        .env("PALISADE__API__ALLOW_PLAIN", "true")
        .env(
            "PALISADE__API__AUTHORITIES",
            r#"["10.77.3.11:8645", "127.0.0.1:8645", "localhost:8645"]"#,
        );
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Goal: what makes no net is the caller's mistake, with the place of it.
#[test]
fn manifests_and_funds_that_make_no_genesis_are_configuration() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("net.toml"), [0xff, 0xfe, 0x00]).unwrap();
    let up = |more: [&str; 2]| {
        let args: Vec<&str> = ["testnet", "up", "--detach"]
            .into_iter()
            .chain(more)
            .collect();
        refused(&run(dir.path(), &args), "testnet.config", 78)
    };
    let problem = up(["-f", "net.toml"]);
    assert!(
        problem["detail"].as_str().unwrap().contains("net.toml"),
        "{problem}"
    );
    let rich = format!("{}:18446744073709", protocol::digest::Address([7; 20]));
    let problem = up(["--fund", &rich]);
    assert!(
        problem["hint"].as_str().unwrap().contains("--fund"),
        "{problem}"
    );
}
