//! Those who break the rules: unmodified machines whose messages are changed on the way out, and who
//! have ideas of their own now and then.

mod flood;
mod forged_sync;
mod invalid_body;
mod proposals;
mod votes;
mod withhold;

use std::collections::BTreeMap;
use std::sync::Arc;

use consensus::Outgoing;
use protocol::digest::{BlockId, sha256};
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::vote::Vote;

use super::app::App;
use super::keys::Purpose;
use super::plan::Role;
use super::time::Micros;
use super::world::{Local, Wire, World};

/// Own votes that are kept, to be contradicted later.
const SENT_MAX: usize = 64;
const MISCHIEF: Micros = Micros::from_ms(70);

/// What a hostile node remembers.
#[derive(Debug, Default)]
pub(crate) struct Hostile {
    blocks: BTreeMap<BlockId, Arc<[u8]>>,
    sent: Vec<Signed<Vote>>,
}

impl Hostile {
    /// A block that its machine does not know.
    pub(crate) fn block(&self, id: BlockId) -> Option<Arc<[u8]>> {
        self.blocks.get(&id).cloned()
    }
}

impl<A: App> World<A> {
    /// Changes what a hostile node sends; whether that was all there is to send.
    pub(crate) fn twist(&mut self, node: usize, message: &Outgoing) -> bool {
        let role = self.plan.role(node);
        if !role.is_hostile() || role == Role::Twin {
            return false;
        }
        match (role, message) {
            (Role::DoubleVote, Outgoing::Vote(vote)) => self.vote_twice(node, vote),
            (Role::StaleRound, Outgoing::Vote(vote)) => {
                self.remember(node, vote);
                false
            }
            (Role::DoubleProposal, Outgoing::Proposal(proposal, block)) => {
                self.propose_twice(node, proposal, block.as_ref())
            }
            (Role::Withhold, _) => self.withhold(node, message),
            _ => false,
        }
    }

    /// What a hostile node does by itself, time and again.
    pub(crate) fn mischief(&mut self, node: usize) {
        match self.plan.role(node) {
            Role::Flood => self.flood(node),
            Role::StaleRound => self.contradict_earlier(node),
            Role::ForgedSync => self.lie_about_tip(node),
            Role::ForgedEvidence => self.app_junk(node),
            _ => return,
        }
        self.later(node, MISCHIEF, Local::Mischief);
    }

    /// Junk for what runs above agreement.
    fn app_junk(&mut self, node: usize) {
        let bytes = self.with_cx(node, |shared, cx| A::junk(shared, cx));
        let to = self.anybody();
        if to != node {
            self.send(node, to, Wire::App(bytes));
        }
    }

    fn remember(&mut self, node: usize, vote: &Signed<Vote>) {
        if let Some(hostile) = self.hostile.get_mut(node) {
            if hostile.sent.len() >= SENT_MAX {
                hostile.sent.remove(0);
            }
            hostile.sent.push(vote.clone());
        }
    }

    fn own_secret(&self, node: usize) -> SecretKey {
        self.keys
            .secret(Purpose::Consensus, self.plan.member_of(node))
    }

    fn junk_id(&mut self) -> BlockId {
        BlockId(sha256(&self.rng.draw().to_be_bytes()))
    }

    fn anybody(&mut self) -> usize {
        self.rng.index(self.nodes.len())
    }

    fn send_to(&mut self, node: usize, to: usize, message: &Outgoing) {
        if to != node
            && let Some(wire) = self.wire(node, message)
        {
            self.send(node, to, wire);
        }
    }

    fn chain(&self) -> protocol::digest::ChainId {
        A::chain(&self.shared)
    }
}
