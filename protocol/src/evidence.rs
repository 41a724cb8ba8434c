//! Evidence: two messages signed by one validator that no honest software would both sign.
//!
//! Messages are compared, never signatures: a signer can make many signatures for one message.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use thiserror::Error;

use crate::digest::{BlockId, ChainId, EvidenceId, Tag, ValidatorId, th};
use crate::envelope::{Envelope, EnvelopeError};
use crate::keys::{BadSignature, PublicKey};
use crate::limits::EVIDENCE_MESSAGE_BYTES_MAX;
use crate::signed::Signed;
use crate::units::{Height, Round};
use crate::vote::{Proposal, Vote};

/// What a pair of messages proves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EvidenceKind {
    /// 1: two votes of one kind in one round.
    DoubleVote,
    /// 2: two proposals in one round.
    DoubleProposal,
}

impl EvidenceKind {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::DoubleVote => 1,
            Self::DoubleProposal => 2,
        }
    }

    /// The name people, metrics and JSON use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoubleVote => "double_vote",
            Self::DoubleProposal => "double_proposal",
        }
    }
}

impl Encode for EvidenceKind {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.code().encode(encoder)
    }
}

impl<Context> Decode<Context> for EvidenceKind {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        match u8::decode(decoder)? {
            1 => Ok(Self::DoubleVote),
            2 => Ok(Self::DoubleProposal),
            _ => Err(DecodeError::Other("not a kind of evidence")),
        }
    }
}

bincode::impl_borrow_decode!(EvidenceKind);

/// `TH("palisade/evidence/v1", kind ‖ validator ‖ height ‖ round)`: one offence, however many pairs
/// prove it.
#[must_use]
pub fn evidence_id(
    kind: EvidenceKind,
    validator: &ValidatorId,
    height: Height,
    round: Round,
) -> EvidenceId {
    let (height, round) = (height.0.to_be_bytes(), round.0.to_be_bytes());
    EvidenceId(th(
        Tag::Evidence,
        &[&[kind.code()], validator.as_ref(), &height, &round],
    ))
}

/// Why two byte strings prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PairError {
    /// Longer than an envelope without body.
    #[error("message of {len} bytes, at most {EVIDENCE_MESSAGE_BYTES_MAX} allowed")]
    TooLong {
        /// What arrived.
        len: usize,
    },
    /// Not an envelope of the claimed kind.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A body was left on: one pair would have many forms.
    #[error("message carries a body")]
    Body,
    /// Two different keys.
    #[error("signed by {0} and {1}")]
    Signers(PublicKey, PublicKey),
    /// Different heights, rounds or types: both may be said.
    #[error("messages of different height, round or type")]
    Slots,
    /// The same value twice.
    #[error("both messages say the same")]
    SameValue,
    /// A signature does not verify.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// A pair whose messages contradict each other. Whether their signatures hold is not known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ContradictingPair {
    /// Two votes.
    Votes(Signed<Vote>, Signed<Vote>),
    /// Two proposals.
    Proposals(Signed<Proposal>, Signed<Proposal>),
}

impl ContradictingPair {
    /// Reads a pair and compares the messages; cheap, no signature is checked.
    ///
    /// # Errors
    /// [`PairError`] if the two may honestly stand side by side.
    pub fn parse(kind: EvidenceKind, a: &[u8], b: &[u8]) -> Result<Self, PairError> {
        let (a, b) = (envelope(a)?, envelope(b)?);
        match kind {
            EvidenceKind::DoubleVote => Self::votes(a.to_vote()?, b.to_vote()?),
            EvidenceKind::DoubleProposal => Self::proposals(a.to_proposal()?, b.to_proposal()?),
        }
    }

    /// Compares two votes.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn votes(a: Signed<Vote>, b: Signed<Vote>) -> Result<Self, PairError> {
        let (x, y) = (&a.message, &b.message);
        same_signer(x.signer, y.signer)?;
        same_slot((x.height, x.round, x.kind), (y.height, y.round, y.kind))?;
        different_value(x.block, y.block)?;
        Ok(Self::Votes(a, b))
    }

    /// Compares two proposals.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn proposals(a: Signed<Proposal>, b: Signed<Proposal>) -> Result<Self, PairError> {
        let (x, y) = (&a.message, &b.message);
        same_signer(x.signer, y.signer)?;
        same_slot((x.height, x.round), (y.height, y.round))?;
        different_value(Some(x.block), Some(y.block))?;
        Ok(Self::Proposals(a, b))
    }

    /// What the pair proves.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        match self {
            Self::Votes(..) => EvidenceKind::DoubleVote,
            Self::Proposals(..) => EvidenceKind::DoubleProposal,
        }
    }

    /// Whose consensus key signed both, claimed.
    #[must_use]
    pub const fn signer(&self) -> PublicKey {
        match self {
            Self::Votes(a, _) => a.message.signer,
            Self::Proposals(a, _) => a.message.signer,
        }
    }

    /// The height of both.
    #[must_use]
    pub const fn height(&self) -> Height {
        match self {
            Self::Votes(a, _) => a.message.height,
            Self::Proposals(a, _) => a.message.height,
        }
    }

    /// The round of both.
    #[must_use]
    pub const fn round(&self) -> Round {
        match self {
            Self::Votes(a, _) => a.message.round,
            Self::Proposals(a, _) => a.message.round,
        }
    }

    /// Checks both signatures.
    ///
    /// # Errors
    /// [`PairError::Signature`] if one does not verify.
    pub fn verify(&self, chain: &ChainId) -> Result<(), PairError> {
        match self {
            Self::Votes(a, b) => {
                a.clone().verify(chain)?;
                b.clone().verify(chain)?;
            }
            Self::Proposals(a, b) => {
                a.clone().verify(chain)?;
                b.clone().verify(chain)?;
            }
        }
        Ok(())
    }
}

fn envelope(bytes: &[u8]) -> Result<Envelope<'_>, PairError> {
    if bytes.len() > EVIDENCE_MESSAGE_BYTES_MAX {
        return Err(PairError::TooLong { len: bytes.len() });
    }
    let envelope = Envelope::parse(bytes)?;
    if envelope.body.is_empty() {
        Ok(envelope)
    } else {
        Err(PairError::Body)
    }
}

fn same_signer(a: PublicKey, b: PublicKey) -> Result<(), PairError> {
    if a == b {
        Ok(())
    } else {
        Err(PairError::Signers(a, b))
    }
}

fn same_slot<T: PartialEq>(a: T, b: T) -> Result<(), PairError> {
    if a == b {
        Ok(())
    } else {
        Err(PairError::Slots)
    }
}

fn different_value(a: Option<BlockId>, b: Option<BlockId>) -> Result<(), PairError> {
    if a == b {
        Err(PairError::SameValue)
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "evidence_tests.rs"]
mod tests;
