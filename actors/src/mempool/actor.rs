//! The mempool's actor.
//!
//! Owns: the pool. Consumes: transactions from the API, from peers and from our own actors, and what
//! each commit included. Emits: candidates for a block to consensus, gossip to the network.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use protocol::digest::TxId;
use protocol::signed::Verified;
use protocol::tx::{Tx, TxKind};

use crate::catalogue::{ConsensusMail, MempoolMail, NetworkMail};
use crate::mailbox::{Outbox, Receive};
use crate::mempool::gate::{Gate, Offered, Source, view_of};
use crate::mempool::{Admission, TakenJobs};
use crate::snapshot::Snapshot;
use crate::verified::VerifiedTxs;

/// Metrics of the mempool.
#[derive(Clone, Debug)]
pub struct MempoolMetrics {
    waiting: IntGauge,
    admissions: IntCounterVec,
}

impl MempoolMetrics {
    /// Registers the mempool metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            waiting: IntGauge::new("palisade_mempool_transactions", "Transactions waiting")?,
            admissions: IntCounterVec::new(
                Opts::new("palisade_mempool_admissions_total", "Transactions offered"),
                &["source", "outcome"],
            )?,
        };
        let all: [Box<dyn Collector>; 2] = [
            Box::new(metrics.waiting.clone()),
            Box::new(metrics.admissions.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        for source in [Source::Api, Source::Actor, Source::Peer] {
            for outcome in ["admitted", "known", "refused"] {
                metrics
                    .admissions
                    .with_label_values(&[source.name(), outcome]);
            }
        }
        Ok(metrics)
    }

    fn count(&self, source: Source, admission: &Admission) {
        let outcome = match admission {
            Admission::Admitted(_) => "admitted",
            Admission::Known(_) => "known",
            Admission::Refused { .. } => "refused",
        };
        self.admissions
            .with_label_values(&[source.name(), outcome])
            .inc();
    }
}

/// See the module. The pool is ephemeral.
#[derive(Debug)]
pub(crate) struct MempoolActor {
    gate: Gate,
    snapshot: Arc<Snapshot>,
    verified: VerifiedTxs,
    taken: TakenJobs,
    consensus: Outbox<ConsensusMail>,
    network: Outbox<NetworkMail>,
    metrics: MempoolMetrics,
}

impl MempoolActor {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        verified: VerifiedTxs,
        taken: TakenJobs,
        consensus: Outbox<ConsensusMail>,
        network: Outbox<NetworkMail>,
        metrics: MempoolMetrics,
    ) -> Self {
        Self {
            gate: Gate::new(snapshot.state.chain_id()),
            snapshot,
            verified,
            taken,
            consensus,
            network,
            metrics,
        }
    }

    fn offer(&mut self, tx: Verified<Tx>, source: Source) -> Admission {
        let offered = self.gate.offer(&self.snapshot.state, tx, source);
        self.perform(&offered);
        self.count_waiting();
        offered.admission
    }

    fn perform(&self, offered: &Offered) {
        self.metrics.count(offered.source, &offered.admission);
        let (Some(tx), Admission::Admitted(id)) = (&offered.taken, &offered.admission) else {
            return;
        };
        self.verified.insert(*id, tx.clone());
        if offered.source == Source::Api && tx.message().body.kind() == TxKind::SubmitJob {
            self.taken.insert(*id);
        }
        // What a peer relayed the network forwards by itself.
        if offered.source != Source::Peer {
            let signed = Arc::new(Verified::clone(tx).into_signed());
            self.network.tell(NetworkMail::GossipTx(signed));
        }
    }

    fn included(&mut self, ids: &[TxId], snapshot: Arc<Snapshot>) {
        self.verified.remove(ids);
        let again = self.gate.included(ids, &snapshot.state);
        self.snapshot = snapshot;
        again.iter().for_each(|offered| self.perform(offered));
        self.count_waiting();
    }

    fn count_waiting(&self) {
        self.metrics
            .waiting
            .set(i64::try_from(self.gate.pool().len()).unwrap_or(i64::MAX));
    }
}

impl Receive for MempoolActor {
    type Message = MempoolMail;

    fn receive(&mut self, message: MempoolMail) {
        match message {
            MempoolMail::Submit { tx, reply } => {
                let admission = self.offer(*tx, Source::Api);
                // Whoever asked may have gone; the transaction is here all the same.
                let _gone = reply.send(admission);
            }
            MempoolMail::Duty(tx) => {
                if let Admission::Refused { code, detail } = self.offer(*tx, Source::Actor) {
                    tracing::debug!(code, detail, "duty_refused");
                }
            }
            MempoolMail::Relayed(tx) => {
                self.offer(*tx, Source::Peer);
            }
            MempoolMail::Take {
                height,
                round,
                bytes_max,
            } => {
                let txs = self.gate.pool().select(bytes_max);
                self.consensus
                    .tell(ConsensusMail::Taken { height, round, txs });
            }
            MempoolMail::Included { ids, snapshot } => self.included(&ids, snapshot),
            MempoolMail::Refused(ids) => {
                self.gate.forget(&ids);
                self.count_waiting();
            }
            MempoolMail::Lookup { id, reply } => {
                let _gone = reply.send(self.gate.pool().get(&id));
            }
            MempoolMail::NextNonce { account, reply } => {
                let view = view_of(&self.snapshot.state, &account);
                let _gone = reply.send(self.gate.pool().next_nonce(&account, view));
            }
        }
    }
}
