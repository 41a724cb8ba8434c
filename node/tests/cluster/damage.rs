//! Goal: a running net ends, answers and takes jobs although a node, its plan or its caller is broken.
//! Method: one net; two commands at once, a dead first node, junk in files, then a truncated plan.

use std::process::Stdio;

use crate::cli::{Ran, list, text};
use crate::cluster::{Cluster, alone};

#[test]
fn a_net_outlives_damage_and_ends_all_the_same() {
    let mut net = two_at_once();
    jobs_go_to_a_node_that_is_ready(&net);
    junk_in_peer_memory_is_set_aside(&mut net);
    let plan = net.file("plan.json");
    let whole = std::fs::read(&plan).unwrap();
    std::fs::write(&plan, &whole[..whole.len() / 2]).unwrap();
    for args in [&["status"][..], &["submit"], &["fault", "kill", "bob"]] {
        let said = net
            .try_testnet(args[0], &args[1..])
            .refused(4, "testnet.unavailable");
        assert!(said.contains("plan.json"), "{said}");
    }
    assert_eq!(net.testnet("down", &[])["was_up"], true);
    assert_eq!(net.testnet("down", &[])["was_up"], false);
}

/// Of two that make a net of one name at once, one does and the other says that it is taken.
fn two_at_once() -> Cluster {
    let mut net = Cluster::planned("damage", alone());
    let up = || {
        let mut command = net
            .cli
            .command(&["testnet", "up", "--detach", "--name", "damage"]);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let both = [up(), up()].map(|child| Ran::from(child.wait_with_output().unwrap()));
    let (won, lost): (Vec<Ran>, Vec<Ran>) = both.into_iter().partition(|ran| ran.code == 0);
    assert_eq!((won.len(), lost.len()), (1, 1), "{won:?} {lost:?}");
    lost[0].refused(4, "testnet.unavailable");
    net.endpoints = won[0].document.clone();
    net.wait("height >= 2 && agree");
    net
}

fn jobs_go_to_a_node_that_is_ready(net: &Cluster) {
    net.testnet("fault", &["kill", "alice"]);
    let said = net.testnet("submit", &["--model", "demo/echo"]);
    assert_eq!(list(&said["jobs"]).len(), 1, "{said}");
    let unknown = net.try_testnet("submit", &["--model", "demo/nope"]);
    assert!(unknown.code != 0 && unknown.code != 1, "{}", unknown.stderr);
    assert_ne!(unknown.problem["code"], "internal", "{}", unknown.stderr);
    net.try_testnet("fault", &["pause", "alice"])
        .refused(4, "testnet.unavailable");
}

fn junk_in_peer_memory_is_set_aside(net: &mut Cluster) {
    for name in ["bans.json", "peers.json"] {
        std::fs::write(net.file(&format!("nodes/alice/data/{name}")), "").unwrap();
    }
    net.testnet("fault", &["resume", "alice"]);
    net.wait("up(alice) && synced(alice)");
    assert_eq!(text(&net.process("alice")["state"]), "running");
    assert_eq!(text(&net.process("alice")["validator"]), "active");
    let aside = net.file("nodes/alice/data/bans.json.damaged");
    assert!(aside.exists());
}
