//! What mailboxes show of themselves.

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// Counters of all mailboxes of one node.
#[derive(Clone, Debug)]
pub struct MailboxMetrics {
    pub(super) depth: IntGaugeVec,
    pub(super) capacity: IntGaugeVec,
    pub(super) shed: IntCounterVec,
    pub(super) wait: HistogramVec,
    pub(super) handle: HistogramVec,
}

impl MailboxMetrics {
    /// Registers the mailbox metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let actor = &["actor"];
        let seconds = vec![0.0001, 0.001, 0.01, 0.1, 1.0, 10.0];
        let histogram = |name, help| {
            HistogramVec::new(
                HistogramOpts::new(name, help).buckets(seconds.clone()),
                actor,
            )
        };
        let metrics = Self {
            depth: IntGaugeVec::new(
                Opts::new("palisade_actor_mailbox_depth", "Letters waiting"),
                actor,
            )?,
            capacity: IntGaugeVec::new(
                Opts::new("palisade_actor_mailbox_capacity", "Letters that may wait"),
                actor,
            )?,
            shed: IntCounterVec::new(
                Opts::new(
                    "palisade_actor_shed_total",
                    "Letters dropped by a full mailbox",
                ),
                &["actor", "message"],
            )?,
            wait: histogram(
                "palisade_actor_wait_seconds",
                "Time from sending to handling",
            )?,
            handle: histogram("palisade_actor_handle_seconds", "Time in the handler")?,
        };
        let all: [Box<dyn Collector>; 5] = [
            Box::new(metrics.depth.clone()),
            Box::new(metrics.capacity.clone()),
            Box::new(metrics.shed.clone()),
            Box::new(metrics.wait.clone()),
            Box::new(metrics.handle.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        Ok(metrics)
    }
}
