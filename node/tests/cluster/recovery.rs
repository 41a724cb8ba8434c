//! Goal: a node that lost files, and not its key, comes back without help and without a second
//! signature. Method: files of a killed node of a running net are removed or overwritten; what it does
//! afterwards is read from the other nodes' chain.

use serde_json::Value;
use testnet::clock::poll;

use crate::cli::{arg, list, number, text};
use crate::cluster::{Cluster, PATIENCE};

const VICTIM: &str = "mallory";

/// Kills the victim and says at which height the others were.
fn kill(net: &Cluster) -> u64 {
    net.testnet("fault", &["kill", VICTIM]);
    number(&net.testnet("status", &[])["height"])
}

/// The victim's home, from where its stopped node's commands are run.
fn home(net: &Cluster) -> std::path::PathBuf {
    net.file(&format!("nodes/{VICTIM}"))
}

/// Whether the certificate of a block carries the victim's signature.
fn is_signed(block: &Value, validator: &str) -> bool {
    list(&block["signers"]).iter().any(|id| id == validator)
}

fn block(net: &Cluster, height: u64) -> Value {
    net.ask("alice", &["chain", "block", &height.to_string()])
}

/// The first height from `from` on that the victim signed.
fn next_signed(net: &Cluster, from: u64) -> u64 {
    let validator = net.validator_id(VICTIM);
    let mut height = from;
    let found = poll(PATIENCE, || {
        if number(&net.testnet("status", &[])["height"]) <= height {
            return None;
        }
        let signed = is_signed(&block(net, height), &validator);
        height += u64::from(!signed);
        signed.then_some(height)
    });
    found.unwrap_or_else(|| panic!("{VICTIM} signs nothing any more\n{}", net.logs()))
}

fn nobody_is_accused(net: &Cluster) {
    let evidence = net.ask("alice", &["evidence", "list"]);
    assert!(list(&evidence["evidence"]).is_empty(), "{evidence}");
    net.holds(&["none(slashed, validators)", "all(up, validators)", "agree"]);
}

/// A key on an empty directory whose sign-state forbids heights that the chain has yet to reach.
#[test]
fn sign_floor_above_the_tip_is_waited_out() {
    let net = Cluster::up("floor");
    net.wait("height >= 4 && agree");
    let floor = kill(&net) + 6;
    let home = home(&net);
    std::fs::remove_dir_all(home.join("data")).unwrap();
    let made = net.cli.json(&[
        "--home",
        arg(&home),
        "sign-state",
        "init",
        "--floor",
        &floor.to_string(),
    ]);
    assert_eq!(number(&made["height"]), floor);
    net.testnet("fault", &["resume", VICTIM]);
    let first = next_signed(&net, floor.saturating_sub(5));
    assert!(first > floor, "signed {first}, forbidden up to {floor}");
    net.wait(&format!("height({VICTIM}) > {first}"));
    assert_eq!(text(&net.process(VICTIM)["state"]), "running");
    nobody_is_accused(&net);
}

/// Bytes flipped in the middle of acknowledged blocks: the segment is put aside, the state stays, and
/// every block comes back from peers.
#[test]
fn damaged_block_segment_is_fetched_again() {
    let net = Cluster::up("segment");
    net.wait("height >= 12 && agree");
    let tip = kill(&net);
    let blocks = home(&net).join("data/blocks");
    let segment = blocks.join("0000000001.plsr");
    let mut bytes = std::fs::read(&segment).unwrap();
    for place in [512, 2_000] {
        assert_ne!(bytes[place..place + 64], [0; 64], "no record at {place}");
        bytes[place] ^= 0x40;
    }
    std::fs::write(&segment, bytes).unwrap();
    net.testnet("fault", &["resume", VICTIM]);
    net.wait(&format!("height({VICTIM}) > {}", tip + 2));
    assert!(blocks.join("0000000001.plsr.bad").exists());
    let log = std::fs::read_to_string(home(&net).join("log.jsonl")).unwrap();
    assert!(log.contains("blocks_missing"), "{}", net.logs());
    assert!(!log.contains("state_rebuilt"), "{}", net.logs());
    holds_every_block(&net, tip);
    // What was put back is on disk, where the next start finds it.
    kill(&net);
    net.testnet("fault", &["resume", VICTIM]);
    net.wait(&format!("height({VICTIM}) > {}", tip + 4));
    holds_every_block(&net, tip);
    next_signed(&net, tip + 4);
    nobody_is_accused(&net);
}

/// The victim serves each height up to this one, and the same block as the others.
fn holds_every_block(net: &Cluster, tip: u64) {
    let mut height = 1;
    let whole = poll(PATIENCE, || {
        let ran = net.try_ask(VICTIM, &["chain", "block", &height.to_string()]);
        if ran.code == 0 {
            assert_eq!(ran.document["id"], block(net, height)["id"], "at {height}");
            height += 1;
        }
        (height > tip).then_some(())
    });
    assert!(
        whole.is_some(),
        "no block {height} of {tip}\n{}",
        net.logs()
    );
}
