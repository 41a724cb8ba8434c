//! Goal: three banned ids close an address, and lifting their bans opens it again.

use std::collections::HashSet;

use crate::support::{Carrier, Node, config, stranger};

#[test]
fn an_address_is_open_again_once_its_bans_are_lifted() {
    let mut host = config(1, Carrier::Quic);
    host.ip_exempt = HashSet::new();
    let host = Node::start(host);
    let guests: Vec<Node> = (50..53)
        .map(|seed| {
            let mut guest = stranger(seed, Carrier::Quic);
            guest.static_peers = vec![host.address()];
            Node::start(guest)
        })
        .collect();
    host.wait_for_peers(3);
    for guest in &guests {
        host.handle.ban(guest.handle.peer_id()).unwrap();
    }
    host.wait("gone", |view| view.peers.is_empty() && view.bans.len() == 3);
    let newcomer = Node::start(stranger(60, Carrier::Quic));
    newcomer.handle.dial(host.address()).unwrap();
    host.wait_metric(
        "p2p_connections_refused_total",
        &[("reason", "ip_guard")],
        |n| n >= 1.0,
    );

    for guest in &guests {
        host.handle.unban(guest.handle.peer_id()).unwrap();
    }
    host.wait("lifted", |view| view.bans.is_empty());
    newcomer.handle.dial(host.address()).unwrap();
    let newcomer = newcomer.handle.peer_id();
    host.wait("let in", |view| {
        view.peers.iter().any(|row| row.peer == newcomer)
    });
}
