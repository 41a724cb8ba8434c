//! Two proposals for one round, both with good blocks.

use std::sync::Arc;

use consensus::Outgoing;
use protocol::block::Block;
use protocol::signed::Signed;
use protocol::vote::{BodyPlace, Proposal};

use crate::sim::app::App;
use crate::sim::world::World;

impl<A: App> World<A> {
    pub(super) fn propose_twice(
        &mut self,
        node: usize,
        proposal: &Signed<Proposal>,
        block: Option<&Arc<[u8]>>,
    ) -> bool {
        let id = proposal.message.block;
        let known = || {
            let machine = self.nodes.get(node)?.machine.as_ref()?;
            machine.window().block(&id)
        };
        let Some(mut second) = block
            .cloned()
            .or_else(known)
            .and_then(|bytes| Block::from_bytes(&bytes).ok())
        else {
            return false;
        };
        second.header.time_ms.0 += 1;
        let (other, bytes): (_, Arc<[u8]>) = (second.id(), second.to_bytes().into());
        if let Some(hostile) = self.hostile.get_mut(node) {
            hostile.blocks.insert(other, Arc::clone(&bytes));
        }
        let message = Proposal {
            block: other,
            ..proposal.message
        };
        let signed = Signed::sign(message, &self.own_secret(node), &self.chain());
        let riding = (message.body == BodyPlace::Inline).then_some(bytes);
        let one = Outgoing::Proposal(proposal.clone(), block.cloned());
        let two = Outgoing::Proposal(signed, riding);
        for to in 0..self.nodes.len() {
            let which = self.rng.below(10);
            if which < 6 {
                self.send_to(node, to, &one);
            }
            if which >= 4 {
                self.send_to(node, to, &two);
            }
        }
        true
    }
}
