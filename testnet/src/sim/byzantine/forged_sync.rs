//! Answers that prove nothing.

use std::sync::Arc;

use protocol::keys::Signature;
use protocol::units::Height;

use crate::sim::app::App;
use crate::sim::world::{Wire, World};

impl<A: App> World<A> {
    /// Answers a request for a decided block; false to answer honestly.
    pub(crate) fn forge_answers(&mut self, from: usize, to: usize, height: Height) -> bool {
        let Some(node) = self.nodes.get(to) else {
            return false;
        };
        let Some((block, certificate)) = node.blocks.get(&height).cloned() else {
            return false;
        };
        let mut forged = (*certificate).clone();
        let mut bytes = block;
        match self.rng.below(6) {
            0 => return false,
            1 => return true,
            2 => forged.signatures.truncate(1),
            3 => forged
                .signatures
                .iter_mut()
                .for_each(|part| part.signature = Signature([7; 64])),
            4 => {
                let first = forged.signatures.first().copied();
                forged.signatures = first
                    .into_iter()
                    .cycle()
                    .take(forged.signatures.len())
                    .collect();
            }
            _ => {
                let mut other = bytes.to_vec();
                if let Some(last) = other.last_mut() {
                    *last ^= 1;
                }
                bytes = other.into();
            }
        }
        self.send(to, from, Wire::Synced(bytes, Arc::new(forged)));
        true
    }

    pub(super) fn lie_about_tip(&mut self, node: usize) {
        let tip = Height(self.rng.below(1 << 40));
        let to = self.anybody();
        if to != node {
            self.send(node, to, Wire::Status(tip));
        }
    }
}
