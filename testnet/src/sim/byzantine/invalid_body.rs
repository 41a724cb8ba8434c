//! Blocks that break the rules, and verdicts that do not mind.

use std::sync::Arc;

use consensus::Judgement;
use protocol::block::Block;

use crate::sim::app::App;
use crate::sim::plan::Role;
use crate::sim::world::World;

impl<A: App> World<A> {
    /// Names a state that is not the state, or a parent that is not the parent.
    pub(crate) fn spoil(&mut self, node: usize, mut block: Block) -> Block {
        if self.plan.role(node) == Role::InvalidBody {
            let junk = self.junk_id().0;
            match self.rng.below(4) {
                0 => block.header.state_root = junk,
                1 => block.header.parent = junk,
                2 => block.header.next_set = junk,
                _ => block.header.time_ms.0 += 3_600_000,
            }
        }
        block
    }

    /// One who proposes such blocks votes for them, too.
    pub(crate) fn approve_own(&self, node: usize, verdict: Judgement, _: &Arc<[u8]>) -> Judgement {
        match self.plan.role(node) {
            Role::InvalidBody => Judgement::Valid { early_by_ms: 0 },
            _ => verdict,
        }
    }
}
