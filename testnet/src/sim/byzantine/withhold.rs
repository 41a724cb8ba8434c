//! Proposals and votes for some eyes only.

use consensus::Outgoing;

use crate::sim::app::App;
use crate::sim::world::World;

impl<A: App> World<A> {
    pub(super) fn withhold(&mut self, node: usize, message: &Outgoing) -> bool {
        let shown = match message {
            Outgoing::Proposal(..) => 300,
            Outgoing::Vote(_) => 600,
            Outgoing::Certificate(_) => 100,
        };
        for to in 0..self.nodes.len() {
            if self.rng.chance(shown) {
                self.send_to(node, to, message);
            }
        }
        true
    }
}
