//! Two votes where one is allowed.

use consensus::Outgoing;
use protocol::signed::Signed;
use protocol::vote::Vote;

use crate::sim::app::App;
use crate::sim::world::World;

impl<A: App> World<A> {
    fn other_vote(&mut self, node: usize, vote: &Vote) -> Signed<Vote> {
        let block = if vote.block.is_some() && self.rng.chance(700) {
            None
        } else {
            Some(self.junk_id())
        };
        let message = Vote { block, ..*vote };
        Signed::sign(message, &self.own_secret(node), &self.chain())
    }

    /// One vote to some, another to others, both to a few.
    pub(super) fn vote_twice(&mut self, node: usize, vote: &Signed<Vote>) -> bool {
        let other = Outgoing::Vote(self.other_vote(node, &vote.message));
        let vote = Outgoing::Vote(vote.clone());
        for to in 0..self.nodes.len() {
            let which = self.rng.below(10);
            if which < 5 {
                self.send_to(node, to, &vote);
            }
            if which >= 4 {
                self.send_to(node, to, &other);
            }
        }
        true
    }

    /// A vote of an earlier round or height, once more and otherwise.
    pub(super) fn contradict_earlier(&mut self, node: usize) {
        let Some(hostile) = self.hostile.get(node) else {
            return;
        };
        if hostile.sent.is_empty() {
            return;
        }
        let index = self.rng.index(hostile.sent.len());
        let Some(vote) = self
            .hostile
            .get(node)
            .and_then(|h| h.sent.get(index))
            .cloned()
        else {
            return;
        };
        let other = if self.rng.chance(500) {
            self.other_vote(node, &vote.message)
        } else {
            vote
        };
        let to = self.anybody();
        self.send_to(node, to, &Outgoing::Vote(other));
    }
}
