//! The mempool's actor.
//!
//! Owns: the pool. Consumes: transactions from the API, from peers and from our own actors, and what
//! each commit included. Emits: candidates for a block to consensus, gossip to the network.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use protocol::digest::{Address, ChainId, TxId};
use protocol::signed::Verified;
use protocol::tx::{Tx, TxKind};
use protocol::units::Height;

use crate::catalogue::{ConsensusMail, MempoolMail, NetworkMail};
use crate::mailbox::{Outbox, Receive};
use crate::mempool::early::Early;
use crate::mempool::pool::{AccountView, Pool};
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Api,
    Actor,
    Peer,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Actor => "actor",
            Self::Peer => "peer",
        }
    }
}

/// See the module. The pool is ephemeral.
#[derive(Debug)]
pub(crate) struct MempoolActor {
    pool: Pool,
    chain: ChainId,
    snapshot: Arc<Snapshot>,
    verified: VerifiedTxs,
    taken: TakenJobs,
    /// Ephemeral, like the pool.
    early: Early<Source>,
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
        let chain = snapshot.state.chain_id();
        Self {
            pool: Pool::new(chain),
            chain,
            snapshot,
            verified,
            taken,
            early: Early::new(),
            consensus,
            network,
            metrics,
        }
    }

    fn offer(&mut self, tx: Verified<Tx>, source: Source) -> Admission {
        self.offer_since(self.snapshot.height, tx, source)
    }

    /// Offers what came at a height; what is too early is kept for the next block.
    fn offer_since(&mut self, came: Height, tx: Verified<Tx>, source: Source) -> Admission {
        let admission = self.try_offer(tx.clone(), source);
        self.metrics.count(source, &admission);
        self.count_waiting();
        if let Admission::Refused { code, .. } = &admission
            && Early::<Source>::is_early(tx.message(), code)
        {
            self.early.keep(came, tx, source);
        }
        admission
    }

    fn try_offer(&mut self, tx: Verified<Tx>, source: Source) -> Admission {
        let id = tx.tx_id(&self.chain);
        if self.pool.contains(&id) {
            return Admission::Known(id);
        }
        let allowed = match self.snapshot.state.admit(&tx) {
            Ok(allowed) => allowed,
            Err(error) => {
                return Admission::Refused {
                    code: error.code(),
                    detail: error.to_string(),
                };
            }
        };
        let tx = Arc::new(tx);
        let view = AccountView {
            nonce: allowed.next_nonce,
            balance: allowed.balance,
        };
        match self
            .pool
            .insert(tx.clone(), view, self.snapshot.height.next())
        {
            Ok(id) => {
                self.verified.insert(&tx.to_bytes(), tx.clone());
                if source == Source::Api && tx.message().body.kind() == TxKind::SubmitJob {
                    self.taken.insert(id);
                }
                // What a peer relayed the network forwards by itself.
                if source != Source::Peer {
                    let signed = Arc::new(Verified::clone(&tx).into_signed());
                    self.network.tell(NetworkMail::GossipTx(signed));
                }
                Admission::Admitted(id)
            }
            Err(refusal) => Admission::Refused {
                code: refusal.code(),
                detail: refusal.to_string(),
            },
        }
    }

    fn included(&mut self, ids: &[TxId], snapshot: Arc<Snapshot>) {
        for id in ids {
            self.pool.remove(id);
        }
        let state = &snapshot.state;
        self.pool
            .advance(snapshot.height.next(), |address| view_of(state, address));
        self.snapshot = snapshot;
        for (came, tx, source) in self.early.take(self.snapshot.height) {
            self.offer_since(came, tx, source);
        }
        self.count_waiting();
    }

    fn count_waiting(&self) {
        self.metrics
            .waiting
            .set(i64::try_from(self.pool.len()).unwrap_or(i64::MAX));
    }
}

fn view_of(state: &ledger::State, address: &Address) -> AccountView {
    let account = state.account(address);
    AccountView {
        nonce: account.nonce,
        balance: account.balance,
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
                let txs = self.pool.select(bytes_max);
                self.consensus
                    .tell(ConsensusMail::Taken { height, round, txs });
            }
            MempoolMail::Included { ids, snapshot } => self.included(&ids, snapshot),
            MempoolMail::Refused(ids) => {
                for id in &ids {
                    self.pool.remove(id);
                }
                self.count_waiting();
            }
            MempoolMail::Lookup { id, reply } => {
                let _gone = reply.send(self.pool.get(&id));
            }
            MempoolMail::NextNonce { account, reply } => {
                let view = view_of(&self.snapshot.state, &account);
                let _gone = reply.send(self.pool.next_nonce(&account, view));
            }
        }
    }
}
