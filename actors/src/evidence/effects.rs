//! What evidence does: keeps pairs, tells peers, reports.

use std::collections::BTreeSet;

use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use protocol::digest::{Digest, EvidenceId};
use protocol::signed::Signed;
use protocol::units::Height;
use protocol::vote::Pair;

use crate::audit::{AuditTrail, actor_id};
use crate::catalogue::{EvidenceMail, NetworkMail};
use crate::duties::Duties;
use crate::evidence::pairs;
use crate::evidence::workflow::{Intent, Proof};
use crate::mailbox::Outbox;
use crate::supervisor::{Fatal, HaltReason, Supervisor};

/// Metrics of the evidence actor.
#[derive(Clone, Debug)]
pub(crate) struct EvidenceMetrics {
    evidence: IntCounterVec,
    open: IntGauge,
}

impl EvidenceMetrics {
    /// Registers the evidence metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            evidence: IntCounterVec::new(
                Opts::new("palisade_slashing_evidence_total", "Contradicting pairs"),
                &["offence", "outcome"],
            )?,
            open: IntGauge::new("palisade_evidence_open", "Pairs not yet punished")?,
        };
        let all: [Box<dyn Collector>; 2] = [
            Box::new(metrics.evidence.clone()),
            Box::new(metrics.open.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        for offence in ["double_vote", "double_proposal"] {
            for outcome in ["kept", "submitted"] {
                metrics.evidence.with_label_values(&[offence, outcome]);
            }
        }
        Ok(metrics)
    }
}

/// What the evidence actor acts with.
#[derive(Debug)]
pub(crate) struct EvidenceEffects {
    pub(crate) duties: Duties,
    pub(crate) network: Outbox<NetworkMail>,
    pub(crate) own: Outbox<EvidenceMail>,
    pub(crate) audit: AuditTrail,
    pub(crate) supervisor: Supervisor,
    pub(crate) metrics: EvidenceMetrics,
    pub(crate) height: Height,
    /// Pairs that storage was given to keep.
    pub(crate) taken: BTreeSet<EvidenceId>,
}

impl EvidenceEffects {
    pub(crate) fn at(&mut self, height: Height) {
        self.height = height;
    }

    pub(crate) fn open(&self, count: usize) {
        self.metrics
            .open
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Asked again at every height until storage has taken it: a full journal takes nothing.
    fn keep(&mut self, id: EvidenceId, proof: &Proof) {
        if self.taken.contains(&id) {
            return;
        }
        let bytes = pairs::to_disk(&proof.pair);
        let kind = proof.pair.kind();
        let own = self.own.clone();
        let supervisor = self.supervisor.clone();
        let reply = Box::new(move |outcome: Result<(), _>| match outcome {
            Ok(()) => own.tell(EvidenceMail::Kept(id)),
            Err(error) => {
                let detail = format!("evidence {id}: {error}");
                supervisor.raise(Fatal::new(HaltReason::Durability, detail));
            }
        });
        if let Err(error) = self.duties.storage.keep(id.0, bytes, reply) {
            tracing::warn!(%error, "pair_not_kept");
            return;
        }
        self.taken.insert(id);
        self.metrics
            .evidence
            .with_label_values(&[kind.name(), "kept"])
            .inc();
    }

    fn gossip(&self, proof: &Proof) {
        let Some(session) = &self.duties.session else {
            return;
        };
        let (first, second) = pairs::envelopes(&proof.pair);
        let (height, round) = (proof.pair.height(), proof.pair.round());
        let pair = Pair {
            height,
            round,
            first,
            second,
            signer: session.public(),
        };
        let signed = Signed::sign(pair, session, &self.duties.chain);
        self.network.tell(NetworkMail::GossipPair(Box::new(signed)));
    }

    fn submit(&self, proof: &Proof) {
        let (body, valid_until) = pairs::report(&proof.pair, self.height);
        self.metrics
            .evidence
            .with_label_values(&[proof.pair.kind().name(), "submitted"])
            .inc();
        self.duties.submit(body, valid_until, self.height);
    }

    pub(crate) fn perform(&mut self, intent: Intent) {
        match intent {
            Intent::Keep(id, proof) => self.keep(id, &proof),
            Intent::Gossip(proof) => self.gossip(&proof),
            Intent::Submit(proof) => self.submit(&proof),
            Intent::Done(id) => {
                self.taken.remove(&id);
                // A pair that is offered again after a restart is refused as known.
                let _offered_again = self.duties.storage.done(id.0, Box::new(|_| ()));
            }
            Intent::Audit(action, id) => {
                self.audit
                    .record("evidence", action, id.to_string(), Digest::ZERO);
            }
            Intent::OwnKey(proof) => self.own_key(&proof),
            Intent::Note(height) => self.audit.note(actor_id::EVIDENCE, height),
        }
    }

    /// Others can prove that our key contradicted itself: somebody else signs with it. Only a
    /// rehearsed liar goes on.
    fn own_key(&self, proof: &Proof) {
        let spared = self.duties.tamper.name().is_some_and(|_| {
            self.duties
                .tamper
                .at(Height::MAX)
                .is_some_and(|(tamper, _)| tamper.outlives_own_evidence())
        });
        if spared {
            return;
        }
        let (first, second) = pairs::envelopes(&proof.pair);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.supervisor.raise(Fatal {
            height: Some(proof.pair.height().0),
            evidence: vec![hex(&first), hex(&second)],
            ..Fatal::new(
                HaltReason::OwnKeyInEvidence,
                "our consensus key signed two values",
            )
        });
    }
}
