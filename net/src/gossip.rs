//! Gossip's configuration and scores.
//!
//! Gossip is anonymous: libp2p signs nothing, because its check would run on every copy before
//! deduplication. Our own envelope's signature is checked once, after it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use libp2p::gossipsub::{
    Config, ConfigBuilder, ConfigBuilderError, MaxCountSubscriptionFilter, Message, MessageId,
    PeerScoreParams, PeerScoreThresholds, TopicScoreParams, ValidationMode,
    WhitelistSubscriptionFilter, score_parameter_decay,
};
use protocol::digest::{Tag, th};
use protocol::limits::{CERTIFICATE_BYTES_MAX, ENVELOPE_HEADER_BYTES};

use crate::role::Role;
use crate::topic::{Topic, Topics};

/// Largest RPC gossipsub reads.
pub(crate) const TRANSMIT_BYTES_MAX: usize = 64 << 10;
/// Largest envelope on gossip. The transmit limit is compared with the whole read buffer, so frames
/// that arrive back to back need headroom or they are lost without a word.
pub const PAYLOAD_BYTES_MAX: usize = 48 << 10;
const _: () = assert!(PAYLOAD_BYTES_MAX <= TRANSMIT_BYTES_MAX - (16 << 10));
const _: () = assert!(CERTIFICATE_BYTES_MAX + ENVELOPE_HEADER_BYTES + 64 <= PAYLOAD_BYTES_MAX);

/// Messages queued for one connection.
const QUEUE: usize = 1_024;
const MESH: usize = 8;
const MESH_LOW: usize = 6;
const MESH_HIGH: usize = 12;
const MESH_OUTBOUND: usize = 2;
const _: () = assert!(MESH_OUTBOUND <= MESH / 2 && MESH_LOW <= MESH && MESH <= MESH_HIGH);

/// Application score before `hello`, and while muted: below the graylist threshold, so that a
/// message is dropped before the duplicate cache would remember it.
pub(crate) const SCORE_SILENCED: f64 = -10_000.0;

/// The subscription filter: our four topics and nothing else.
pub(crate) type Filter = MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>;

pub(crate) fn filter(topics: &Topics) -> Filter {
    let ours: HashSet<_> = Topic::ALL
        .iter()
        .map(|topic| topics.hash(*topic).clone())
        .collect();
    MaxCountSubscriptionFilter {
        max_subscribed_topics: ours.len(),
        max_subscriptions_per_request: 2 * ours.len(),
        filter: WhitelistSubscriptionFilter(ours),
    }
}

/// A message's id covers its signature, so a forged copy cannot occupy a good one's id.
pub(crate) fn message_id(topic: &str, data: &[u8]) -> MessageId {
    MessageId::new(&th(Tag::GossipId, &[topic.as_bytes(), data]).as_bytes()[..20])
}

pub(crate) fn config() -> Result<Config, ConfigBuilderError> {
    ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message: &Message| message_id(message.topic.as_str(), &message.data))
        .max_transmit_size(TRANSMIT_BYTES_MAX)
        .duplicate_cache_time(Duration::from_secs(120))
        .heartbeat_interval(Duration::from_millis(500))
        .heartbeat_initial_delay(Duration::from_millis(200))
        .history_length(6)
        .history_gossip(3)
        .mesh_n(MESH)
        .mesh_n_low(MESH_LOW)
        .mesh_n_high(MESH_HIGH)
        .mesh_outbound_min(MESH_OUTBOUND)
        .flood_publish(true)
        .connection_handler_queue_len(QUEUE)
        .publish_queue_duration(Duration::from_secs(2))
        .forward_queue_duration(Duration::from_secs(1))
        .prune_backoff(Duration::from_secs(10))
        .max_ihave_messages_heartbeat(10)
        .idontwant_on_publish(true)
        .build()
}

pub(crate) fn scores(
    topics: &Topics,
    exempt: &HashSet<IpAddr>,
) -> (PeerScoreParams, PeerScoreThresholds) {
    let topic_params: HashMap<_, _> = Topic::ALL
        .iter()
        .map(|topic| (topics.hash(*topic).clone(), topic_score()))
        .collect();
    let params = PeerScoreParams {
        topics: topic_params,
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: -10.0,
        ip_colocation_factor_threshold: 4.0,
        ip_colocation_factor_whitelist: exempt.clone(),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(600)),
        slow_peer_weight: -1.0,
        slow_peer_threshold: 50.0,
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: -200.0,
        graylist_threshold: -400.0,
        accept_px_threshold: 1_000_000.0,
        opportunistic_graft_threshold: 5.0,
    };
    (params, thresholds)
}

/// P3 and P3b are off: they eject honest peers on topics where little happens.
fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 0.5,
        first_message_deliveries_decay: score_parameter_decay(Duration::from_secs(120)),
        first_message_deliveries_cap: 40.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: score_parameter_decay(Duration::from_secs(1_800)),
        ..TopicScoreParams::default()
    }
}

/// What a greeted peer's role is worth to us.
pub(crate) const fn application_score(role: Role, kept: bool) -> f64 {
    match (role, kept) {
        (Role::Validator, _) => 50.0,
        (Role::Sentry, _) | (_, true) => 30.0,
        (Role::Full, false) => 5.0,
        (Role::Client, false) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::ChainId;

    use super::*;

    #[test]
    fn config_and_scores_are_accepted() {
        assert!(config().is_ok());
        let topics = Topics::new(&ChainId::of_genesis(b"x"));
        let (params, thresholds) = scores(&topics, &HashSet::new());
        assert!(params.validate().is_ok());
        assert!(thresholds.validate().is_ok());
        assert!(SCORE_SILENCED < thresholds.graylist_threshold);
    }

    #[test]
    fn id_depends_on_topic_and_every_byte() {
        let id = message_id("/a", b"xyz");
        assert_ne!(id, message_id("/b", b"xyz"));
        assert_ne!(id, message_id("/a", b"xyw"));
        assert_eq!(id.0.len(), 20);
    }
}
