//! What this node writes into its audit log, and what it does when it cannot.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use protocol::digest::Digest;
use protocol::units::Height;
use storage::audit::record::AuditEntry;
use storage::handle::StorageHandle;
use storage::state::ActorId;

use crate::clock::Wall;
use crate::supervisor::{Fatal, HaltReason, Supervisor};

/// Appends audit records; cheap to clone. A record that cannot be written stops the node.
#[derive(Clone, Debug)]
pub struct AuditTrail {
    storage: StorageHandle,
    wall: Wall,
    supervisor: Supervisor,
    records: IntCounterVec,
    failures: IntCounter,
}

impl AuditTrail {
    /// Registers the audit metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(
        storage: StorageHandle,
        wall: Wall,
        supervisor: Supervisor,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let records = IntCounterVec::new(
            Opts::new("palisade_audit_records_total", "Audit records written"),
            &["kind"],
        )?;
        let failures = IntCounter::new(
            "palisade_audit_write_failures_total",
            "Audit records that could not be written",
        )?;
        let all: [Box<dyn Collector>; 2] = [Box::new(records.clone()), Box::new(failures.clone())];
        for collector in all {
            registry.register(collector)?;
        }
        Ok(Self {
            storage,
            wall,
            supervisor,
            records,
            failures,
        })
    }

    /// Records that `actor` did `action` to `subject`; `body` is the hash of the details.
    pub fn record(&self, actor: &str, action: &'static str, subject: String, body: Digest) {
        let entry = AuditEntry {
            time: self.wall.now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject,
            body_hash: body,
        };
        let this = self.clone();
        let reply = Box::new(move |outcome: Result<u64, _>| match outcome {
            Ok(_) => this.records.with_label_values(&[action]).inc(),
            Err(error) => this.failed(&error),
        });
        if let Err(error) = self.storage.audit(entry, reply) {
            self.failed(&error);
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) {
        self.failures.inc();
        let detail = format!("audit record: {error}");
        self.supervisor
            .raise(Fatal::new(HaltReason::Durability, detail));
    }
}

/// Notes how far an actor has got; a lost note costs a replay, nothing else.
pub(crate) fn note(storage: &StorageHandle, actor: ActorId, height: Height) {
    let _replayed_instead = storage.note(actor, height, Box::new(|_| ()));
}

/// Who notes heights.
pub(crate) mod actor_id {
    use storage::state::ActorId;

    pub(crate) const STAKING: ActorId = ActorId(1);
    pub(crate) const ESCROW: ActorId = ActorId(2);
    pub(crate) const JOBS: ActorId = ActorId(3);
    pub(crate) const EXECUTION: ActorId = ActorId(4);
    pub(crate) const EVIDENCE: ActorId = ActorId(5);
}
