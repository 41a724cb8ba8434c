//! Proposes a block with a transaction that is none.

use actors::tamper::{Means, Tamper};
use protocol::block::Block;

#[derive(Debug)]
pub(super) struct InvalidProposal;

impl Tamper for InvalidProposal {
    fn name(&self) -> &'static str {
        "invalid-proposal"
    }

    fn block(&self, mut block: Block, _: &Means) -> Block {
        block.body.0.push(b"not a transaction".to_vec());
        block.header.body_hash = block.body.hash();
        block
    }
}
