//! Calls into apps, and what they ask for.

use std::sync::Arc;

use protocol::units::Height;

use super::{Event, Local, Wire, World};
use crate::sim::app::{App, Ask, Broken, Cx, Sender};
use crate::sim::time::Micros;

impl<A: App> World<A> {
    /// Calls a node's app, then does what it asked for. `None` if the node is down.
    pub(crate) fn with_app<R>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut A, &mut A::Shared, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let mut app = self.nodes.get_mut(node)?.app.take()?;
        let result = self.with_cx(node, |shared, cx| call(&mut app, shared, cx));
        if let Some(node) = self.nodes.get_mut(node) {
            node.app = Some(app);
        }
        Some(result)
    }

    pub(crate) fn with_cx<R>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut A::Shared, &mut Cx<'_>) -> R,
    ) -> R {
        let mut cx = Cx {
            now: self.now,
            node,
            plan: &self.plan,
            keys: &self.keys,
            rng: &mut self.app_rng,
            trace: &mut self.trace,
            asks: Vec::new(),
        };
        let result = call(&mut self.shared, &mut cx);
        for ask in cx.asks {
            self.ask(node, ask);
        }
        result
    }

    fn ask(&mut self, node: usize, ask: Ask) {
        match ask {
            Ask::Timer { after, token } => self.later(node, after, Local::App(token)),
            Ask::Send { to, bytes } => self.send(node, to, Wire::App(bytes)),
            Ask::Broadcast { bytes } => self.send_all(node, &Wire::App(bytes)),
            Ask::Write { file, bytes, token } => {
                if let Some(state) = self.nodes.get_mut(node) {
                    state.write(file, &bytes, token);
                }
                self.kick(node);
            }
            Ask::Outside { after, token } => {
                self.queue.put(self.now.plus(after), Event::Outside(token));
            }
            Ask::Submit { to, bytes } => {
                let delay = Micros(self.rng.between(500, 5_000));
                self.queue
                    .put(self.now.plus(delay), Event::Submit { to, bytes });
            }
            Ask::Fail(broken) => self.fail(broken),
        }
    }

    pub(super) fn app_timer(&mut self, node: usize, token: u64) {
        self.trace.note(token);
        self.with_app(node, |app, shared, cx| app.timer(shared, cx, token));
    }

    pub(super) fn app_message(&mut self, to: usize, from: Sender, bytes: &Arc<[u8]>) {
        self.with_app(to, |app, shared, cx| app.message(shared, cx, from, bytes));
    }

    pub(super) fn submitted(&mut self, to: usize, bytes: &Arc<[u8]>) {
        self.app_message(to, Sender::Client, bytes);
    }

    /// Node 0 stands for those outside, who have no number.
    pub(super) fn outside(&mut self, token: u64) {
        self.trace.note(token);
        self.with_cx(0, |shared, cx| A::outside(shared, cx, token));
    }

    /// Every node has the same state after the same height.
    pub(super) fn check_root(&mut self, node: usize, height: Height) {
        let Some(root) = self
            .nodes
            .get(node)
            .and_then(|n| n.app.as_ref())
            .map(App::root)
        else {
            return;
        };
        self.trace.note_digest(&root);
        let first = *self.oracles.roots.entry(height).or_insert(root);
        if first != root {
            let text = format!("n{node} has {root} after {height}, others {first}");
            self.fail(Broken::new("R", text));
        }
    }
}
