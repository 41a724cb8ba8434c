//! Goal: one process a home, one process a port; an orderly end is an orderly end.

use crate::node::{Node, home, make_home};
use crate::{palisade, refused};

#[test]
fn a_second_process_is_refused_by_the_first_ones_pid() {
    let node = Node::start();
    let second = palisade(node.dir.path())
        .args(["--home", "net/nodes/alice", "node", "run"])
        .output()
        .unwrap();
    let problem = refused(&second, "lock.held", 75);
    assert!(
        problem["detail"].as_str().unwrap().contains("process"),
        "{problem}"
    );

    let ids = node.client(&["account", "transfer", "client-1", "5PAL"]);
    assert_eq!(
        ids.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&ids.stderr)
    );
    let shown = node.client(&["account", "show", "client-1"]);
    let account: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(
        account["balance"].as_str().unwrap().parse::<u64>().unwrap() >= 5_000_000,
        "{account}"
    );

    let socket = home(node.dir.path()).join("run/admin.sock");
    assert!(socket.exists());
    let api = node.api.clone();
    assert_eq!(node.stop(), Some(0), "SIGTERM is a graceful stop");
    assert!(std::net::TcpStream::connect(&api).is_err());
    assert!(!socket.exists());
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    make_home(dir.path());
    let run = |listen: &str| {
        let mut command = palisade(dir.path());
        command.args(["--home", "net/nodes/alice", "node", "run"]);
        for section in ["API", "METRICS"] {
            let variable = format!("PALISADE__{section}__LISTEN");
            let free = "127.0.0.1:0".to_owned();
            let address = if section == listen {
                address.to_string()
            } else {
                free
            };
            command.env(variable, address);
        }
        command.output().unwrap()
    };
    let named = |listen: &str| {
        let problem = refused(&run(listen), "port.taken", 4);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&address.port().to_string()), "{problem}");
        detail.to_owned()
    };
    // The one that holds it is this very test.
    let holder = format!("pid {}", std::process::id());
    assert!(named("API").contains(&holder));
    assert!(named("METRICS").contains(&holder));
    let file = home(dir.path()).join("node.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let listen = |peer: &str| {
        std::fs::write(&file, text.replace("/ip4/127.0.0.1/tcp/0", peer)).unwrap();
    };
    listen(&format!("/ip4/127.0.0.1/tcp/{}", address.port()));
    assert!(named("NET").contains(&holder));

    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = datagrams.local_addr().unwrap().port();
    listen(&format!("/ip4/127.0.0.1/udp/{port}/quic-v1"));
    let problem = refused(&run("NET"), "port.taken", 4);
    let detail = problem["detail"].as_str().unwrap();
    let holds = format!("port {port} is taken by {holder}");
    assert!(detail.contains(&holds), "{problem}");
}

/// RFC 5737 keeps such an address free; what cannot be bound there is no port that somebody took.
#[test]
fn an_address_of_another_host_is_no_taken_port() {
    let dir = tempfile::tempdir().unwrap();
    let init = "testnet init -d net --names alice --keys random --addr 192.0.2.1";
    let mut made = palisade(dir.path());
    made.args(init.split(' '));
    made.args(["--chain-name", "palisade-elsewhere-1"]);
    assert!(made.status().unwrap().success());
    let mut command = palisade(dir.path());
    command.args(["--home", "net/nodes/alice", "node", "run"]);
    for section in ["API", "METRICS"] {
        command.env(format!("PALISADE__{section}__LISTEN"), "127.0.0.1:0");
    }
    let problem = refused(&command.output().unwrap(), "config.invalid", 78);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("Cannot assign requested address"),
        "{problem}"
    );
}

#[test]
fn a_key_without_its_sign_state_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    make_home(dir.path());
    std::fs::remove_dir_all(home(dir.path()).join("data/sign-state")).unwrap();
    let run = || {
        palisade(dir.path())
            .args(["--home", "net/nodes/alice", "node", "run"])
            .output()
            .unwrap()
    };
    refused(&run(), "sign_state.missing", 75);
}
