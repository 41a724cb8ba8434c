//! Proposes two blocks in one round. The second exists in name only; the offence needs no more.

use actors::tamper::{Means, Outgoing, Tamper};
use protocol::digest::{BlockId, sha256};
use protocol::signed::Signed;
use protocol::vote::{BodyPlace, Proposal};

#[derive(Debug)]
pub(super) struct DoubleProposal;

impl Tamper for DoubleProposal {
    fn name(&self) -> &'static str {
        "double-proposal"
    }

    fn broadcast(&self, message: Outgoing, means: &Means) -> Vec<Outgoing> {
        let (Outgoing::Proposal { proposal, .. }, Some(key)) = (&message, &means.consensus_key)
        else {
            return vec![message];
        };
        let block = BlockId(sha256(proposal.message.block.as_bytes()));
        let twin = Proposal {
            block,
            body: BodyPlace::Apart,
            ..proposal.message
        };
        let twin = Signed::sign(twin, key, &means.chain);
        vec![
            message,
            Outgoing::Proposal {
                proposal: twin,
                block: [].into(),
            },
        ]
    }
}
