//! Votes twice in one slot: for the block and for nothing.

use actors::tamper::{Means, Outgoing, Tamper};
use protocol::signed::Signed;
use protocol::vote::Vote;

#[derive(Debug)]
pub(super) struct DoubleVote;

impl Tamper for DoubleVote {
    fn name(&self) -> &'static str {
        "double-vote"
    }

    fn broadcast(&self, message: Outgoing, means: &Means) -> Vec<Outgoing> {
        let (Outgoing::Vote(vote), Some(key)) = (&message, &means.consensus_key) else {
            return vec![message];
        };
        if vote.message.block.is_none() {
            return vec![message];
        }
        let twin = Vote {
            block: None,
            ..vote.message
        };
        let twin = Outgoing::Vote(Signed::sign(twin, key, &means.chain));
        vec![message, twin]
    }
}
