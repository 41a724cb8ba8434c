//! Layer 2: the real ledger, the real rules of the mempool and the five real workflows on every node,
//! with a modelled sandbox, modelled disks, and people outside who pay, regret, spam and cheat.
//!
//! ```text
//!   scene, shared    what a seed draws; what all nodes share
//!   clients/         those outside
//!   (this file)      one node as the world sees it: builds, judges, commits, hears
//!   duties           the five workflows, and what is done about their intents
//!   host, conduct    the sandbox of a host; what hostile seat holders do instead
//!   lies             forged reports and junk
//!   oracle/          what must hold after every block
//! ```
//! Invariants: a node decides nothing here that production code decides; everything drawn comes from
//! the world's one source of chance.
//!
//! It is not: a second ledger. Only `oracle/` computes anything twice, and on purpose.

mod clients;
mod conduct;
mod disk;
mod duties;
mod host;
mod lies;
mod oracle;
mod scene;
mod served;
mod shared;
mod wallet;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actors::agreement::blocks::{Bench, OFFERED_BYTES_MAX, Refusal};
use actors::mempool::Admission;
use actors::mempool::gate::{Gate, Offered, Source};
use consensus::Judgement;
use ledger::staking::Exit;
use ledger::{Applied, BlockInvalid};
use protocol::block::{Block, Body};
use protocol::digest::{ChainId, Digest, TxId, ValidatorId};
use protocol::evidence::ContradictingPair;
use protocol::keys::PublicKey;
use protocol::signed::Verified;
use protocol::tx::Tx;
use protocol::units::{Height, Round, TimeMs};
use protocol::validators::ValidatorSet;

use crate::sim::app::{App, Broken, Committed, Cx, Files, Replay, Sender};
use crate::sim::keys::Keyring;
use crate::sim::plan::{Plan, Role};
use crate::sim::rng::Rng;
use duties::Duties;
pub(super) use lies::{forged_pair, noise};
use oracle::Seen;
pub use shared::Shared;
use wire::Heard;

/// One node above agreement.
#[derive(Debug)]
pub struct Ledger {
    own: ValidatorId,
    bench: Bench,
    gate: Gate,
    duties: Duties,
    accused: BTreeSet<PublicKey>,
}

fn broken(oracle: &'static str, text: impl ToString) -> Broken {
    Broken::new(oracle, text.to_string())
}

impl From<oracle::Broken> for Broken {
    fn from(found: oracle::Broken) -> Self {
        Self::new(found.0, found.1)
    }
}

impl Ledger {
    /// Sends on what the pool took from this node's own actors or clients.
    fn passed_on(&self, shared: &Shared, cx: &mut Cx<'_>, offered: &Offered) {
        let (Some(tx), Admission::Admitted(id)) = (&offered.taken, &offered.admission) else {
            return;
        };
        shared.verified.insert(*id, tx.clone());
        if offered.source != Source::Peer {
            cx.broadcast(wire::tx(&tx.to_bytes()));
        }
    }

    fn offer(&mut self, shared: &Shared, cx: &mut Cx<'_>, tx: Verified<Tx>, source: Source) {
        let offered = self.gate.offer(self.bench.state(), tx, source);
        self.passed_on(shared, cx, &offered);
    }

    /// The block of a decision, tried if it was not before. What an earlier life applied is read
    /// from the state on disk, most of the time.
    fn decided(
        &mut self,
        shared: &Shared,
        cx: &mut Cx<'_>,
        committed: &Committed<'_>,
    ) -> Result<(Arc<Block>, Arc<Applied>), Broken> {
        let id = committed.certificate.block;
        if committed.replay == Replay::Yes
            && let Some(applied) = shared.applied.get(&id)
            && !cx.rng().chance(50)
        {
            let block = Block::from_bytes(committed.block);
            let block = block.map_err(|error| broken("O2", error))?;
            return Ok((Arc::new(block), applied.clone()));
        }
        let tried = self.bench.judge(id, committed.block);
        let tried = tried.map_err(|refusal| broken("O2", refusal))?;
        Ok((tried.block, tried.applied))
    }

    /// The oracles see each height once.
    fn watch(
        &self,
        shared: &mut Shared,
        cx: &mut Cx<'_>,
        block: &Block,
        applied: &Arc<Applied>,
    ) -> Result<(), Broken> {
        let header = &block.header;
        if header.height <= shared.newest.height() {
            return Ok(());
        }
        shared.saw(header.height, header.time_ms);
        let seen = Seen {
            world: &shared.world,
            before: self.bench.state(),
            block,
            applied,
        };
        shared.watch.committed(&seen)?;
        shared.applied.insert(header.id(), applied.clone());
        shared.newest = applied.state.clone();
        let set = applied.state.validator_set(header.height.plus(2));
        let members = set.map(|set| set.members().to_vec()).unwrap_or_default();
        let powers = members.iter().map(|member| (member.id, member.power));
        clients::moved_on(shared, cx);
        if !shared.world.is_safe(powers) {
            cx.line(|| "those who may fail hold a third: nothing is promised any more".to_owned());
            shared.void = true;
        }
        Ok(())
    }

    fn found(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, pair: &ContradictingPair) {
        let (first, second) = actors::evidence::pairs::envelopes(pair);
        self.hear_pair(
            shared,
            cx,
            (pair.kind(), &first, &second),
            actors::evidence::workflow::Source::Seen,
        );
    }
}

impl App for Ledger {
    type Shared = Shared;

    fn shared(plan: &Plan, keys: &Keyring, rng: &mut Rng) -> Shared {
        Shared::new(plan, keys, rng)
    }

    fn chain(shared: &Shared) -> ChainId {
        shared.genesis.chain_id
    }

    fn first_sets(shared: &Shared) -> [ValidatorSet; 2] {
        [1, 2].map(|h| {
            shared
                .first
                .validator_set(Height(h))
                .cloned()
                .unwrap_or_default()
        })
    }

    fn start(shared: &mut Shared, cx: &mut Cx<'_>, files: &Files) -> Self {
        let member = cx.plan().member_of(cx.node());
        let own = shared.world.validators[member];
        let bench = Bench::new(shared.first.clone(), shared.verified.clone());
        Self {
            own,
            bench,
            gate: Gate::new(shared.genesis.chain_id),
            duties: Duties::new(shared, cx, member, files),
            accused: BTreeSet::new(),
        }
    }

    fn build(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, _: Height, _: Round) -> Block {
        let pool = self.gate.pool().select(OFFERED_BYTES_MAX);
        let clock = TimeMs(cx.local_time_ms());
        let mut block = match self.bench.build(self.own, clock, &pool) {
            Ok(built) => {
                self.gate.forget(&built.dropped);
                built.block
            }
            Err(breach) => {
                cx.fail(broken("I1-I7", breach));
                let body = Body::default();
                let header = self.bench.state().header_for(&body, self.own, clock);
                Block { header, body }
            }
        };
        if cx.role() == Role::ForgedEvidence {
            self.lie(shared, cx, &mut block);
        }
        block
    }

    fn judge(
        &mut self,
        _: &mut Shared,
        cx: &mut Cx<'_>,
        _: Height,
        block: &Arc<[u8]>,
    ) -> Judgement {
        let Ok(header) = Block::from_bytes(block).map(|block| block.header) else {
            return Judgement::Invalid;
        };
        match self.bench.judge(header.id(), block) {
            Ok(_) => Judgement::Valid {
                early_by_ms: header.time_ms.0.saturating_sub(cx.local_time_ms()),
            },
            Err(refusal) => {
                if let Refusal::Rules(BlockInvalid::Breach(breach)) = &refusal {
                    cx.fail(broken("I1-I7", breach));
                }
                cx.line(|| format!("refuses {}: {refusal}", header.id()));
                Judgement::Invalid
            }
        }
    }

    fn commit(
        &mut self,
        shared: &mut Shared,
        cx: &mut Cx<'_>,
        committed: &Committed<'_>,
    ) -> Result<ValidatorSet, Broken> {
        let (block, applied) = self.decided(shared, cx, committed)?;
        self.watch(shared, cx, &block, &applied)?;
        let height = block.header.height;
        self.bench.advance(applied.state.clone());
        let ids: Vec<TxId> = applied.outcomes.iter().map(|outcome| outcome.id).collect();
        let again = self.gate.included(&ids, &applied.state);
        for offered in &again {
            self.passed_on(shared, cx, offered);
        }
        match committed.replay {
            Replay::Yes => self.duties.missed(height, &applied.events),
            Replay::No => self.tell_duties(shared, cx, height, &applied.events),
        }
        let set = applied.state.validator_set(height.plus(2)).cloned();
        set.ok_or_else(|| broken("I1-I7", format!("no set for {height} + 2")))
    }

    fn recovered(&mut self, shared: &mut Shared, cx: &mut Cx<'_>) {
        self.begin_duties(shared, cx);
    }

    fn message(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, from: Sender, bytes: &Arc<[u8]>) {
        match wire::read(bytes) {
            Some(Heard::Tx(bytes)) => {
                let source = match from {
                    Sender::Client => Source::Api,
                    Sender::Node(_) => Source::Peer,
                };
                if let Some(tx) = shared.verified.verify(bytes, &shared.genesis.chain_id) {
                    self.duties.overhear(tx.message());
                    self.offer(shared, cx, tx, source);
                }
            }
            Some(Heard::Pair(kind, first, second)) => {
                let source = actors::evidence::workflow::Source::Gossip;
                self.hear_pair(shared, cx, (kind, &first, &second), source);
            }
            None => {}
        }
    }

    fn timer(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, token: u64) {
        self.duty_timer(shared, cx, token);
    }

    fn stored(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, token: u64) {
        self.duty_stored(shared, cx, token);
    }

    fn contradiction(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, pair: &ContradictingPair) {
        self.found(shared, cx, pair);
    }

    fn junk(shared: &Shared, cx: &mut Cx<'_>) -> Arc<[u8]> {
        lies::junk(shared, cx)
    }

    fn accuses(&self, key: &PublicKey) -> bool {
        let state = self.bench.state();
        let row = state
            .key_holder(key)
            .and_then(|id| state.validators.get(&id));
        let tombstoned = row.is_some_and(|row| matches!(row.exit, Some(Exit::Tombstoned(_))));
        tombstoned || self.accused.contains(key)
    }

    fn tally(shared: &Shared) -> BTreeMap<&'static str, u64> {
        shared.watch.tally.clone()
    }

    fn is_void(shared: &Shared) -> bool {
        shared.void
    }

    fn outside(shared: &mut Shared, cx: &mut Cx<'_>, token: u64) {
        clients::outside(shared, cx, token);
    }

    fn root(&self) -> Digest {
        self.bench.state().root()
    }

    fn is_done(shared: &Shared) -> bool {
        shared.done
    }

    fn waits_for(shared: &Shared) -> String {
        clients::waits_for(shared)
    }

    fn check_end(shared: &mut Shared, _: &[Option<&Self>]) -> Result<(), Broken> {
        let Shared {
            watch,
            world,
            newest,
            ..
        } = shared;
        Ok(watch.ended(world, newest)?)
    }
}
