//! Goal: no protocol is without a quota, in the table and on the wire.

use net::{Limits, Rate, Service, Topic};

use crate::raw::{Ended, Raw, frame, hello};
use crate::support::{Carrier, Node, block_on, config};

/// A well-formed request of each protocol.
fn request(service: Service) -> Vec<u8> {
    frame(&match service {
        Service::Hello => hello(),
        Service::Status => vec![0; 40],
        Service::Voteset => vec![0; 16],
        Service::Body => vec![0; 32],
        Service::Sync => vec![0; 8],
        Service::Blob => vec![0; 40],
    })
}

fn finite(rate: Rate) -> bool {
    rate.count > 0 && rate.burst > 0 && !rate.per.is_zero() && rate.burst < 1 << 30
}

#[test]
fn limits_every_protocol_has_a_quota() {
    for limits in [Limits::default(), Limits::local()] {
        for topic in Topic::ALL {
            let row = limits.topic(topic);
            assert!(finite(row.relayer_messages), "{topic:?}");
            assert!(finite(row.relayer_bytes), "{topic:?}");
            assert!(finite(row.signer_messages), "{topic:?}");
            assert!(limits.verify_share(topic) > 0, "{topic:?}");
            let largest = u32::try_from(net::PAYLOAD_BYTES_MAX).unwrap();
            assert!(
                row.relayer_bytes.burst >= largest,
                "{topic:?}: a full frame must fit"
            );
        }
        // `bundle::TXS_MAX`: a full bundle must fit, into what we send as into what others take.
        assert!(limits.tx.relayer_messages.sending().burst >= 64);
        for service in Service::ALL {
            let row = limits.service(service);
            assert!(finite(row.requests), "{service:?}");
            assert!(finite(row.response_bytes), "{service:?}");
            let largest = u32::try_from(service.response_bytes_max()).unwrap();
            assert!(
                row.response_bytes.burst >= largest,
                "{service:?}: an answer must fit"
            );
        }
    }
    for service in Service::ALL {
        requests_above_the_burst_are_refused(service);
    }
}

/// On the wire: after the burst, a request in time gets no answer.
fn requests_above_the_burst_are_refused(service: Service) {
    let mut config = config(1, Carrier::Quic);
    // The rates of slow hosts must not refill the bucket while it is being emptied.
    for row in [
        &mut config.limits.status,
        &mut config.limits.voteset,
        &mut config.limits.body,
        &mut config.limits.sync,
        &mut config.limits.blob,
    ] {
        row.requests = Rate {
            per: row.requests.per * 100,
            ..row.requests
        };
    }
    let burst = config.limits.service(service).requests.burst;
    let host = Node::start(config);
    block_on(async {
        let mut raw = Raw::greeted(host.address(), service).await;
        let spent = u32::from(service == Service::Hello);
        for nth in spent..burst {
            let ended = raw.ask(request(service)).await;
            assert!(
                matches!(ended, Ended::Answered(_)),
                "{service:?}: {nth} of {burst}"
            );
        }
        assert_eq!(
            raw.ask(request(service)).await,
            Ended::Failed,
            "{service:?}"
        );
    });
    let labels = [("protocol", service.name()), ("outcome", "refused")];
    host.wait_metric("p2p_requests_total", &labels, |count| count == 1.0);
    host.wait_metric("p2p_rate_limited_total", &[("scope", "request")], |count| {
        count == 1.0
    });
}
