//! Goal: a banned peer is refused by the next process too, until the ban is lifted.

use std::sync::Arc;

use crate::support::{Carrier, Node, config, lock, poll, stranger};

#[test]
fn banned_peer_is_refused_after_a_restart() {
    let host = Node::start(config(1, Carrier::Quic));
    let mut guest = stranger(50, Carrier::Quic);
    guest.static_peers = vec![host.address()];
    let guest = Node::start(guest);
    host.wait_for_peers(1);
    host.handle.ban(guest.handle.peer_id()).unwrap();
    host.wait("gone", |view| view.peers.is_empty() && view.bans.len() == 1);
    let world = Arc::clone(&host.world);
    poll("stored", || lock(&world.bans).len() == 1);
    let mut ended = host.handle.ended();
    drop(host);
    crate::support::block_on(async {
        ended.wait_for(|ended| *ended).await.unwrap();
    });

    let host = Node::start_in(config(1, Carrier::Quic), world);
    host.wait("remembered", |view| view.bans.len() == 1);
    guest.handle.dial(host.address()).unwrap();
    host.wait_metric(
        "p2p_connections_refused_total",
        &[("reason", "banned")],
        |n| n >= 1.0,
    );
    assert!(host.handle.view().peers.is_empty());

    host.handle.unban(guest.handle.peer_id()).unwrap();
    host.wait("lifted", |view| view.bans.is_empty());
    guest.handle.dial(host.address()).unwrap();
    host.wait_for_peers(1);
}
