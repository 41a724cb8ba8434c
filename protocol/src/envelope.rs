//! The bytes in which signed messages travel and are kept as evidence (network.md, Wire).
//!
//! ```text
//! 0     4     5      6       8       41      49     53   57       57+len     121+len
//! PLS1  kind  flags  0 (16)  signer  height  round  len  payload  signature  body
//! ```
//! The signature covers the chain id and bytes 4 to 57+len under the kind's tag. Transactions keep
//! their own digest, so their header must merely repeat what the transaction itself says.

use thiserror::Error;

use crate::codec::{Canonical, CodecError, decode_canonical, encode};
use crate::digest::{BlockId, ChainId, Digest, Tag, th};
use crate::keys::{KeyError, PublicKey, Signature};
use crate::limits::{
    BLOCK_BYTES_MAX, CERTIFICATE_BYTES_MAX, ENVELOPE_HEADER_BYTES, PAYLOAD_BYTES_MAX,
};
use crate::signed::Signed;
use crate::units::{Height, Round};
use crate::vote::{BodyPlace, Certificate, Pair, Proposal, RelayedCertificate, Vote, VoteKind};

/// First bytes of every envelope.
pub const MAGIC: [u8; 4] = *b"PLS1";
const FLAG_BODY: u8 = 1;
const VOTE_PAYLOAD_BYTES: usize = 33;
const PROPOSAL_PAYLOAD_BYTES: usize = 37;

/// What an envelope carries. Each kind belongs to exactly one topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// 1, topic `cons`.
    Prevote,
    /// 2, topic `cons`.
    Precommit,
    /// 3, topic `cons`.
    Proposal,
    /// 4, topic `cons`.
    Certificate,
    /// 8, topic `evid`.
    Pair,
    /// 16, topic `tx`: signed by a wallet or operator.
    Tx,
    /// 17, topic `duty`: signed by a session key.
    Duty,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Prevote,
        Self::Precommit,
        Self::Proposal,
        Self::Certificate,
        Self::Pair,
        Self::Tx,
        Self::Duty,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Prevote => 1,
            Self::Precommit => 2,
            Self::Proposal => 3,
            Self::Certificate => 4,
            Self::Pair => 8,
            Self::Tx => 16,
            Self::Duty => 17,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The longest payload of this kind.
    #[must_use]
    pub const fn payload_bytes_max(self) -> usize {
        match self {
            Self::Prevote | Self::Precommit => VOTE_PAYLOAD_BYTES,
            Self::Proposal => PROPOSAL_PAYLOAD_BYTES,
            Self::Certificate => CERTIFICATE_BYTES_MAX,
            Self::Pair | Self::Tx | Self::Duty => PAYLOAD_BYTES_MAX,
        }
    }

    const fn tag(self) -> Tag {
        match self {
            Self::Prevote | Self::Precommit => Tag::Vote,
            Self::Proposal => Tag::Proposal,
            Self::Certificate => Tag::Certificate,
            Self::Pair => Tag::Pair,
            Self::Tx | Self::Duty => Tag::Tx,
        }
    }
}

/// Why bytes are not an envelope of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Shorter than its own header and length say.
    #[error("truncated at {0} bytes")]
    Truncated(usize),
    /// Not `PLS1`, a reserved field that is not zero, or an unknown flag.
    #[error("not an envelope")]
    Magic,
    /// An unknown kind, or not the one this place takes.
    #[error("kind {0} does not belong here")]
    Kind(u8),
    /// The signer is not a key.
    #[error(transparent)]
    Signer(#[from] KeyError),
    /// The payload is longer than its kind allows.
    #[error("payload of {len} bytes, at most {max} allowed")]
    PayloadLength {
        /// What the header says.
        len: usize,
        /// What the kind allows.
        max: usize,
    },
    /// The payload is not that kind's canonical form, or contradicts the header.
    #[error("payload is not canonical")]
    Payload,
    /// The payload's canonical encoding is wrong.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Bytes after the envelope, or a body that the flags do not announce.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// What is signed: everything but magic, signature and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preimage {
    kind: Kind,
    flags: u8,
    signer: PublicKey,
    height: Height,
    round: Round,
    payload: Vec<u8>,
}

impl Preimage {
    pub(crate) fn of_vote(vote: &Vote) -> Self {
        let kind = match vote.kind {
            VoteKind::Prevote => Kind::Prevote,
            VoteKind::Precommit => Kind::Precommit,
        };
        let payload = vote.block.map_or_else(
            || vec![0; VOTE_PAYLOAD_BYTES],
            |block| [&[1], block.as_bytes().as_slice()].concat(),
        );
        let (height, round, signer) = (vote.height, vote.round, vote.signer);
        Self {
            kind,
            flags: 0,
            signer,
            height,
            round,
            payload,
        }
    }

    pub(crate) fn of_proposal(proposal: &Proposal) -> Self {
        let (known, pol) = proposal.pol_round.map_or((0, 0), |round| (1, round.0));
        let payload = [
            &[known],
            pol.to_be_bytes().as_slice(),
            proposal.block.as_bytes(),
        ]
        .concat();
        Self {
            kind: Kind::Proposal,
            flags: match proposal.body {
                BodyPlace::Apart => 0,
                BodyPlace::Inline => FLAG_BODY,
            },
            signer: proposal.signer,
            height: proposal.height,
            round: proposal.round,
            payload,
        }
    }

    pub(crate) fn of_certificate(relayed: &RelayedCertificate) -> Self {
        Self {
            kind: Kind::Certificate,
            flags: 0,
            signer: relayed.signer,
            height: relayed.certificate.height(),
            round: relayed.certificate.round(),
            payload: encode(&relayed.certificate),
        }
    }

    pub(crate) fn of_pair(pair: &Pair) -> Self {
        let halves = PairPayload {
            first: pair.first.clone(),
            second: pair.second.clone(),
        };
        Self {
            kind: Kind::Pair,
            flags: 0,
            signer: pair.signer,
            height: pair.height,
            round: pair.round,
            payload: encode(&halves),
        }
    }

    /// Bytes 4 to 57+len.
    fn bytes(&self) -> Vec<u8> {
        let len = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        let mut bytes = vec![self.kind.code(), self.flags, 0, 0];
        bytes.extend_from_slice(self.signer.as_bytes());
        bytes.extend_from_slice(&self.height.0.to_be_bytes());
        bytes.extend_from_slice(&self.round.0.to_be_bytes());
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The digest that the signer signs.
    #[must_use]
    pub fn digest(&self, chain: &ChainId) -> Digest {
        th(self.kind.tag(), &[chain.as_ref(), &self.bytes()])
    }

    fn seal(&self, signature: &Signature, body: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.bytes());
        bytes.extend_from_slice(&signature.0);
        bytes.extend_from_slice(body);
        bytes
    }
}

#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
struct PairPayload {
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Canonical for PairPayload {
    const BYTES_MAX: usize = PAYLOAD_BYTES_MAX;
}

/// The fixed part of an envelope, read without allocation: enough to decide whether the rest is
/// worth a signature check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EnvelopeHeader {
    /// What it carries.
    pub kind: Kind,
    /// Whether a body follows the signature.
    pub body: BodyPlace,
    /// Who claims to have signed. Only the prefix byte is checked here, not the curve.
    pub signer: [u8; 33],
    /// The height it is about; for transactions `valid_until`.
    pub height: Height,
    /// The round it is about; zero for transactions.
    pub round: Round,
    /// Payload length in bytes, within the kind's limit.
    pub payload_len: usize,
}

/// An envelope split into its parts, nothing verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// The fixed part.
    pub header: EnvelopeHeader,
    /// What the kind carries.
    pub payload: &'a [u8],
    /// The signature.
    pub signature: Signature,
    /// The block that rides inline, if the flags announce one.
    pub body: &'a [u8],
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], EnvelopeError> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or(EnvelopeError::Truncated(bytes.len()))
}

impl EnvelopeHeader {
    /// Reads the first 57 bytes.
    ///
    /// # Errors
    /// [`EnvelopeError`] for anything but a well-formed header within its kind's limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if array(bytes, 0)? != MAGIC || array(bytes, 6)? != [0, 0] {
            return Err(EnvelopeError::Magic);
        }
        let [code, flags] = array(bytes, 4)?;
        let kind = Kind::from_code(code).ok_or(EnvelopeError::Kind(code))?;
        let body = match (flags, kind) {
            (0, _) => BodyPlace::Apart,
            (FLAG_BODY, Kind::Proposal) => BodyPlace::Inline,
            _ => return Err(EnvelopeError::Magic),
        };
        let signer: [u8; 33] = array(bytes, 8)?;
        if !PublicKey::has_prefix(&signer) {
            return Err(EnvelopeError::Signer(KeyError::PublicKey));
        }
        let max = kind.payload_bytes_max();
        let len = usize::try_from(u32::from_be_bytes(array(bytes, 53)?)).unwrap_or(usize::MAX);
        if len > max {
            return Err(EnvelopeError::PayloadLength { len, max });
        }
        Ok(Self {
            kind,
            body,
            signer,
            height: Height(u64::from_be_bytes(array(bytes, 41)?)),
            round: Round(u32::from_be_bytes(array(bytes, 49)?)),
            payload_len: len,
        })
    }
}

impl<'a> Envelope<'a> {
    /// Splits an envelope. Exactly the announced bytes must be there.
    ///
    /// # Errors
    /// [`EnvelopeError`] for anything else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let header = EnvelopeHeader::parse(bytes)?;
        let truncated = EnvelopeError::Truncated(bytes.len());
        let rest = bytes
            .get(ENVELOPE_HEADER_BYTES..)
            .ok_or(truncated.clone())?;
        let (payload, rest) = rest
            .split_at_checked(header.payload_len)
            .ok_or(truncated.clone())?;
        let (signature, body) = rest.split_at_checked(Signature::LEN).ok_or(truncated)?;
        let signature = Signature::from_slice(signature).map_err(|_| EnvelopeError::Magic)?;
        let body_max = match header.body {
            BodyPlace::Apart => 0,
            BodyPlace::Inline => BLOCK_BYTES_MAX,
        };
        if body.len() > body_max {
            return Err(EnvelopeError::Trailing(body.len().saturating_sub(body_max)));
        }
        Ok(Self {
            header,
            payload,
            signature,
            body,
        })
    }

    fn signer(&self) -> Result<PublicKey, EnvelopeError> {
        Ok(PublicKey::from_bytes(self.header.signer)?)
    }

    fn refuse_kind<T>(&self) -> Result<T, EnvelopeError> {
        Err(EnvelopeError::Kind(self.header.kind.code()))
    }

    /// The vote inside, not verified.
    ///
    /// # Errors
    /// [`EnvelopeError`] if it carries something else or its payload is not canonical.
    pub fn to_vote(&self) -> Result<Signed<Vote>, EnvelopeError> {
        let kind = match self.header.kind {
            Kind::Prevote => VoteKind::Prevote,
            Kind::Precommit => VoteKind::Precommit,
            _ => return self.refuse_kind(),
        };
        let payload: &[u8; VOTE_PAYLOAD_BYTES] = self
            .payload
            .try_into()
            .map_err(|_| EnvelopeError::Payload)?;
        let (flag, id) = payload.split_first().ok_or(EnvelopeError::Payload)?;
        let id = Digest(id.try_into().map_err(|_| EnvelopeError::Payload)?);
        let block = match flag {
            0 if id == Digest::ZERO => None,
            1 => Some(BlockId(id)),
            _ => return Err(EnvelopeError::Payload),
        };
        let EnvelopeHeader { height, round, .. } = self.header;
        let message = Vote {
            kind,
            height,
            round,
            block,
            signer: self.signer()?,
        };
        Ok(Signed {
            message,
            signature: self.signature,
        })
    }

    /// The proposal inside, not verified. Its inline block is in [`Self::body`].
    ///
    /// # Errors
    /// As [`Self::to_vote`].
    pub fn to_proposal(&self) -> Result<Signed<Proposal>, EnvelopeError> {
        if self.header.kind != Kind::Proposal {
            return self.refuse_kind();
        }
        if self.payload.len() != PROPOSAL_PAYLOAD_BYTES {
            return Err(EnvelopeError::Payload);
        }
        let [known] = array(self.payload, 0)?;
        let pol = u32::from_be_bytes(array(self.payload, 1)?);
        let pol_round = match (known, pol) {
            (0, 0) => None,
            (1, pol) => Some(Round(pol)),
            _ => return Err(EnvelopeError::Payload),
        };
        let message = Proposal {
            height: self.header.height,
            round: self.header.round,
            pol_round,
            block: BlockId(Digest(array(self.payload, 5)?)),
            body: self.header.body,
            signer: self.signer()?,
        };
        Ok(Signed {
            message,
            signature: self.signature,
        })
    }

    /// The certificate inside, neither it nor its relay verified.
    ///
    /// # Errors
    /// As [`Self::to_vote`].
    pub fn to_certificate(&self) -> Result<Signed<RelayedCertificate>, EnvelopeError> {
        if self.header.kind != Kind::Certificate {
            return self.refuse_kind();
        }
        let certificate: Certificate = decode_canonical(self.payload)?;
        if certificate.height() != self.header.height || certificate.round() != self.header.round {
            return Err(EnvelopeError::Payload);
        }
        let message = RelayedCertificate {
            certificate,
            signer: self.signer()?,
        };
        Ok(Signed {
            message,
            signature: self.signature,
        })
    }

    /// The contradicting pair inside, neither it nor its relay verified.
    ///
    /// # Errors
    /// As [`Self::to_vote`].
    pub fn to_pair(&self) -> Result<Signed<Pair>, EnvelopeError> {
        if self.header.kind != Kind::Pair {
            return self.refuse_kind();
        }
        let PairPayload { first, second } = decode_canonical(self.payload)?;
        let EnvelopeHeader { height, round, .. } = self.header;
        let message = Pair {
            height,
            round,
            first,
            second,
            signer: self.signer()?,
        };
        Ok(Signed {
            message,
            signature: self.signature,
        })
    }

    /// The transaction's own bytes and signature, as `Signed<Tx>` is written everywhere else.
    ///
    /// # Errors
    /// [`EnvelopeError::Kind`] if it carries something else.
    pub fn to_tx_bytes(&self) -> Result<Vec<u8>, EnvelopeError> {
        match self.header.kind {
            Kind::Tx | Kind::Duty => Ok([self.payload, &self.signature.0].concat()),
            _ => self.refuse_kind(),
        }
    }
}

/// A vote's envelope.
#[must_use]
pub fn seal_vote(vote: &Signed<Vote>) -> Vec<u8> {
    Preimage::of_vote(&vote.message).seal(&vote.signature, &[])
}

/// A proposal's envelope. `block` is appended if the proposal says [`BodyPlace::Inline`]; evidence
/// passes the empty slice.
#[must_use]
pub fn seal_proposal(proposal: &Signed<Proposal>, block: &[u8]) -> Vec<u8> {
    let body = match proposal.message.body {
        BodyPlace::Apart => &[],
        BodyPlace::Inline => block,
    };
    Preimage::of_proposal(&proposal.message).seal(&proposal.signature, body)
}

/// A relayed certificate's envelope.
#[must_use]
pub fn seal_certificate(relayed: &Signed<RelayedCertificate>) -> Vec<u8> {
    Preimage::of_certificate(&relayed.message).seal(&relayed.signature, &[])
}

/// A relayed pair's envelope.
#[must_use]
pub fn seal_pair(pair: &Signed<Pair>) -> Vec<u8> {
    Preimage::of_pair(&pair.message).seal(&pair.signature, &[])
}

/// A transaction's envelope: `kind` is [`Kind::Tx`] or [`Kind::Duty`], `tx` its canonical bytes
/// without the signature, `signer` and `valid_until` what those bytes say.
#[must_use]
pub fn seal_tx(
    kind: Kind,
    tx: &[u8],
    signer: PublicKey,
    valid_until: Height,
    signature: &Signature,
) -> Vec<u8> {
    let payload = tx.to_vec();
    let preimage = Preimage {
        kind,
        flags: 0,
        signer,
        height: valid_until,
        round: Round::ZERO,
        payload,
    };
    preimage.seal(signature, &[])
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
