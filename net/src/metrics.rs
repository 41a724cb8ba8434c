//! Counters and gauges of the network. Every combination of labels exists at zero from the start,
//! so that the first event is an increase. Bytes are payload bytes.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::ladder::Offence;
use crate::lanes::LANES;
use crate::service::Service;
use crate::topic::Topic;

/// Directions of a connection or message.
pub(crate) const INBOUND: &str = "in";
pub(crate) const OUTBOUND: &str = "out";
/// What became of a message.
pub(crate) const OUTCOMES: [&str; 11] = [
    "accepted",
    "rejected",
    "ignored",
    "late",
    "duplicate",
    "early",
    "overflow",
    "malformed",
    "expired",
    "sent",
    "send_failed",
];
const RATE_SCOPES: [&str; 4] = ["relayer", "signer", "request", "egress"];
const TRANSPORTS: [&str; 2] = ["tcp", "quic"];
const HANDSHAKE_FAILURES: [&str; 6] = [
    "transport",
    "denied",
    "wrong_peer",
    "hello_timeout",
    "wrong_chain",
    "other",
];
const REFUSALS: [&str; 5] = ["ip_guard", "banned", "limit", "memory", "other"];
const REQUEST_OUTCOMES: [&str; 8] = [
    "ok",
    "served",
    "timeout",
    "failed",
    "broken",
    "refused",
    "not_greeted",
    "held_back",
];

/// The network's metrics; registered once, incremented from the loop.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) peers: IntGaugeVec,
    pub(crate) mesh_peers: IntGaugeVec,
    pub(crate) messages: IntCounterVec,
    pub(crate) bytes: IntCounterVec,
    pub(crate) rate_limited: IntCounterVec,
    pub(crate) bans: IntCounterVec,
    pub(crate) banned_peers: IntGauge,
    pub(crate) handshake_failures: IntCounterVec,
    pub(crate) validation_seconds: HistogramVec,
    pub(crate) connections_refused: IntCounterVec,
    pub(crate) lane_dropped: IntCounterVec,
    pub(crate) lane_depth: IntGaugeVec,
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: HistogramVec,
    pub(crate) gossip_redials: IntCounter,
    pub(crate) pull_repairs: IntCounter,
    pub(crate) verify_wait_seconds: HistogramVec,
}

const SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

struct Builder<'a>(&'a Registry);

impl Builder<'_> {
    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        values: &[&[&str]],
    ) -> prometheus::Result<IntCounterVec> {
        let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
        for combination in combinations(values) {
            counters.with_label_values(&combination);
        }
        self.0.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> prometheus::Result<IntGaugeVec> {
        let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
        for value in values {
            gauges.with_label_values(&[*value]);
        }
        self.0.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let histograms = HistogramVec::new(opts, &[label])?;
        for value in values {
            histograms.with_label_values(&[*value]);
        }
        self.0.register(Box::new(histograms.clone()))?;
        Ok(histograms)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }
}

/// The cartesian product.
fn combinations<'a>(values: &[&[&'a str]]) -> Vec<Vec<&'a str>> {
    values.iter().fold(vec![Vec::new()], |prefixes, column| {
        prefixes
            .iter()
            .flat_map(|prefix| {
                column.iter().map(|value| {
                    let mut row = prefix.clone();
                    row.push(*value);
                    row
                })
            })
            .collect()
    })
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If a name is taken in this registry.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let build = Builder(registry);
        let topics = Topic::ALL.map(Topic::name);
        let services = Service::ALL.map(Service::name);
        let mut reasons: Vec<&str> = Offence::ALL.map(Offence::name).to_vec();
        reasons.push("operator");
        let banned_peers =
            IntGauge::new("palisade_p2p_banned_peers", "Peers refused or banned now.")?;
        registry.register(Box::new(banned_peers.clone()))?;
        Ok(Self {
            peers: build.gauges(
                "palisade_p2p_peers",
                "Peers that finished hello, by who dialled.",
                "direction",
                &[INBOUND, OUTBOUND],
            )?,
            mesh_peers: build.gauges(
                "palisade_p2p_gossip_mesh_peers",
                "Peers in the gossip mesh.",
                "topic",
                &topics,
            )?,
            messages: build.counters(
                "palisade_p2p_messages_total",
                "Gossip messages by what became of them.",
                &["topic", "direction", "outcome"],
                &[&topics, &[INBOUND, OUTBOUND], &OUTCOMES],
            )?,
            bytes: build.counters(
                "palisade_p2p_bytes_total",
                "Payload bytes of gossip and requests.",
                &["direction"],
                &[&[INBOUND, OUTBOUND]],
            )?,
            rate_limited: build.counters(
                "palisade_p2p_rate_limited_total",
                "Messages and requests above a quota.",
                &["scope"],
                &[&RATE_SCOPES],
            )?,
            bans: build.counters(
                "palisade_p2p_bans_total",
                "Refusals and bans.",
                &["reason"],
                &[&reasons],
            )?,
            banned_peers,
            handshake_failures: build.counters(
                "palisade_p2p_handshake_failures_total",
                "Connections that failed before hello was done.",
                &["transport", "reason"],
                &[&TRANSPORTS, &HANDSHAKE_FAILURES],
            )?,
            validation_seconds: build.histograms(
                "palisade_p2p_message_validation_seconds",
                "From receipt of a message to its verdict.",
                "topic",
                &topics,
            )?,
            connections_refused: build.counters(
                "palisade_p2p_connections_refused_total",
                "Inbound connections refused.",
                &["reason"],
                &[&REFUSALS],
            )?,
            lane_dropped: build.counters(
                "palisade_p2p_lane_dropped_total",
                "Events dropped because their lane was full.",
                &["lane"],
                &[&LANES],
            )?,
            lane_depth: build.gauges(
                "palisade_p2p_lane_depth",
                "Events waiting in a lane.",
                "lane",
                &LANES,
            )?,
            requests: build.counters(
                "palisade_p2p_requests_total",
                "Requests made and served.",
                &["protocol", "outcome"],
                &[&services, &REQUEST_OUTCOMES],
            )?,
            request_seconds: build.histograms(
                "palisade_p2p_request_seconds",
                "From a request to its answer.",
                "protocol",
                &services,
            )?,
            gossip_redials: build.counter(
                "palisade_p2p_gossip_redials_total",
                "Connections closed because gossip had died on them.",
            )?,
            pull_repairs: build.counter(
                "palisade_p2p_pull_repairs_total",
                "Messages that gossip lost and a pull brought.",
            )?,
            verify_wait_seconds: build.histograms(
                "palisade_p2p_verify_wait_seconds",
                "Time a message spent in the verify pool.",
                "lane",
                &topics,
            )?,
        })
    }

    pub(crate) fn message(&self, topic: Topic, direction: &str, outcome: &str, count: u32) {
        self.messages
            .with_label_values(&[topic.name(), direction, outcome])
            .inc_by(u64::from(count));
    }

    pub(crate) fn request(&self, service: Service, outcome: &str) {
        self.requests
            .with_label_values(&[service.name(), outcome])
            .inc();
    }

    pub(crate) fn verify_wait(&self, topic: Topic) -> Histogram {
        self.verify_wait_seconds.with_label_values(&[topic.name()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_exists_at_zero() {
        let registry = Registry::new();
        assert!(Metrics::new(&registry).is_ok());
        let families = registry.gather();
        assert_eq!(families.len(), 17);
        let lines: usize = families
            .iter()
            .map(|family| family.get_metric().len())
            .sum();
        assert!(lines > 150, "{lines}");
        assert!(Metrics::new(&registry).is_err(), "a name is taken once");
    }
}
