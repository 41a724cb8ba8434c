//! The sending ends of the lanes. A full lane drops the newest and counts it; only for consensus
//! is the loss remembered, because it can be pulled again.

use tokio::sync::mpsc;

use crate::event::{BulkEvent, ConsensusEvent, EvidenceEvent, Lanes, TxEvent};
use crate::metrics::Metrics;

/// Names of the lanes in metrics.
pub(crate) const LANES: [&str; 5] = ["consensus", "evidence", "duty", "tx", "bulk"];

const CONSENSUS: usize = 1_024;
const EVIDENCE: usize = 128;
const DUTY: usize = 512;
const TX: usize = 2_048;
const BULK: usize = 64;

/// Whether an event found room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Yes,
    Dropped,
}

#[derive(Debug)]
pub(crate) struct LaneSenders {
    consensus: mpsc::Sender<ConsensusEvent>,
    evidence: mpsc::Sender<EvidenceEvent>,
    duty: mpsc::Sender<TxEvent>,
    tx: mpsc::Sender<TxEvent>,
    bulk: mpsc::Sender<BulkEvent>,
    metrics: Metrics,
}

impl LaneSenders {
    pub(crate) fn new(metrics: Metrics) -> (Self, Lanes) {
        let (consensus, consensus_out) = mpsc::channel(CONSENSUS);
        let (evidence, evidence_out) = mpsc::channel(EVIDENCE);
        let (duty, duty_out) = mpsc::channel(DUTY);
        let (tx, tx_out) = mpsc::channel(TX);
        let (bulk, bulk_out) = mpsc::channel(BULK);
        let lanes = Lanes {
            consensus: consensus_out,
            evidence: evidence_out,
            duty: duty_out,
            tx: tx_out,
            bulk: bulk_out,
        };
        (
            Self {
                consensus,
                evidence,
                duty,
                tx,
                bulk,
                metrics,
            },
            lanes,
        )
    }

    pub(crate) fn consensus(&self, event: ConsensusEvent) -> Sent {
        self.send(&self.consensus, event, LANES[0])
    }

    pub(crate) fn evidence(&self, event: EvidenceEvent) -> Sent {
        self.send(&self.evidence, event, LANES[1])
    }

    pub(crate) fn duty(&self, event: TxEvent) -> Sent {
        self.send(&self.duty, event, LANES[2])
    }

    pub(crate) fn tx(&self, event: TxEvent) -> Sent {
        self.send(&self.tx, event, LANES[3])
    }

    pub(crate) fn bulk(&self, event: BulkEvent) -> Sent {
        self.send(&self.bulk, event, LANES[4])
    }

    fn send<T>(&self, lane: &mpsc::Sender<T>, event: T, name: &str) -> Sent {
        if lane.try_send(event).is_ok() {
            return Sent::Yes;
        }
        self.metrics.lane_dropped.with_label_values(&[name]).inc();
        Sent::Dropped
    }

    /// Sets the depth gauges.
    pub(crate) fn measure(&self) {
        let depth = |name: &str, capacity: usize, free: usize| {
            let waiting = i64::try_from(capacity - free).unwrap_or(i64::MAX);
            self.metrics
                .lane_depth
                .with_label_values(&[name])
                .set(waiting);
        };
        depth(LANES[0], CONSENSUS, self.consensus.capacity());
        depth(LANES[1], EVIDENCE, self.evidence.capacity());
        depth(LANES[2], DUTY, self.duty.capacity());
        depth(LANES[3], TX, self.tx.capacity());
        depth(LANES[4], BULK, self.bulk.capacity());
    }
}
