//! Blocks that break the rules, and verdicts that do not mind.

use consensus::Judgement;
use protocol::block::Block;

use crate::sim::app::App;
use crate::sim::plan::Role;
use crate::sim::world::World;

/// Ways to spoil a block.
const WAYS: u64 = 8;

impl<A: App> World<A> {
    /// Names a state that is not the state, a parent that is not the parent, a body that is not the
    /// body; or carries what nobody signed, or one thing twice.
    pub(crate) fn spoil(&mut self, node: usize, mut block: Block) -> Block {
        if self.plan.role(node) != Role::InvalidBody {
            return block;
        }
        let junk = self.junk_id().0;
        match self.rng.below(WAYS) {
            0 => block.header.state_root = junk,
            1 => block.header.parent = junk,
            2 => block.header.next_set = junk,
            3 => block.header.time_ms.0 += 3_600_000,
            4 => block.header.height = block.header.height.next(),
            // The header stands for another body.
            5 => block.body.0.push(junk.as_bytes().to_vec()),
            6 => {
                block.body.0.push(junk.as_bytes().to_vec());
                block.header.body_hash = block.body.hash();
            }
            _ => {
                let first = block.body.0.first().cloned();
                let twice = first.unwrap_or_else(|| vec![0; 200]);
                block.body.0.push(twice);
                block.header.body_hash = block.body.hash();
            }
        }
        block
    }

    /// One who proposes such blocks votes for them, too.
    pub(crate) fn approve_own(&self, node: usize, verdict: Judgement) -> Judgement {
        match self.plan.role(node) {
            Role::InvalidBody => Judgement::Valid { early_by_ms: 0 },
            _ => verdict,
        }
    }
}
