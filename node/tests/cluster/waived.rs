//! Goal: a waiver given to a net reaches its nodes; one for a layer that does not exist is refused.

use crate::cluster::{Cluster, alone};

#[test]
fn a_waiver_stays_with_the_command() {
    let net = Cluster::start("waived", alone(), &["--allow-degraded", "cgroup"]);
    for node in ["alice", "mallory"] {
        let config = std::fs::read_to_string(net.file(&format!("nodes/{node}/node.toml"))).unwrap();
        let waived = config
            .lines()
            .find(|line| line.starts_with("allow_degraded"));
        assert!(
            waived.is_some_and(|line| line.contains("\"cgroup\"")),
            "{node}: {waived:?}"
        );
    }
    let again = net.try_testnet("up", &["--detach", "--allow-degraded", "cgroup"]);
    assert_eq!(again.problem["code"], "testnet.config", "{}", again.stderr);
    let flags = ["--fresh", "--detach", "--allow-degraded", "everything"];
    let unknown = net.try_testnet("up", &flags);
    assert_eq!(
        unknown.problem["code"], "config.invalid",
        "{}",
        unknown.stderr
    );
    assert_eq!(unknown.code, 78);
}
