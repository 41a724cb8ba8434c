//! Our types in the core's clothes.
//!
//! The core is generic over a context. Its value is a block id; its address is a consensus key,
//! because certificates name signers by key.

mod messages;
mod set;
mod words;

pub(crate) use messages::{CoreProposal, CoreVote, core_round, our_round};
pub(crate) use set::{CoreSet, Member};
pub(crate) use words::{CoreAddress, CoreHeight, CoreValue, NoParts, Scheme};

use arc_malachitebft_core_types::{Context, LinearTimeouts, NilOrVal, Round, VoteType};
use protocol::digest::{BlockId, ChainId};

/// Ties the core's types together and knows the chain.
#[derive(Clone, Debug)]
pub(crate) struct Ctx {
    pub(crate) chain: ChainId,
}

pub(crate) type SignedVote = arc_malachitebft_core_types::SignedVote<Ctx>;
pub(crate) type SignedProposal = arc_malachitebft_core_types::SignedProposal<Ctx>;
pub(crate) type CoreInput = arc_malachitebft_core_consensus::Input<Ctx>;
pub(crate) type CoreEffect = arc_malachitebft_core_consensus::Effect<Ctx>;
pub(crate) type CoreResume = arc_malachitebft_core_consensus::Resume<Ctx>;
pub(crate) type CoreState = arc_malachitebft_core_consensus::State<Ctx>;
pub(crate) type CoreError = arc_malachitebft_core_consensus::Error<Ctx>;

impl Context for Ctx {
    type Address = CoreAddress;
    type Height = CoreHeight;
    type ProposalPart = NoParts;
    type Proposal = CoreProposal;
    type Validator = Member;
    type ValidatorSet = CoreSet;
    type Timeouts = LinearTimeouts;
    type Value = CoreValue;
    type Vote = CoreVote;
    type Extension = ();
    type SigningScheme = Scheme;

    fn select_proposer<'a>(
        &self,
        set: &'a CoreSet,
        height: CoreHeight,
        round: Round,
    ) -> &'a Member {
        set.proposer(&self.chain, height.0, our_round(round).unwrap_or_default())
    }

    fn new_proposal(
        &self,
        height: CoreHeight,
        round: Round,
        value: CoreValue,
        pol_round: Round,
        address: CoreAddress,
    ) -> CoreProposal {
        CoreProposal::new(height, round, value, pol_round, address)
    }

    fn new_prevote(
        &self,
        height: CoreHeight,
        round: Round,
        value: NilOrVal<BlockId>,
        address: CoreAddress,
    ) -> CoreVote {
        CoreVote {
            kind: VoteType::Prevote,
            height,
            round,
            value,
            address,
        }
    }

    fn new_precommit(
        &self,
        height: CoreHeight,
        round: Round,
        value: NilOrVal<BlockId>,
        address: CoreAddress,
    ) -> CoreVote {
        CoreVote {
            kind: VoteType::Precommit,
            height,
            round,
            value,
            address,
        }
    }
}
