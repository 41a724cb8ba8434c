use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::expect::{Names, Truth, evaluate, parse};
use crate::plan::PlannedNode;

#[test]
fn names_of_kinds_are_compared_in_one_spelling() {
    for name in ["DoubleVote", "double-vote", "double_vote"] {
        assert_eq!(snake(name), "double_vote");
    }
}

/// A page of metrics where all of so many commits took up to the bound, served to whoever asks.
fn serving(bound: &str, commits: u32) -> String {
    let row = |le: &str, count| format!("{FINALITY}_bucket{{le=\"{le}\"}} {count}\n");
    let page = format!("{}{}", row(bound, commits), row("+Inf", commits));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/metrics", socket.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in socket.incoming().flatten() {
            let mut head = [0; 4096];
            drop(stream.read(&mut head));
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    url
}

/// Nobody listens on port 1 of a loopback address.
const SILENT: &str = "http://127.0.0.1:1/metrics";

/// How an expression stands on nodes with these metrics pages.
fn truth(nodes: &[(&str, &str, NodeState)], text: &str) -> Truth {
    let planned = |(name, ..): &(&str, &str, NodeState)| PlannedNode {
        name: (*name).to_owned(),
        validator: String::new(),
        peer_id: String::new(),
        p2p: String::new(),
        start_at: None,
        byzantine: (*name == "mallory").then(|| ("flood".to_owned(), 0)),
    };
    let plan = Plan {
        name: "default".into(),
        chain_name: "palisade-local-1".into(),
        chain_id: String::new(),
        slot: 77,
        api_port: None,
        metrics_port: None,
        nodes: nodes.iter().map(planned).collect(),
    };
    let report = |(name, metrics, state): &(&str, &str, NodeState)| NodeReport {
        name: (*name).to_owned(),
        pid: None,
        state: *state,
        restarts: 0,
        exit_code: None,
        api: SILENT.into(),
        metrics: (*metrics).to_owned(),
    };
    let dir = NetDir::at("nowhere");
    let view = LiveView::new(&dir, &plan, nodes.iter().map(report).collect(), &[]);
    let names = Names {
        nodes: plan.names(),
    };
    evaluate(&parse(text, &names).unwrap(), &view)
}

#[test]
fn finality_is_that_of_the_slowest_honest_node() {
    use NodeState::{Killed, Running};
    let (quick, slow, fresh) = (serving("0.5", 40), serving("2", 40), serving("2", 0));
    let quick_and = |other| [("alice", quick.as_str(), Running), other];
    let slow_bob = quick_and(("bob", slow.as_str(), Running));
    assert_eq!(truth(&slow_bob, "finality_p95 < 2s"), Truth::True);
    assert_eq!(truth(&slow_bob, "finality_p95 < 1s"), Truth::False);
    // Who was told to misbehave says nothing about the net, and who was taken down says nothing.
    for other in [("mallory", slow.as_str(), Running), ("bob", SILENT, Killed)] {
        assert_eq!(truth(&quick_and(other), "finality_p95 < 1s"), Truth::True);
    }
    // A running node that does not answer, or has nothing to tell yet, leaves the net unknown.
    for page in [SILENT, fresh.as_str()] {
        let nodes = quick_and(("bob", page, Running));
        for text in [
            "finality_p95 < 2s",
            "finality_p95 > 2s",
            "!(finality_p95 < 2s)",
        ] {
            assert_eq!(truth(&nodes, text), Truth::Unknown, "{page} {text}");
        }
    }
    let nobody = [("alice", SILENT, Killed)];
    assert_eq!(truth(&nobody, "finality_p95 < 2s"), Truth::Unknown);
}
