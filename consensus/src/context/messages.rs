//! Votes and proposals, to the core and back.

use arc_malachitebft_core_types::{
    self as core, NilOrVal, Round, SignedExtension, SignedMessage, VoteType,
};
use protocol::digest::{BlockId, ChainId, Digest};
use protocol::signed::{Message, Signed};
use protocol::units;
use protocol::vote::{BodyPlace, Proposal, Vote, VoteKind};

use super::{CoreAddress, CoreHeight, CoreValue, Ctx, SignedProposal, SignedVote};

/// Our round, if the core's is one.
pub(crate) fn our_round(round: Round) -> Option<units::Round> {
    round.as_u32().map(units::Round)
}

/// The core's round.
pub(crate) fn core_round(round: Option<units::Round>) -> Round {
    round.map_or(Round::Nil, |round| Round::new(round.0))
}

/// A vote as the core sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CoreVote {
    pub(crate) kind: VoteType,
    pub(crate) height: CoreHeight,
    pub(crate) round: Round,
    pub(crate) value: NilOrVal<BlockId>,
    pub(crate) address: CoreAddress,
}

impl CoreVote {
    /// The vote that is signed; `None` for votes that nobody can sign.
    pub(crate) fn to_ours(self) -> Option<Vote> {
        Some(Vote {
            kind: match self.kind {
                VoteType::Prevote => VoteKind::Prevote,
                VoteType::Precommit => VoteKind::Precommit,
            },
            height: self.height.0,
            round: our_round(self.round)?,
            block: match self.value {
                NilOrVal::Nil => None,
                NilOrVal::Val(id) => Some(id),
            },
            signer: self.address.0?,
        })
    }

    pub(crate) fn digest(self, chain: &ChainId) -> Option<Digest> {
        Some(self.to_ours()?.signing_digest(chain))
    }

    pub(crate) fn signed(vote: &Signed<Vote>) -> SignedVote {
        SignedMessage::new(Self::from(vote.message), vote.signature)
    }
}

impl From<Vote> for CoreVote {
    fn from(vote: Vote) -> Self {
        Self {
            kind: match vote.kind {
                VoteKind::Prevote => VoteType::Prevote,
                VoteKind::Precommit => VoteType::Precommit,
            },
            height: CoreHeight(vote.height),
            round: Round::new(vote.round.0),
            value: vote.block.map_or(NilOrVal::Nil, NilOrVal::Val),
            address: CoreAddress(Some(vote.signer)),
        }
    }
}

impl core::Vote<Ctx> for CoreVote {
    fn height(&self) -> CoreHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockId> {
        &self.value
    }

    fn take_value(self) -> NilOrVal<BlockId> {
        self.value
    }

    fn vote_type(&self) -> VoteType {
        self.kind
    }

    fn validator_address(&self) -> &CoreAddress {
        &self.address
    }

    fn extension(&self) -> Option<&SignedExtension<Ctx>> {
        None
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Ctx>> {
        None
    }

    fn extend(self, _: SignedExtension<Ctx>) -> Self {
        self
    }
}

/// A proposal as the core sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoreProposal {
    pub(crate) height: CoreHeight,
    pub(crate) round: Round,
    pub(crate) value: CoreValue,
    pub(crate) pol_round: Round,
    pub(crate) address: CoreAddress,
    /// Chosen when it is signed.
    pub(crate) place: BodyPlace,
}

/// Where the block is to be found is no part of what is proposed: replay derives a proposal anew and
/// must recognise the one in the log.
impl PartialEq for CoreProposal {
    fn eq(&self, other: &Self) -> bool {
        (
            self.height,
            self.round,
            self.value,
            self.pol_round,
            self.address,
        ) == (
            other.height,
            other.round,
            other.value,
            other.pol_round,
            other.address,
        )
    }
}

impl Eq for CoreProposal {}

impl CoreProposal {
    pub(crate) const fn new(
        height: CoreHeight,
        round: Round,
        value: CoreValue,
        pol_round: Round,
        address: CoreAddress,
    ) -> Self {
        Self {
            height,
            round,
            value,
            pol_round,
            address,
            place: BodyPlace::Apart,
        }
    }

    pub(crate) fn to_ours(self) -> Option<Proposal> {
        Some(Proposal {
            height: self.height.0,
            round: our_round(self.round)?,
            pol_round: our_round(self.pol_round),
            block: self.value.0,
            body: self.place,
            signer: self.address.0?,
        })
    }

    pub(crate) fn digest(self, chain: &ChainId) -> Option<Digest> {
        Some(self.to_ours()?.signing_digest(chain))
    }

    pub(crate) fn signed(proposal: &Signed<Proposal>) -> SignedProposal {
        SignedMessage::new(Self::from(proposal.message), proposal.signature)
    }
}

impl From<Proposal> for CoreProposal {
    fn from(proposal: Proposal) -> Self {
        Self {
            height: CoreHeight(proposal.height),
            round: Round::new(proposal.round.0),
            value: CoreValue(proposal.block),
            pol_round: core_round(proposal.pol_round),
            address: CoreAddress(Some(proposal.signer)),
            place: proposal.body,
        }
    }
}

impl core::Proposal<Ctx> for CoreProposal {
    fn height(&self) -> CoreHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &CoreValue {
        &self.value
    }

    fn take_value(self) -> CoreValue {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &CoreAddress {
        &self.address
    }
}
