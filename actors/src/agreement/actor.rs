//! The consensus actor: the one writer.
//!
//! Owns: the consensus machine and the ledger's state. Consumes: what the network heard, timeouts,
//! what the mempool offers, what storage made durable. Emits: messages to the network, records and
//! blocks to storage, and after each commit the snapshot, the events of each domain, and the ids that
//! were included. The verdict on a block is a direct call into the ledger; everything else is a
//! letter, so the machine never waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use consensus::{Effect, Halt, Input, Judgement, Machine, Peer, WalSeq, Window};
use ledger::BlockInvalid;
use net::{ConsensusEvent, Offence, PeerId};
use protocol::codec::encode;
use protocol::digest::{BlockId, ChainId, TxId, ValidatorId};
use protocol::keys::{PublicKey, SecretKey};
use protocol::signed::Verified;
use protocol::tx::Tx;
use protocol::units::{Height, Round};
use protocol::vote::CommitCertificate;
use storage::blocks::CommittedBlock;
use storage::handle::StorageHandle;
use storage::journal::Durability;
use storage::request::JournalError;
use tokio::sync::watch;

use crate::agreement::blocks::{Bench, OFFERED_BYTES_MAX, Refusal, Tried};
use crate::agreement::boot;
use crate::agreement::heard::{self, Heard};
use crate::agreement::metrics::ConsensusMetrics;
use crate::agreement::publish::Publisher;
use crate::agreement::refetch::Refetch;
use crate::catalogue::{ConsensusMail, MempoolMail, NetworkMail};
use crate::clock::{Timers, Wall};
use crate::mailbox::{Outbox, Receive};
use crate::supervisor::{Fatal, HaltReason, Supervisor};
use crate::tamper::TamperSwitch;
use crate::wiring::TimerKey;

/// What the consensus actor is made of.
#[derive(Debug)]
pub(crate) struct ConsensusParts {
    pub(crate) chain: ChainId,
    pub(crate) consensus_key: Option<PublicKey>,
    pub(crate) session: Option<Arc<SecretKey>>,
    pub(crate) storage: StorageHandle,
    pub(crate) own: Outbox<ConsensusMail>,
    pub(crate) mempool: Outbox<MempoolMail>,
    pub(crate) network: Outbox<NetworkMail>,
    pub(crate) publisher: Publisher,
    pub(crate) window: watch::Sender<Arc<Window>>,
    pub(crate) refetch: Refetch,
    pub(crate) timers: Timers<TimerKey>,
    pub(crate) wall: Wall,
    pub(crate) tamper: TamperSwitch,
    pub(crate) metrics: ConsensusMetrics,
    pub(crate) supervisor: Supervisor,
}

/// A decided block on its way into the block log.
#[derive(Debug)]
struct Deciding {
    tried: Tried,
    certificate: Arc<CommitCertificate>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ConsensusActor {
    parts: ConsensusParts,
    machine: Machine,
    bench: Bench,
    deciding: Option<Deciding>,
    /// Effects of the boot, performed once the actor runs.
    first: Vec<Effect>,
    /// The last round that was offered again, so that one round is offered once per rebroadcast.
    offered: Option<(Height, Round)>,
}

impl ConsensusActor {
    pub(crate) fn new(
        parts: ConsensusParts,
        machine: Machine,
        bench: Bench,
        first: Vec<Effect>,
    ) -> Self {
        Self {
            parts,
            machine,
            bench,
            deciding: None,
            first,
            offered: None,
        }
    }

    /// Feeds inputs and performs what follows, until nothing follows at once.
    fn drive(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let mut queue: VecDeque<Input> = inputs.into_iter().collect();
        while let Some(input) = queue.pop_front() {
            let effects = self.machine.step(input);
            self.perform(effects, &mut queue);
        }
        self.offered = None;
        self.parts
            .window
            .send_replace(Arc::new(self.machine.window()));
        self.parts
            .metrics
            .at(self.machine.height(), self.machine.round());
    }

    fn perform(&mut self, effects: Vec<Effect>, queue: &mut VecDeque<Input>) {
        for effect in effects {
            match effect {
                Effect::FetchBody { id, peer } => self.fetch_body(id, &peer),
                Effect::Build { height, round } => {
                    self.parts.mempool.tell(MempoolMail::Take {
                        height,
                        round,
                        bytes_max: OFFERED_BYTES_MAX,
                    });
                }
                Effect::Judge { height, id, block } => {
                    queue.push_back(self.judge(height, id, &block));
                }
                Effect::SetTimer(id, after) => {
                    self.parts.timers.set(TimerKey::Consensus(id), after);
                }
                Effect::CancelTimer(id) => self.parts.timers.cancel(TimerKey::Consensus(id)),
                Effect::Wal { records, seq, .. } => self.append(records, seq),
                Effect::Commit {
                    block, certificate, ..
                } => self.commit(&block, certificate),
                Effect::Broadcast {
                    message, delivery, ..
                } => self.broadcast(message, delivery),
                Effect::AskHeight { peer, height } => self.ask_height(&peer, height),
                Effect::Contradiction(pair) => self.parts.publisher.contradiction(&pair),
                Effect::Freeze(conflict) => self.freeze(&conflict),
                Effect::Halt(halt) => self.halt(&halt),
            }
        }
    }

    // ---- what the machine asks for --------------------------------------------------------

    fn fetch_body(&self, id: BlockId, peer: &Peer) {
        let Ok(peer) = PeerId::from_bytes(peer.as_bytes()) else {
            return;
        };
        // A request that finds no room is repeated by the machine's own timer.
        let _asked_again = self
            .parts
            .network
            .try_tell(NetworkMail::FetchBody { id, peer });
    }

    fn ask_height(&self, peer: &Peer, height: Height) {
        let Ok(peer) = PeerId::from_bytes(peer.as_bytes()) else {
            return;
        };
        let _asked_again = self
            .parts
            .network
            .try_tell(NetworkMail::AskHeight { peer, height });
    }

    fn judge(&mut self, height: Height, id: BlockId, block: &[u8]) -> Input {
        let verdict = match self.bench.judge(id, block) {
            Ok(tried) => {
                let time = tried.block.header.time_ms.0;
                let early_by_ms = time.saturating_sub(self.parts.wall.now().0);
                Judgement::Valid { early_by_ms }
            }
            Err(Refusal::Rules(BlockInvalid::Breach(breach))) => {
                self.raise(HaltReason::InvariantBroken, breach.to_string());
                Judgement::Invalid
            }
            Err(refusal) => {
                tracing::info!(%height, block = %id, %refusal, "block_refused");
                Judgement::Invalid
            }
        };
        Input::Verdict {
            height,
            id,
            verdict,
        }
    }

    fn append(&self, records: Vec<consensus::Record>, seq: WalSeq) {
        let entries = records.into_iter().map(boot::entry).collect();
        let own = self.parts.own.clone();
        let reply = Box::new(move |outcome: Result<u64, JournalError>| {
            let exit = heard::exit_of(&outcome);
            let outcome = outcome.map_err(|error| error.to_string());
            own.tell(ConsensusMail::WalDurable {
                seq: seq.0,
                outcome,
                exit,
            });
        });
        if let Err(error) = self.parts.storage.wal(entries, Durability::Now, reply) {
            self.raise(HaltReason::Stuck, error.to_string());
        }
    }

    fn commit(&mut self, block: &Arc<[u8]>, certificate: CommitCertificate) {
        let (height, id) = (certificate.height, certificate.block);
        let tried = match self.bench.judge(id, block) {
            Ok(tried) => tried,
            Err(refusal) => {
                let detail = format!("block {id} at height {height} is decided, but {refusal}");
                return self.raise(HaltReason::Divergence, detail);
            }
        };
        let applied = &tried.applied;
        let commit = boot::state_commit(&applied.state, &applied.changes, applied.events.clone());
        let certified = encode(&certificate);
        let stored = CommittedBlock {
            height,
            id,
            block: block.to_vec(),
            certificate: certified,
        };
        let own = self.parts.own.clone();
        let reply = Box::new(move |outcome: Result<(), JournalError>| {
            let exit = heard::exit_of(&outcome);
            let outcome = outcome.map_err(|error| error.to_string());
            own.tell(ConsensusMail::BlockDurable {
                height,
                outcome,
                exit,
            });
        });
        self.deciding = Some(Deciding {
            tried,
            certificate: Arc::new(certificate),
        });
        if let Err(error) = self.parts.storage.commit(stored, commit, reply) {
            self.raise(HaltReason::Stuck, error.to_string());
        }
    }

    fn broadcast(&mut self, message: consensus::Outgoing, delivery: consensus::Delivery) {
        if delivery == consensus::Delivery::Again {
            let at = heard::place_of(&message);
            if self.offered != Some(at) {
                self.offered = Some(at);
                let (height, round) = at;
                self.parts
                    .network
                    .tell(NetworkMail::OfferRound { height, round });
            }
            return;
        }
        let session = self.parts.session.as_deref();
        let Some(message) = heard::sealed(message, session, &self.parts.chain) else {
            return;
        };
        let messages = match self.parts.tamper.at(self.machine.height()) {
            Some((tamper, means)) => tamper.broadcast(message, means),
            None => vec![message],
        };
        for message in messages {
            self.parts.network.tell(NetworkMail::Broadcast(message));
        }
    }

    fn freeze(&self, conflict: &consensus::effect::Conflict) {
        let evidence = [&conflict.first, &conflict.second].map(|c| heard::hex_of(&encode(c)));
        let detail = format!(
            "blocks {} and {} are both certified at height {}",
            conflict.first.block, conflict.second.block, conflict.first.height
        );
        self.parts.supervisor.raise(Fatal {
            evidence: evidence.into(),
            height: Some(conflict.first.height.0),
            ..Fatal::new(HaltReason::Fork, detail)
        });
    }

    fn halt(&self, halt: &Halt) {
        self.raise(HaltReason::of_exit_code(halt.exit_code()), halt.to_string());
    }

    fn raise(&self, reason: HaltReason, detail: String) {
        let height = Some(self.machine.height().0);
        self.parts.supervisor.raise(Fatal {
            height,
            ..Fatal::new(reason, detail)
        });
    }

    // ---- what comes back ------------------------------------------------------------------

    fn built(&mut self, height: Height, round: Round, txs: &[Arc<Verified<Tx>>]) {
        let stale = height != self.machine.height() || self.deciding.is_some();
        let Some(builder) = self.builder().filter(|_| !stale) else {
            return;
        };
        let built = match self.bench.build(builder, self.parts.wall.now(), txs) {
            Ok(built) => built,
            Err(breach) => return self.raise(HaltReason::InvariantBroken, breach.to_string()),
        };
        if !built.dropped.is_empty() {
            self.parts.mempool.tell(MempoolMail::Refused(built.dropped));
        }
        let block = match self.parts.tamper.at(height) {
            Some((tamper, means)) => tamper.block(built.block, means),
            None => built.block,
        };
        let (id, block) = (block.id(), block.to_bytes().into());
        self.drive([Input::Built {
            height,
            round,
            id,
            block,
        }]);
    }

    /// Which validator we are, if any.
    fn builder(&self) -> Option<ValidatorId> {
        self.bench.state().key_holder(&self.parts.consensus_key?)
    }

    fn wal_durable(&mut self, seq: u64, outcome: Result<u64, String>, exit: Option<u8>) {
        match outcome {
            Ok(_) => self.drive([Input::Durable(WalSeq(seq))]),
            Err(detail) => self.storage_failed(detail, exit),
        }
    }

    fn storage_failed(&self, detail: String, exit: Option<u8>) {
        let reason = exit.map_or(HaltReason::Durability, HaltReason::of_exit_code);
        self.raise(reason, detail);
    }

    /// The block is in the log: from here on it has happened.
    fn block_durable(&mut self, height: Height) {
        let Some(Deciding { tried, certificate }) = self.deciding.take() else {
            return self.raise(HaltReason::Stuck, format!("block {height} was not awaited"));
        };
        let applied = &tried.applied;
        self.bench.advance(applied.state.clone());
        self.parts.refetch.ask();
        let ids: Vec<TxId> = applied.outcomes.iter().map(|outcome| outcome.id).collect();
        self.parts
            .metrics
            .committed(&tried.block.header, &certificate, applied);
        let snapshot = self.parts.publisher.committed(&tried, certificate);
        self.parts.mempool.tell(MempoolMail::Included {
            ids,
            snapshot: snapshot.clone(),
        });
        self.parts
            .publisher
            .tell_domains(&snapshot, &applied.events);
        self.parts
            .publisher
            .tell_tamper(&self.parts.tamper, &snapshot, self.builder());
        match applied.state.validator_set(height.plus(2)) {
            Some(set) => self.drive([Input::Committed {
                height,
                set: set.clone(),
            }]),
            None => self.raise(
                HaltReason::InvariantBroken,
                format!("no set for {height} + 2"),
            ),
        }
    }

    fn heard(&mut self, event: ConsensusEvent) {
        let Some(event) = self.parts.refetch.heard(event, self.bench.state()) else {
            return;
        };
        let Heard { inputs, liar } = heard::inputs(event);
        if let Some(peer) = liar {
            let offence = Offence::LyingBlock;
            self.parts
                .network
                .tell(NetworkMail::Report { peer, offence });
        }
        if !inputs.is_empty() {
            self.drive(inputs);
        }
    }
}

/// How long one letter may take before it is worth a line in the log.
const SLOW: Duration = Duration::from_millis(500);

impl Receive for ConsensusActor {
    type Message = ConsensusMail;

    fn started(&mut self) {
        let mut queue = VecDeque::new();
        let first = std::mem::take(&mut self.first);
        self.perform(first, &mut queue);
        self.drive(queue);
    }

    fn receive(&mut self, message: ConsensusMail) {
        let began = crate::clock::monotonic();
        let name = crate::mailbox::Letter::name(&message);
        match message {
            ConsensusMail::Heard(event) => self.heard(*event),
            ConsensusMail::Timeout(id) => self.drive([Input::Timeout(id)]),
            ConsensusMail::Taken { height, round, txs } => self.built(height, round, &txs),
            ConsensusMail::WalDurable { seq, outcome, exit } => {
                self.wal_durable(seq, outcome, exit);
            }
            ConsensusMail::BlockDurable {
                height,
                outcome: Ok(()),
                ..
            } => {
                self.block_durable(height);
            }
            ConsensusMail::BlockDurable {
                outcome: Err(detail),
                exit,
                ..
            } => {
                self.storage_failed(detail, exit);
            }
        }
        if began.elapsed() > SLOW {
            tracing::warn!(letter = name, took = ?began.elapsed(), "slow_letter");
        }
    }
}
