//! What validators sign to agree: votes, proposals, and the certificates made of votes.
//!
//! The signed bytes are those of the envelope (network.md, Wire), so a vote in a certificate, in
//! evidence and on the wire is one and the same.

use bincode::{Decode, Encode};
use thiserror::Error;

use crate::codec::Canonical;
use crate::digest::{BlockId, ChainId, Digest};
use crate::envelope::Preimage;
use crate::keys::{PublicKey, Signature};
use crate::limits::CERTIFICATE_BYTES_MAX;
use crate::signed::Message;
use crate::units::{Height, Round};
use crate::validators::ValidatorSet;

/// The two votes of a round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub enum VoteKind {
    /// First vote.
    Prevote,
    /// Second vote; a quorum of these commits a block.
    Precommit,
}

/// One vote. It holds no time, so the same vote always has the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct Vote {
    /// Which of the two.
    pub kind: VoteKind,
    /// For which height.
    pub height: Height,
    /// In which round.
    pub round: Round,
    /// For which block; `None` is nil.
    pub block: Option<BlockId>,
    /// The voter's consensus key.
    pub signer: PublicKey,
}

impl Message for Vote {
    fn signing_digest(&self, chain: &ChainId) -> Digest {
        Preimage::of_vote(self).digest(chain)
    }

    fn signer(&self) -> PublicKey {
        self.signer
    }
}

/// Where a proposal's block is to be found. Signed, so that no relay can strip or add a body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub enum BodyPlace {
    /// Pulled by block id.
    Apart,
    /// Appended to the proposal.
    Inline,
}

/// One proposal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct Proposal {
    /// For which height.
    pub height: Height,
    /// In which round.
    pub round: Round,
    /// The earlier round in which the block had a quorum of prevotes, if any.
    pub pol_round: Option<Round>,
    /// The block proposed.
    pub block: BlockId,
    /// Where the block is.
    pub body: BodyPlace,
    /// The proposer's consensus key.
    pub signer: PublicKey,
}

impl Message for Proposal {
    fn signing_digest(&self, chain: &ChainId) -> Digest {
        Preimage::of_proposal(self).digest(chain)
    }

    fn signer(&self) -> PublicKey {
        self.signer
    }
}

/// One voter's part of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct CertificateSignature {
    /// The voter's consensus key.
    pub signer: PublicKey,
    /// Over the vote that the certificate implies.
    pub signature: Signature,
}

/// More than two thirds of the power precommitted one block: it is final.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct CommitCertificate {
    /// At which height.
    pub height: Height,
    /// In which round.
    pub round: Round,
    /// Which block.
    pub block: BlockId,
    /// By whom, in ascending order of key.
    pub signatures: Vec<CertificateSignature>,
}

/// More than two thirds of the power prevoted one block.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct PolkaCertificate {
    /// At which height.
    pub height: Height,
    /// In which round.
    pub round: Round,
    /// Which block.
    pub block: BlockId,
    /// By whom.
    pub signatures: Vec<CertificateSignature>,
}

/// Why a round was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum RoundCertificateKind {
    /// A quorum of precommits for differing values.
    Precommit,
    /// More than a third of the power is in this round already.
    Skip,
}

/// One voter's part of a round certificate, whose votes may differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct RoundSignature {
    /// Which vote.
    pub kind: VoteKind,
    /// For which block; `None` is nil.
    pub block: Option<BlockId>,
    /// The voter's consensus key.
    pub signer: PublicKey,
    /// Over that vote.
    pub signature: Signature,
}

/// Votes that let others enter a round.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct RoundCertificate {
    /// At which height.
    pub height: Height,
    /// Which round.
    pub round: Round,
    /// Which rule.
    pub kind: RoundCertificateKind,
    /// The votes.
    pub signatures: Vec<RoundSignature>,
}

/// A certificate that helps peers along.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Certificate {
    /// Prevotes for one block.
    Polka(PolkaCertificate),
    /// Votes of one round.
    Round(RoundCertificate),
    /// A decision.
    Commit(CommitCertificate),
}

impl Canonical for Certificate {
    const BYTES_MAX: usize = CERTIFICATE_BYTES_MAX;
}

impl Canonical for CommitCertificate {
    const BYTES_MAX: usize = CERTIFICATE_BYTES_MAX;
}

impl Certificate {
    /// The height it is about.
    #[must_use]
    pub const fn height(&self) -> Height {
        match self {
            Self::Polka(polka) => polka.height,
            Self::Round(round) => round.height,
            Self::Commit(commit) => commit.height,
        }
    }

    /// The round it is about.
    #[must_use]
    pub const fn round(&self) -> Round {
        match self {
            Self::Polka(polka) => polka.round,
            Self::Round(round) => round.round,
            Self::Commit(commit) => commit.round,
        }
    }
}

/// A certificate as a validator relays it: the votes inside prove themselves, the session key of the
/// relaying validator answers for sending it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayedCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// The relaying validator's session key.
    pub signer: PublicKey,
}

impl Message for RelayedCertificate {
    fn signing_digest(&self, chain: &ChainId) -> Digest {
        Preimage::of_certificate(self).digest(chain)
    }

    fn signer(&self) -> PublicKey {
        self.signer
    }
}

/// A contradicting pair as a validator relays it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The height of both.
    pub height: Height,
    /// The round of both.
    pub round: Round,
    /// One signed message: envelope bytes without a body.
    pub first: Vec<u8>,
    /// One that contradicts it.
    pub second: Vec<u8>,
    /// The relaying validator's session key.
    pub signer: PublicKey,
}

impl Message for Pair {
    fn signing_digest(&self, chain: &ChainId) -> Digest {
        Preimage::of_pair(self).digest(chain)
    }

    fn signer(&self) -> PublicKey {
        self.signer
    }
}

/// Why a commit certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Keys are not strictly ascending: a voter may be counted twice.
    #[error("signers are not in strictly ascending order")]
    Order,
    /// A signer is not in the set of this height.
    #[error("{0} is not a validator at this height")]
    UnknownSigner(PublicKey),
    /// A signature is not over the implied vote.
    #[error("signature of {0} does not verify")]
    BadSignature(PublicKey),
    /// Two thirds of the power or less.
    #[error("power {found} of {total} is not more than two thirds")]
    TooFew {
        /// Power that signed.
        found: u64,
        /// Power of the set.
        total: u64,
    },
}

impl CommitCertificate {
    /// The precommit that a signer of this certificate signed.
    #[must_use]
    pub const fn vote(&self, signer: PublicKey) -> Vote {
        Vote {
            kind: VoteKind::Precommit,
            height: self.height,
            round: self.round,
            block: Some(self.block),
            signer,
        }
    }

    /// Checks that more than two thirds of this set's power signed, each member once.
    ///
    /// # Errors
    /// [`CertificateError`] naming the first flaw.
    pub fn verify(&self, set: &ValidatorSet, chain: &ChainId) -> Result<(), CertificateError> {
        let mut power: u64 = 0;
        let mut last: Option<PublicKey> = None;
        for part in &self.signatures {
            if last.is_some_and(|last| last >= part.signer) {
                return Err(CertificateError::Order);
            }
            last = Some(part.signer);
            let member = set
                .get_by_key(&part.signer)
                .ok_or(CertificateError::UnknownSigner(part.signer))?;
            part.signer
                .verify(
                    &self.vote(part.signer).signing_digest(chain),
                    &part.signature,
                )
                .map_err(|_| CertificateError::BadSignature(part.signer))?;
            power = power.saturating_add(member.power);
        }
        if set.is_quorum(power) {
            return Ok(());
        }
        Err(CertificateError::TooFew {
            found: power,
            total: set.total_power(),
        })
    }
}

#[cfg(test)]
#[path = "vote_tests.rs"]
mod tests;
