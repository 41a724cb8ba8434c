//! Starts: what the disk holds, then the machine.

use consensus::{Boot, Machine, Signer};
use protocol::units::Height;

use super::{Local, Wire, World};
use crate::sim::app::{App, Broken, Committed, Replay};
use crate::sim::keys::Purpose;
use crate::sim::node::{Node, Recovered};
use crate::sim::plan::Role;
use crate::sim::time::Micros;

/// Timers of a life start far above those of the last.
const EPOCHS_PER_LIFE: u64 = 1 << 32;
/// Earlier sets that a machine gets, for evidence.
const SETS_BACK: u64 = 16;
/// How often peers hear the own tip, as in `net`.
const STATUS: Micros = Micros::from_ms(10_000);
const MISCHIEF: Micros = Micros::from_ms(70);

impl<A: App> World<A> {
    pub(super) fn start(&mut self, node: usize) {
        self.trace.note(u64::try_from(node).unwrap_or(0));
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        if state.is_up() || state.stopped.is_some() {
            return;
        }
        state.life += 1;
        match state.recover() {
            Ok(recovered) => self.boot(node, recovered),
            Err(refusal) => {
                let text = format!("refuses to start ({}): {}", refusal.exit, refusal.text);
                self.stop(node, text);
            }
        }
    }

    /// A node will not go on. Only those whose disk or conduct explains it may.
    pub(super) fn stop(&mut self, node: usize, text: String) {
        self.trace.line(self.now, node, || format!("stops: {text}"));
        if let Some(state) = self.nodes.get_mut(node) {
            state.end();
            state.stopped = Some(text.clone());
        }
        if self.plan.role(node) == Role::Honest {
            self.fail(Broken::new("H", format!("n{node} stops: {text}")));
        }
    }

    fn boot(&mut self, node: usize, recovered: Recovered) {
        let app = self.with_cx(node, |shared, cx| A::start(shared, cx, &recovered.files));
        let Some(state) = self.nodes.get_mut(node) else {
            return;
        };
        state.app = Some(app);
        let blocks: Vec<_> = state.blocks.values().cloned().collect();
        for (block, certificate) in blocks {
            let committed = Committed {
                block: &block,
                certificate: &certificate,
                replay: Replay::Yes,
            };
            if !self.apply(node, &committed) {
                return;
            }
        }
        let Some(boot) = self.boot_values(node, &recovered) else {
            return;
        };
        let tip = boot.committed;
        self.trace
            .line(self.now, node, || format!("starts after {tip}"));
        match Machine::boot(boot) {
            Ok((machine, effects)) => {
                if let Some(state) = self.nodes.get_mut(node) {
                    state.machine = Some(machine);
                }
                self.perform(node, effects);
            }
            Err(halt) => return self.stop(node, halt.to_string()),
        }
        self.with_app(node, |app, shared, cx| app.recovered(shared, cx));
        self.greet(node);
        if self.plan.role(node).is_hostile() && self.plan.role(node) != Role::Twin {
            self.later(node, MISCHIEF, Local::Mischief);
        }
    }

    /// As the network does: a hello to whoever is met, the own tip to all now and then.
    fn greet(&mut self, node: usize) {
        let tip = self.nodes.get(node).map(Node::tip).unwrap_or_default();
        self.send_all(node, &Wire::Hello(tip));
        self.later(node, STATUS, Local::Status);
    }

    pub(super) fn tell_tip(&mut self, node: usize) {
        let tip = self.nodes.get(node).map(Node::tip).unwrap_or_default();
        self.send_all(node, &Wire::Status(tip));
        self.later(node, STATUS, Local::Status);
    }

    fn boot_values(&mut self, node: usize, recovered: &Recovered) -> Option<Boot> {
        let secret = self
            .keys
            .secret(Purpose::Consensus, self.plan.member_of(node));
        let state = self.nodes.get_mut(node)?;
        let committed = state.tip();
        let first = committed.minus(SETS_BACK);
        let sets = state.sets.range(first..=committed.plus(2));
        state.epoch = state.life * EPOCHS_PER_LIFE;
        Some(Boot {
            chain: state.chain,
            committed,
            sets: sets.map(|(height, set)| (*height, set.clone())).collect(),
            timing: self.timing,
            signer: Some(Signer::new(secret)),
            floor: recovered.floor,
            log: recovered.log.clone(),
            epoch: state.epoch,
        })
    }

    /// Applies a decision to the app; false if that ended the run.
    pub(super) fn apply(&mut self, node: usize, committed: &Committed<'_>) -> bool {
        let height = committed.certificate.height;
        let set = self.with_app(node, |app, shared, cx| app.commit(shared, cx, committed));
        match set {
            Some(Ok(set)) => {
                if let Some(state) = self.nodes.get_mut(node) {
                    state.sets.insert(height.plus(2), set);
                }
            }
            Some(Err(broken)) => {
                self.fail(broken);
                return false;
            }
            None => return false,
        }
        self.check_root(node, height);
        true
    }

    /// The set of a height, as a node knows it.
    pub(crate) fn set_of(
        &self,
        node: usize,
        height: Height,
    ) -> Option<&protocol::validators::ValidatorSet> {
        self.nodes.get(node)?.sets.get(&height)
    }
}
