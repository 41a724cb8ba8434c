//! Votes and proposals.

use protocol::digest::{BlockId, Digest};
use protocol::keys::{PublicKey, Signature};
use protocol::signed::{Message, Signed, Verified};
use protocol::units::{Height, Round};
use protocol::vote::{BodyPlace, Proposal, Vote};

use crate::bodies::Source;
use crate::context::{CoreInput, CoreProposal, CoreVote};
use crate::effect::Halt;
use crate::guard::{SignMark, SignPoint};
use crate::input::{Peer, Received};
use crate::limits::{EARLY_PER_VALIDATOR, ROUNDS_AHEAD_MAX};
use crate::machine::Machine;
use crate::planted::{self, Bug};
use crate::pool::{Added, Held};

/// What a message is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    /// The core wants it.
    Agreement,
    /// It may prove an offence, no more.
    Evidence,
}

impl Machine {
    pub(crate) fn on_message(&mut self, peer: &Peer, message: Received) {
        match message {
            Received::Vote(vote) => self.on_vote(peer, vote),
            Received::Proposal(proposal) => self.on_proposal(peer, proposal),
            Received::Certificate(relayed) => {
                self.on_certificate(peer, relayed.into_signed().message.certificate);
            }
        }
    }

    fn on_vote(&mut self, peer: &Peer, vote: Verified<Vote>) {
        let signed = vote.into_signed();
        let Vote { height, block, .. } = signed.message;
        if self.take_in(peer, Held::Vote(signed.clone())) {
            self.trust(&signed.message, signed.signature);
            if let Some(id) = block {
                self.host.bodies.holder(height, id, peer);
            }
            self.feed(CoreInput::Vote(CoreVote::signed(&signed)));
        }
    }

    fn on_proposal(&mut self, peer: &Peer, proposal: Verified<Proposal>) {
        let signed = proposal.into_signed();
        let Proposal {
            height,
            round,
            pol_round,
            signer,
            ..
        } = signed.message;
        let set = self.host.schedule.get(height);
        let is_proposer =
            set.is_some_and(|set| set.proposer_key(&self.host.chain, height, round) == signer);
        if !is_proposer || pol_round.is_some_and(|pol| pol >= round) {
            return;
        }
        if self.take_in(peer, Held::Proposal(signed.clone())) {
            self.trust(&signed.message, signed.signature);
            self.name(peer, &signed);
            self.feed(CoreInput::Proposal(CoreProposal::signed(&signed)));
        }
    }

    /// The checks that votes and proposals share; whether the core shall see it.
    fn take_in(&mut self, peer: &Peer, held: Held) -> bool {
        let (point, signer) = (held.point(), held.signer());
        if point.height > self.host.height {
            self.host.sync.hint(peer, point.height.previous());
        }
        let Some(usage) = self.usage(signer, point) else {
            return false;
        };
        if self.host.is_own(&signer) {
            self.check_own(&held);
            return false;
        }
        if self.host.pool.knows(&held) {
            return false;
        }
        if point.height > self.host.height && !self.queue_early(signer) {
            return false;
        }
        match self.host.pool(held) {
            Added::New | Added::Contradiction(_) => usage == Use::Agreement,
            Added::Same | Added::Further => false,
        }
    }

    fn usage(&self, signer: PublicKey, point: SignPoint) -> Option<Use> {
        self.host.schedule.get(point.height)?.power_of(&signer)?;
        let current = self.host.height;
        if point.height < current {
            return Some(Use::Evidence);
        }
        let base = if point.height == current {
            self.round()
        } else {
            Round::ZERO
        };
        if planted::is(Bug::NoAdmissionFilter) {
            return Some(Use::Agreement);
        }
        let is_near = point.height <= current.next()
            && point.round <= base.saturating_add(Round(ROUNDS_AHEAD_MAX));
        is_near.then_some(Use::Agreement)
    }

    /// Counts what a member of the next height queues; beyond its quota it waits for the height.
    fn queue_early(&mut self, signer: PublicKey) -> bool {
        let queued = self.host.pace.early.entry(signer).or_default();
        *queued = queued.saturating_add(1);
        *queued <= EARLY_PER_VALIDATOR
    }

    /// A message of our own key must be one that we signed.
    fn check_own(&mut self, held: &Held) {
        let (point, digest) = (held.point(), self.digest_of(held));
        let is_foreign = self.host.guard.is_foreign(&SignMark { point, digest });
        if is_foreign || self.host.pool.would_contradict(held) {
            self.host.halt(Halt::OwnKeyElsewhere {
                key: held.signer(),
                found: point,
            });
        }
    }

    fn digest_of(&self, held: &Held) -> Digest {
        match held {
            Held::Vote(vote) => vote.message.signing_digest(&self.host.chain),
            Held::Proposal(proposal) => proposal.message.signing_digest(&self.host.chain),
        }
    }

    fn trust(&self, message: &impl Message, signature: Signature) {
        let digest = message.signing_digest(&self.host.chain);
        self.host
            .verifier
            .trust(digest, message.signer(), signature);
    }

    /// Takes note of the block that a verified proposal names.
    fn name(&mut self, peer: &Peer, signed: &Signed<Proposal>) {
        let Proposal {
            height,
            round,
            pol_round,
            block,
            body,
            signer,
        } = signed.message;
        self.name_source(
            height,
            block,
            Source {
                round,
                pol_round,
                proposer: signer,
            },
        );
        self.host.bodies.holder(height, block, peer);
        match body {
            // It rides along and is the next input; only if it is not, somebody is asked.
            BodyPlace::Inline => self.watch_missing(),
            BodyPlace::Apart => self.fetch(height, block),
        }
    }

    pub(crate) fn name_source(&mut self, height: Height, block: BlockId, source: Source) {
        if let Some(item) = self.host.bodies.name(height, block) {
            item.source.get_or_insert(source);
        }
    }
}
