//! Goal: a validator killed at any moment comes back with nothing lost and nothing signed twice.
//! Method: SIGKILL of each node in turn while clients pay each other; whatever a client was told is
//! in the chain must be there afterwards, on every node, at the height it was told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use testnet::clock::poll;

use crate::cli::{Cli, list, number, text};
use crate::cluster::{Cluster, NAMES, PATIENCE};

/// Thirty rounds are the release's promise; a debug build takes fewer within the suite's time.
const KILLS: usize = if cfg!(debug_assertions) { 12 } else { 30 };
/// Each pays from its own account, so that none waits for another's nonce.
const CLIENTS: [&str; 3] = ["client-1", "client-2", "client-3"];

/// What a client was told.
struct Told {
    tx: String,
    height: u64,
}

#[test]
fn killed_nodes_lose_nothing_and_sign_nothing_twice() {
    let net = Cluster::up("crash");
    let accounts = net.testnet("accounts", &[]);
    let faucet = address(&accounts, "faucet");
    let apis: Vec<(&str, String)> = NAMES.iter().map(|node| (*node, net.api(node))).collect();
    let genesis = net.file("genesis.toml");
    let victim = Mutex::new("");
    let (stop, paid) = (AtomicBool::new(false), AtomicUsize::new(0));
    let told = std::thread::scope(|scope| {
        let paying: Vec<_> = CLIENTS
            .iter()
            .map(|client| {
                let (apis, victim, stop) = (&apis, &victim, (&stop, &paid));
                let (faucet, genesis) = (&faucet, &genesis);
                scope.spawn(move || pay(client, faucet, genesis, apis, victim, stop))
            })
            .collect();
        let killing = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kill_in_turn(&net, &victim, &paid);
        }));
        stop.store(true, Ordering::Relaxed);
        let told: Vec<Told> = paying
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        if let Err(panic) = killing {
            std::panic::resume_unwind(panic);
        }
        told
    });
    eprintln!("{} transfers under {KILLS} kills", told.len());
    assert!(
        told.len() >= KILLS,
        "only {} transfers under {KILLS} kills: no load",
        told.len()
    );
    let top = told
        .iter()
        .map(|told| told.height)
        .max()
        .unwrap_or_default();
    net.wait(&format!(
        "height > {top} && agree && all(synced, validators)"
    ));
    everything_told_is_there(&net, &told);
    for node in NAMES {
        let evidence = net.ask(node, &["evidence", "list"]);
        assert!(list(&evidence["evidence"]).is_empty(), "{node}: {evidence}");
        assert!(net.slashes(node).is_empty(), "{node}");
        for (name, row) in net.validators(node) {
            assert_eq!(row["state"], "active", "{name} as {node} sees it");
            assert_eq!(number(&row["stake"]), crate::cluster::STAKE, "{name}");
        }
    }
    net.holds(&["agree", "supply_conserved", "audit_ok"]);
}

/// SIGKILL, some heights without the node, a start, the node level again, and one more payment at
/// least: no kill without load.
fn kill_in_turn(net: &Cluster, victim: &Mutex<&'static str>, paid: &AtomicUsize) {
    for round in 0..KILLS {
        let node = NAMES[round % NAMES.len()];
        *victim.lock().unwrap() = node;
        let before = net.testnet("status", &[]);
        let height = number(&before["height"]);
        net.testnet("fault", &["kill", node]);
        assert_eq!(net.process(node)["state"], "killed", "round {round}");
        // Every third victim stays away for a while; the others come back into the same height.
        if round % 3 == 2 {
            net.wait(&format!("height >= {}", height + 2));
        }
        net.testnet("fault", &["resume", node]);
        net.wait(&format!("height({node}) > {height} && height > {height}"));
        let after = net.process(node);
        assert_eq!(
            after["state"], "running",
            "{node} after round {round}: {after}"
        );
        assert_eq!(
            number(&after["restarts"]),
            1 + (round / NAMES.len()) as u64,
            "{after}"
        );
        *victim.lock().unwrap() = "";
        let loaded = || (paid.load(Ordering::Relaxed) > round).then_some(());
        poll(PATIENCE, loaded).unwrap_or_else(|| panic!("nobody is paid after round {round}"));
    }
}

/// Pays until told to stop, asking nodes in turn but never the one that is down.
fn pay(
    client: &str,
    to: &str,
    genesis: &std::path::Path,
    apis: &[(&'static str, String)],
    victim: &Mutex<&'static str>,
    (stop, paid): (&AtomicBool, &AtomicUsize),
) -> Vec<Told> {
    let cli = Cli::new();
    let home = cli.path("home");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::copy(genesis, home.join("genesis.toml")).unwrap();
    let mut told = Vec::new();
    let mut turn = client.len();
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let (node, api) = &apis[turn % apis.len()];
        if *victim.lock().unwrap() == *node {
            continue;
        }
        let home = home.to_str().unwrap();
        let args = [
            "--home", home, "--api", api, "--key", client, "account", "transfer", to, "1upal",
        ];
        let ran = cli.run(&args);
        // A node may be killed while it is asked: the client learns that, and nothing is promised.
        if ran.code == 0 {
            assert_eq!(ran.document["result"]["applied"], true, "{}", ran.document);
            let tx = text(&ran.document["tx"]).to_owned();
            paid.fetch_add(1, Ordering::Relaxed);
            told.push(Told {
                tx,
                height: number(&ran.document["height"]),
            });
        }
    }
    told
}

/// Each transaction is in the block it was said to be in, once, on every node.
fn everything_told_is_there(net: &Cluster, told: &[Told]) {
    let mut heights: Vec<u64> = told.iter().map(|told| told.height).collect();
    heights.sort_unstable();
    heights.dedup();
    for node in NAMES {
        for height in &heights {
            let block = net.ask(node, &["chain", "block", &height.to_string()]);
            for told in told.iter().filter(|told| told.height == *height) {
                let found = list(&block["txs"])
                    .iter()
                    .filter(|tx| **tx == *told.tx)
                    .count();
                assert_eq!(found, 1, "{node}: {} at height {height}: {block}", told.tx);
            }
        }
    }
}

fn address(accounts: &Value, name: &str) -> String {
    let row = list(&accounts["accounts"])
        .iter()
        .find(|row| row["name"] == name);
    text(&row.unwrap_or_else(|| panic!("no account {name}"))["address"]).to_owned()
}
