//! What staking does: publishes, admits, writes down.

use net::{Member, NetHandle};
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use protocol::digest::ValidatorId;
use protocol::keys::PublicKey;
use tokio::sync::watch;

use crate::audit::{AuditTrail, actor_id};
use crate::snapshot::Snapshot;
use crate::staking::workflow::{Facts, Intent};

/// Metrics of the staking actor.
#[derive(Clone, Debug)]
pub(crate) struct StakingMetrics {
    state: IntGaugeVec,
    stake: IntGauge,
    slashes: IntCounterVec,
    slashed: IntCounterVec,
}

impl StakingMetrics {
    /// Registers the staking metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            state: IntGaugeVec::new(
                Opts::new(
                    "palisade_validator_state",
                    "1 for the state our validator is in",
                ),
                &["state"],
            )?,
            stake: IntGauge::new("palisade_validator_stake_upal", "Stake of our validator")?,
            slashes: IntCounterVec::new(
                Opts::new("palisade_slashing_slashes_total", "Slashes seen"),
                &["offence", "self"],
            )?,
            slashed: IntCounterVec::new(
                Opts::new(
                    "palisade_slashing_slashed_upal_total",
                    "Stake taken by slashes seen",
                ),
                &["offence"],
            )?,
        };
        let all: [Box<dyn Collector>; 4] = [
            Box::new(metrics.state.clone()),
            Box::new(metrics.stake.clone()),
            Box::new(metrics.slashes.clone()),
            Box::new(metrics.slashed.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        for offence in [
            "double_vote",
            "double_proposal",
            "wrong_result",
            "wrong_juror",
        ] {
            metrics.slashed.with_label_values(&[offence]);
            for own in ["true", "false"] {
                metrics.slashes.with_label_values(&[offence, own]);
            }
        }
        Ok(metrics)
    }
}

/// What the staking actor acts with.
#[derive(Debug)]
pub(crate) struct StakingEffects {
    pub(crate) consensus_key: Option<PublicKey>,
    pub(crate) net: NetHandle,
    pub(crate) standing: watch::Sender<Facts>,
    pub(crate) audit: AuditTrail,
    pub(crate) metrics: StakingMetrics,
}

impl StakingEffects {
    /// Which validator votes with our key, if one was registered.
    pub(crate) fn own(&self, snapshot: &Snapshot) -> Option<ValidatorId> {
        snapshot.state.key_holder(&self.consensus_key?)
    }

    pub(crate) fn perform(&self, intent: Intent, snapshot: &Snapshot) {
        match intent {
            Intent::Admit => self.admit(snapshot),
            Intent::Publish(facts) => self.publish(facts),
            Intent::Audit { action, body } => {
                let subject = self
                    .own(snapshot)
                    .map(|own| own.to_text())
                    .unwrap_or_default();
                self.audit.record("staking", action, subject, body);
            }
            Intent::Slashed {
                offence,
                amount,
                own,
            } => {
                let own = if own { "true" } else { "false" };
                self.metrics
                    .slashes
                    .with_label_values(&[offence.name(), own])
                    .inc();
                self.metrics
                    .slashed
                    .with_label_values(&[offence.name()])
                    .inc_by(amount.0);
            }
            Intent::Note(height) => self.audit.note(actor_id::STAKING, height),
        }
    }

    /// All validators that are not out for ever: one in jail still has to hear that it may leave.
    fn admit(&self, snapshot: &Snapshot) {
        let rows = snapshot.state.validators.iter();
        let members = rows
            .filter(|(_, row)| row.exit.is_none())
            .map(|(id, row)| Member {
                validator: *id,
                session_key: row.session_pk,
            })
            .collect();
        if let Err(error) = self.net.admit(members) {
            tracing::warn!(%error, "admit_failed");
        }
    }

    fn publish(&self, facts: Facts) {
        self.metrics.state.reset();
        self.metrics
            .state
            .with_label_values(&[facts.standing.name()])
            .set(1);
        self.metrics
            .stake
            .set(i64::try_from(facts.bonded.0).unwrap_or(i64::MAX));
        self.standing.send_replace(facts);
    }
}
