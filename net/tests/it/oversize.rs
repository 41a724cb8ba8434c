//! Goal: a frame that breaks the rules closes its stream, is charged, and costs no memory.

use net::Service;

use crate::raw::{Ended, Raw, frame};
use crate::support::{Carrier, Node, block_on, config};

#[test]
fn oversize_length_prefix_closes_the_stream() {
    for service in [
        Service::Status,
        Service::Voteset,
        Service::Body,
        Service::Sync,
        Service::Blob,
    ] {
        let host = Node::start(config(1, Carrier::Noise));
        // Lives on after the requests, or the host would forget the peer.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut raw = runtime.block_on(Raw::greeted(host.address(), service));
        let over = u32::try_from(service.request_bytes_max() + 1).unwrap();
        for prefix in [over, 1 << 31] {
            let ended = runtime.block_on(raw.ask(prefix.to_be_bytes().to_vec()));
            assert_eq!(ended, Ended::Failed);
        }
        let labels = [("protocol", service.name()), ("outcome", "broken")];
        host.wait_metric("p2p_requests_total", &labels, |count| count == 2.0);
        let view = host.wait("charged", |view| {
            view.peers.iter().any(|row| row.score < -9.0)
        });
        assert!(view.bans.is_empty(), "two mistakes are no ban");
    }
}

#[test]
fn four_broken_requests_end_in_a_refusal() {
    let host = Node::start(config(1, Carrier::Quic));
    let peer = block_on(async {
        let mut raw = Raw::greeted(host.address(), Service::Body).await;
        let mut answered = 0;
        while raw.ask(frame(b"short")).await == Ended::Failed {
            answered += 1;
        }
        assert!(answered >= 3, "disconnected after {answered}");
        raw.peer_id()
    });
    let view = host.wait("refused", |view| view.bans.len() == 1);
    assert_eq!(
        (view.bans[0].peer, view.bans[0].reason.as_str()),
        (peer, "broken_request")
    );
    assert_eq!(view.bans[0].until_ms - view.bans[0].since_ms, 60_000);
}

#[test]
fn requests_before_hello_are_not_served() {
    let host = Node::start(config(1, Carrier::Quic));
    block_on(async {
        let mut raw = Raw::connect(host.address(), Service::Body).await;
        assert_eq!(raw.ask(frame(&[0; 32])).await, Ended::Failed);
    });
    let labels = [("protocol", "body"), ("outcome", "not_greeted")];
    host.wait_metric("p2p_requests_total", &labels, |count| count == 1.0);
}
