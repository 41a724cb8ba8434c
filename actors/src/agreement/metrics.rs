//! What consensus shows of itself.

use ledger::Applied;
use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};
use protocol::block::Header;
use protocol::units::{Height, Round};
use protocol::vote::CommitCertificate;

/// Metrics of the consensus actor.
#[derive(Clone, Debug)]
pub(crate) struct ConsensusMetrics {
    height: IntGauge,
    round: IntGauge,
    committed_at: Gauge,
    interval: Histogram,
    rounds_failed: IntCounter,
    online_stake: Gauge,
    missed: IntCounter,
    own_key: Option<protocol::keys::PublicKey>,
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Metrics are floats; what is lost above 2^53 is lost to graphs only.
#[expect(
    clippy::cast_precision_loss,
    reason = "graphs do not need the last bits"
)]
const fn float(value: u64) -> f64 {
    value as f64
}

impl ConsensusMetrics {
    /// Registers the consensus metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub(crate) fn new(
        registry: &Registry,
        own_key: Option<protocol::keys::PublicKey>,
    ) -> Result<Self, prometheus::Error> {
        let interval = HistogramOpts::new(
            "palisade_consensus_commit_interval_seconds",
            "Header time between a block and the one before",
        )
        .buckets(vec![0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0]);
        let metrics = Self {
            height: IntGauge::new("palisade_consensus_height", "Height being worked on")?,
            round: IntGauge::new("palisade_consensus_round", "Round being worked on")?,
            committed_at: Gauge::new(
                "palisade_consensus_last_commit_timestamp_seconds",
                "Header time of the last committed block",
            )?,
            interval: Histogram::with_opts(interval)?,
            rounds_failed: IntCounter::new(
                "palisade_consensus_rounds_failed_total",
                "Rounds before the deciding one",
            )?,
            online_stake: Gauge::new(
                "palisade_consensus_online_stake_ratio",
                "Share of power that signed the last commit",
            )?,
            missed: IntCounter::new(
                "palisade_consensus_missed_signatures_total",
                "Commits of our set without our signature",
            )?,
            own_key,
        };
        let all: [Box<dyn Collector>; 7] = [
            Box::new(metrics.height.clone()),
            Box::new(metrics.round.clone()),
            Box::new(metrics.committed_at.clone()),
            Box::new(metrics.interval.clone()),
            Box::new(metrics.rounds_failed.clone()),
            Box::new(metrics.online_stake.clone()),
            Box::new(metrics.missed.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        Ok(metrics)
    }

    pub(crate) fn at(&self, height: Height, round: Round) {
        self.height.set(number(height.0));
        self.round.set(number(u64::from(round.0)));
    }

    pub(crate) fn committed(
        &self,
        header: &Header,
        certificate: &CommitCertificate,
        applied: &Applied,
    ) {
        let now = float(header.time_ms.0) / 1_000.0;
        let before = self.committed_at.get();
        if before > 0.0 {
            self.interval.observe(now - before);
        }
        self.committed_at.set(now);
        self.rounds_failed.inc_by(u64::from(certificate.round.0));
        let Some(set) = applied.state.validator_set(header.height) else {
            return;
        };
        let signers = certificate.signatures.iter();
        let power = signers
            .filter_map(|signature| set.get_by_key(&signature.signer))
            .fold(0_u64, |sum, member| sum.saturating_add(member.power));
        self.online_stake
            .set(float(power) / float(set.total_power().max(1)));
        let own = self.own_key.filter(|key| set.get_by_key(key).is_some());
        if own.is_some_and(|key| certificate.signatures.iter().all(|s| s.signer != key)) {
            self.missed.inc();
        }
    }
}
