//! What a driver does with the machine's effects, and with what comes back.

use std::rc::Rc;
use std::sync::Arc;

use consensus::{Delivery, Effect, Input, Outgoing, TimerId, WalSeq};
use protocol::units::{Height, Round};
use protocol::vote::CommitCertificate;

use super::deliver::node_of;
use super::{Local, Wire, World, gossip};
use crate::sim::app::{App, Broken, Committed, Replay};
use crate::sim::keys::Purpose;
use crate::sim::node::Done;
use crate::sim::time::Micros;
use crate::sim::trace::Trace;

impl<A: App> World<A> {
    /// Gives the machine an input and does what it says.
    pub(crate) fn step(&mut self, node: usize, input: Input) {
        let Some(machine) = self.nodes.get_mut(node).and_then(|n| n.machine.as_mut()) else {
            return;
        };
        let effects = machine.step(input);
        // Counting what a hundred validators said takes as long as handling it.
        let is_due = self.counts.events.is_multiple_of(self.size_check_every);
        if is_due && let Err(text) = crate::sim::oracle::within_limits(machine) {
            self.fail(Broken::new("B", format!("n{node}: {text}")));
        }
        self.perform(node, effects);
    }

    /// A timer of an earlier height or life must do nothing.
    pub(super) fn timer(&mut self, node: usize, id: TimerId) {
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        let is_stale = id.epoch < state.epoch;
        let Some(machine) = state.machine.as_mut() else {
            return;
        };
        let effects = machine.step(Input::Timeout(id));
        if is_stale && !effects.is_empty() {
            let text = format!("n{node} acted on {id:?} of an earlier height: {effects:?}");
            return self.fail(Broken::new("T", text));
        }
        self.perform(node, effects);
    }

    pub(crate) fn perform(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            note(&mut self.trace, &effect);
            self.trace
                .line(self.now, node, || super::super::show::effect(&effect));
            self.perform_one(node, effect);
        }
    }

    fn perform_one(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::SetTimer(id, after) => {
                if let Some(state) = self.nodes.get_mut(node) {
                    state.epoch = state.epoch.max(id.epoch);
                }
                self.later(node, Micros::from(after), Local::Timer(id));
            }
            // Timers are never taken back: the machine must cope with late ones.
            Effect::CancelTimer(_) => {}
            Effect::Wal {
                records,
                sign_mark,
                seq,
            } => {
                if let Some(state) = self.nodes.get_mut(node) {
                    state.log(records, sign_mark, seq);
                }
                self.kick(node);
            }
            Effect::Broadcast {
                after,
                message,
                delivery,
            } => {
                self.broadcast(node, after, &message, delivery);
            }
            Effect::Commit {
                after,
                block,
                certificate,
            } => {
                self.commit(node, after, block, certificate);
            }
            Effect::FetchBody { id, peer } => {
                self.send(node, node_of(&peer), Wire::BodyRequest(id));
            }
            Effect::AskHeight { peer, height } => {
                self.send(node, node_of(&peer), Wire::HeightRequest(height));
            }
            Effect::Build { height, round } => self.build(node, height, round),
            Effect::Judge { height, id, block } => self.judge(node, height, id, &block),
            Effect::Contradiction(pair) => {
                if let Err(broken) = self.oracles.accused(node, &pair) {
                    self.fail(broken);
                }
                self.with_app(node, |app, shared, cx| app.contradiction(shared, cx, &pair));
            }
            Effect::Freeze(conflict) => self.stop(node, format!("freezes: {conflict:?}")),
            Effect::Halt(reason) => self.stop(node, reason.to_string()),
        }
    }

    fn broadcast(&mut self, node: usize, after: WalSeq, message: &Outgoing, delivery: Delivery) {
        let Some(state) = self.nodes.get(node) else {
            return;
        };
        let (durable, mark) = (state.durable, state.mark);
        let released = self
            .oracles
            .released(node, (after, durable), mark, message, delivery);
        if let Err(broken) = released {
            return self.fail(broken);
        }
        if self.twist(node, message) {
            return;
        }
        self.publish(node, message);
    }

    /// Sends a message to everybody, as it is.
    pub(crate) fn publish(&mut self, node: usize, message: &Outgoing) {
        if let Some(wire) = self.wire(node, message) {
            self.send_all(node, &wire);
        }
    }

    pub(crate) fn wire(&self, node: usize, message: &Outgoing) -> Option<Wire> {
        let chain = self.nodes.get(node)?.chain;
        let relay = self
            .keys
            .secret(Purpose::Session, self.plan.member_of(node));
        Some(Wire::Gossip(Rc::new(gossip(&chain, &relay, message)?)))
    }

    fn commit(
        &mut self,
        node: usize,
        after: WalSeq,
        block: Arc<[u8]>,
        certificate: CommitCertificate,
    ) {
        let durable = self
            .nodes
            .get(node)
            .map(|state| state.durable)
            .unwrap_or_default();
        if durable < after {
            let text = format!(
                "n{node} commits {} before its log is durable",
                certificate.height
            );
            return self.fail(Broken::new("W", text));
        }
        let set = self.set_of(node, certificate.height).cloned();
        let is_bound = !self.plan.role(node).is_hostile();
        if let Err(broken) =
            self.oracles
                .committed(node, is_bound, set.as_ref(), &certificate, &block)
        {
            return self.fail(broken);
        }
        if let Some(state) = self.nodes.get_mut(node) {
            state.store(block, certificate);
        }
        self.kick(node);
    }

    fn build(&mut self, node: usize, height: Height, round: Round) {
        let built = self.with_app(node, |app, shared, cx| app.build(shared, cx, height, round));
        let Some(block) = built else { return };
        let block = self.spoil(node, block);
        let (id, block) = (block.id(), Arc::from(block.to_bytes()));
        let delay = Micros(self.rng.between(500, 4_000));
        let input = Input::Built {
            height,
            round,
            id,
            block,
        };
        self.later(node, delay, Local::Input(Box::new(input)));
    }

    fn judge(
        &mut self,
        node: usize,
        height: Height,
        id: protocol::digest::BlockId,
        block: &Arc<[u8]>,
    ) {
        let judged = self.with_app(node, |app, shared, cx| app.judge(shared, cx, height, block));
        let Some(verdict) = judged else { return };
        let verdict = self.approve_own(node, verdict);
        let delay = Micros(self.rng.between(200, 2_000));
        let input = Input::Verdict {
            height,
            id,
            verdict,
        };
        self.later(node, delay, Local::Input(Box::new(input)));
    }

    /// Starts the disk if it is idle. One job is in work at a time.
    pub(super) fn kick(&mut self, node: usize) {
        if self
            .nodes
            .get(node)
            .is_some_and(|state| state.jobs.len() == 1)
        {
            self.sync_later(node);
        }
    }

    fn sync_later(&mut self, node: usize) {
        let delay = Micros(self.rng.between(100, self.plan.sync_max.0));
        self.later(node, delay, Local::Disk);
    }

    pub(super) fn synced(&mut self, node: usize) {
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        let Some(done) = state.synced() else { return };
        if !state.jobs.is_empty() {
            self.sync_later(node);
        }
        match done {
            Done::Half => {}
            Done::Log(seq) => self.step(node, Input::Durable(seq)),
            Done::Own(token) => {
                self.with_app(node, |app, shared, cx| app.stored(shared, cx, token));
            }
            Done::Block(block, certificate) => {
                let height = certificate.height;
                let committed = Committed {
                    block: &block,
                    certificate: &certificate,
                    replay: Replay::No,
                };
                if self.apply(node, &committed)
                    && let Some(set) = self.set_of(node, height.plus(2)).cloned()
                {
                    self.step(node, Input::Committed { height, set });
                }
            }
        }
    }
}

/// What makes two runs of a seed the same: every effect with what it names.
fn note(trace: &mut Trace, effect: &Effect) {
    match effect {
        Effect::SetTimer(id, after) => {
            trace.note(id.epoch << 8 | u64::from(id.round.0));
            trace.note(Micros::from(*after).0);
        }
        Effect::CancelTimer(id) => trace.note(id.epoch << 8 | 1),
        Effect::Wal { records, seq, .. } => {
            trace.note(seq.0 << 16 | u64::try_from(records.len()).unwrap_or(0));
        }
        Effect::Broadcast { after, message, .. } => {
            trace.note(after.0);
            match message {
                Outgoing::Vote(vote) => {
                    let block = vote
                        .message
                        .block
                        .unwrap_or(protocol::digest::BlockId::ZERO);
                    trace.note_digest(&block.0);
                    trace.note(u64::from(vote.message.round.0));
                }
                Outgoing::Proposal(proposal, _) => trace.note_digest(&proposal.message.block.0),
                Outgoing::Certificate(certificate) => trace.note(certificate.height().0),
            }
        }
        Effect::Commit { certificate, .. } => trace.note_digest(&certificate.block.0),
        Effect::FetchBody { id, .. } | Effect::Judge { id, .. } => trace.note_digest(&id.0),
        Effect::Build { height, round } => trace.note(height.0 << 8 | u64::from(round.0)),
        Effect::AskHeight { height, .. } => trace.note(height.0),
        Effect::Contradiction(pair) => trace.note(pair.height().0 << 3),
        Effect::Freeze(_) => trace.note(2),
        Effect::Halt(_) => trace.note(3),
    }
}
