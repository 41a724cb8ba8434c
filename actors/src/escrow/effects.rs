//! What escrow does: writes receipts, counts flows.

use prometheus::core::Collector;
use prometheus::{IntCounterVec, Opts, Registry};
use protocol::digest::Address;
use protocol::events::Event;
use protocol::keys::PublicKey;

use crate::audit::{AuditTrail, actor_id};
use crate::catalogue::DomainEvents;
use crate::escrow::workflow::Intent;
use crate::snapshot::Snapshot;

/// Metrics of the escrow actor.
#[derive(Clone, Debug)]
pub(crate) struct EscrowMetrics {
    flow: IntCounterVec,
}

impl EscrowMetrics {
    /// Registers the escrow metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let flow = IntCounterVec::new(
            Opts::new(
                "palisade_escrow_flow_upal_total",
                "Money through escrow since the start",
            ),
            &["kind"],
        )?;
        let collector: Box<dyn Collector> = Box::new(flow.clone());
        registry.register(collector)?;
        for kind in ["locked", "released", "refunded", "burned"] {
            flow.with_label_values(&[kind]);
        }
        Ok(Self { flow })
    }
}

/// What the escrow actor acts with.
#[derive(Debug)]
pub(crate) struct EscrowEffects {
    pub(crate) consensus_key: Option<PublicKey>,
    pub(crate) audit: AuditTrail,
    pub(crate) metrics: EscrowMetrics,
}

impl EscrowEffects {
    /// Who is paid for what our validator does.
    pub(crate) fn operator(&self, snapshot: &Snapshot) -> Option<Address> {
        let own = snapshot.state.key_holder(&self.consensus_key?)?;
        snapshot.state.validators.get(&own).map(|row| row.operator)
    }

    pub(crate) fn measure(&self, committed: &DomainEvents) {
        for event in &committed.events {
            let (kind, amount) = match event {
                Event::Locked { amount, .. } => ("locked", amount),
                Event::Released { amount, .. } => ("released", amount),
                Event::Refunded { amount, .. } => ("refunded", amount),
                Event::Burned { amount, .. } => ("burned", amount),
                _ => continue,
            };
            self.metrics
                .flow
                .with_label_values(&[kind])
                .inc_by(amount.0);
        }
    }

    pub(crate) fn perform(&self, intent: Intent) {
        match intent {
            Intent::Receipt { action, job, body } => {
                self.audit.record("escrow", action, job.to_string(), body);
            }
            Intent::Note(height) => self.audit.note(actor_id::ESCROW, height),
        }
    }
}
