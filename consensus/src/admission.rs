//! What the network may let in, judged before any signature is checked.
//!
//! A [`Window`] is immutable: the actor publishes a new one after a step, the network reads the newest.
//! It also holds what peers may ask for: votes of a round, and blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::digest::{BlockId, ChainId};
use protocol::envelope::{EnvelopeHeader, Kind, seal_proposal, seal_vote};
use protocol::keys::PublicKey;
use protocol::units::{Height, Round};
use protocol::validators::ValidatorSet;

use crate::guard::{SignPoint, Step};
use crate::host::Host;
use crate::limits::{POOL_HEIGHTS, ROUNDS_AHEAD_MAX};
use crate::machine::Machine;
use crate::planted::{self, Bug};
use crate::pool::{Held, Pool};
use crate::proposer::proposer;
use crate::schedule::Sets;

/// The answer to a header. The network has checked size and form before, verifies after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Of use now: verify, forward, deliver.
    Admit,
    /// Below the height: it may prove an offence. Verify and deliver, do not forward.
    Late,
    /// Beyond the window. Its bringer is ahead of us, perhaps: pass [`crate::Input::Status`] with
    /// the height before it.
    Ahead,
    /// About a set that we do not know (any more).
    UnknownSet,
    /// The slot can bring nothing new.
    Duplicate,
    /// Signed by somebody who may not, in a set that we do know.
    Foreign,
    /// Not a message of consensus.
    NotOurs,
}

/// What consensus shows to the network.
#[derive(Clone, Debug)]
pub struct Window {
    chain: ChainId,
    height: Height,
    round: Round,
    sets: Sets,
    pool: Pool,
    blocks: BTreeMap<BlockId, Arc<[u8]>>,
}

impl Window {
    pub(crate) fn new(host: &Host, round: Round) -> Self {
        Self {
            chain: host.chain,
            height: host.height,
            round,
            sets: host.schedule.ours(),
            pool: host.pool.clone(),
            blocks: host.bodies.blocks(),
        }
    }

    /// The height worked on.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.height
    }

    /// The round worked on.
    #[must_use]
    pub const fn round(&self) -> Round {
        self.round
    }

    /// Judges a message by its header. Nothing in the header is trusted.
    #[must_use]
    pub fn admit(&self, header: &EnvelopeHeader) -> Admission {
        let rule = Rule {
            chain: &self.chain,
            height: self.height,
            round: self.round,
            pool: &self.pool,
        };
        rule.admit(header, self.sets.get(&header.height).map(Arc::as_ref))
    }

    /// Who proposes in a round, if the set is known.
    #[must_use]
    pub fn proposer(&self, height: Height, round: Round) -> Option<PublicKey> {
        let set = self.sets.get(&height)?;
        proposer(&self.chain, set, height, round).map(|entry| entry.consensus_key)
    }

    /// Envelopes of the votes and the proposal (without its block) of a round, decided heights
    /// included.
    #[must_use]
    pub fn messages(&self, height: Height, round: Round) -> Vec<Vec<u8>> {
        let seal = |held: &Held| match held {
            Held::Vote(vote) => seal_vote(vote),
            Held::Proposal(proposal) => seal_proposal(proposal, &[]),
        };
        self.pool.round(height, round).iter().map(seal).collect()
    }

    /// A block of this height or the next.
    #[must_use]
    pub fn block(&self, id: &BlockId) -> Option<Arc<[u8]>> {
        self.blocks.get(id).cloned()
    }
}

impl Machine {
    /// As its newest window would judge.
    #[must_use]
    pub fn admit(&self, header: &EnvelopeHeader) -> Admission {
        let rule = Rule {
            chain: &self.host.chain,
            height: self.host.height,
            round: self.round(),
            pool: &self.host.pool,
        };
        let set = self.host.schedule.get(header.height);
        rule.admit(header, set.map(|set| set.ours().as_ref()))
    }
}

/// What admission depends on, besides the set of the message's height.
struct Rule<'a> {
    chain: &'a ChainId,
    height: Height,
    round: Round,
    pool: &'a Pool,
}

impl Rule<'_> {
    fn admit(&self, header: &EnvelopeHeader, set: Option<&ValidatorSet>) -> Admission {
        let step = match header.kind {
            Kind::Prevote => Some(Step::Prevote),
            Kind::Precommit => Some(Step::Precommit),
            Kind::Proposal => Some(Step::Propose),
            Kind::Certificate => None,
            _ => return Admission::NotOurs,
        };
        if planted::is(Bug::NoAdmissionFilter) {
            return Admission::Admit;
        }
        if header.height < self.height.minus(POOL_HEIGHTS) {
            return Admission::UnknownSet;
        }
        let base = if header.height == self.height {
            self.round
        } else {
            Round::ZERO
        };
        let last = base.saturating_add(Round(ROUNDS_AHEAD_MAX));
        let is_ahead = header.height > self.height.next()
            || (header.height >= self.height && header.round > last);
        if is_ahead {
            return Admission::Ahead;
        }
        match step {
            Some(step) => self.admit_signer(header, step, set),
            // Certificates are signed by session keys, which the ledger's snapshot knows.
            None => self.timely(header.height),
        }
    }

    fn admit_signer(
        &self,
        header: &EnvelopeHeader,
        step: Step,
        set: Option<&ValidatorSet>,
    ) -> Admission {
        let Some(set) = set else {
            return Admission::UnknownSet;
        };
        let member = set
            .members()
            .iter()
            .find(|m| *m.consensus_key.as_bytes() == header.signer);
        let Some(member) = member else {
            return Admission::Foreign;
        };
        let key = member.consensus_key;
        let (height, round) = (header.height, header.round);
        let is_proposer = || {
            proposer(self.chain, set, height, round).is_some_and(|entry| entry.consensus_key == key)
        };
        if step == Step::Propose && !is_proposer() {
            return Admission::Foreign;
        }
        let point = SignPoint {
            height,
            round,
            step,
        };
        if self.pool.is_spent(key, point) {
            return Admission::Duplicate;
        }
        self.timely(height)
    }

    fn timely(&self, height: Height) -> Admission {
        if height < self.height {
            Admission::Late
        } else {
            Admission::Admit
        }
    }
}
