//! A validator's word that a peer speaks for it.
//!
//! ```text
//! version | role | validator_id 32 | length, peer_id | not_before | expires | signature 64
//! ```
//! The validator's *session* key signs `TH("palisade/peer-proof/v1", chain_id ‖ fields)`. Whoever
//! shows a proof that names another peer is not mistaken but lying, since the transport has already
//! proved who it is.

use libp2p::PeerId;
use protocol::digest::{ChainId, Digest, Tag, ValidatorId, th};
use protocol::keys::{PublicKey, SecretKey, Signature};
use protocol::limits::PEER_ID_BYTES_MAX;
use thiserror::Error;

use crate::role::Role;
use crate::wire::{Reader, WireError};

const VERSION: u8 = 1;

/// A proof is good for at most a day; holders renew it at half of that.
pub const PROOF_LIFETIME_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Two honest clocks may differ by this much.
const CLOCK_SKEW_MS: u64 = 60_000;

/// Longest encoding; leaves room in a `hello` for everything else.
pub(crate) const PROOF_BYTES_MAX: usize = 2 + 32 + 1 + PEER_ID_BYTES_MAX + 16 + 64;

/// The proof. Nothing about it is checked until [`Self::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Validator or sentry.
    pub role: Role,
    /// The validator that vouches.
    pub validator: ValidatorId,
    /// The peer it vouches for.
    pub peer: PeerId,
    /// Not valid before this time.
    pub not_before_ms: u64,
    /// Not valid after this time.
    pub expires_ms: u64,
    /// By the validator's session key.
    pub signature: Signature,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// It names another peer than the one that showed it.
    #[error("proof names {named}, shown by {shown_by}")]
    ForeignPeer {
        /// In the proof.
        named: Box<PeerId>,
        /// On the connection.
        shown_by: Box<PeerId>,
    },
    /// Out of its time, or valid for longer than a day.
    #[error("proof valid from {not_before_ms} to {expires_ms}, now {now_ms}")]
    Time {
        /// In the proof.
        not_before_ms: u64,
        /// In the proof.
        expires_ms: u64,
        /// Our clock.
        now_ms: u64,
    },
    /// Not signed by that validator's session key on this chain.
    #[error("signature is not the validator's session key's")]
    Signature,
}

impl Proof {
    /// Vouches for a peer.
    #[must_use]
    pub fn sign(
        session: &SecretKey,
        chain: &ChainId,
        role: Role,
        validator: ValidatorId,
        peer: PeerId,
        not_before_ms: u64,
    ) -> Self {
        let expires_ms = not_before_ms.saturating_add(PROOF_LIFETIME_MS_MAX);
        let mut proof = Self {
            role,
            validator,
            peer,
            not_before_ms,
            expires_ms,
            signature: Signature([0; 64]),
        };
        proof.signature = session.sign(&proof.digest(chain));
        proof
    }

    /// Checks the proof as shown by `shown_by`, against the session key registered for the
    /// validator it names.
    ///
    /// # Errors
    /// [`ProofError`]; only [`ProofError::ForeignPeer`] cannot happen to an honest peer.
    pub fn verify(
        &self,
        session: &PublicKey,
        chain: &ChainId,
        shown_by: PeerId,
        now_ms: u64,
    ) -> Result<(), ProofError> {
        self.check_peer(shown_by)?;
        let lifetime = self.expires_ms.saturating_sub(self.not_before_ms);
        let early = self.not_before_ms > now_ms.saturating_add(CLOCK_SKEW_MS);
        if early || now_ms > self.expires_ms || lifetime > PROOF_LIFETIME_MS_MAX {
            return Err(ProofError::Time {
                not_before_ms: self.not_before_ms,
                expires_ms: self.expires_ms,
                now_ms,
            });
        }
        session
            .verify(&self.digest(chain), &self.signature)
            .map_err(|_| ProofError::Signature)
    }

    /// Checks only that the proof names the peer that showed it; needs no key.
    ///
    /// # Errors
    /// [`ProofError::ForeignPeer`].
    pub fn check_peer(&self, shown_by: PeerId) -> Result<(), ProofError> {
        if self.peer == shown_by {
            return Ok(());
        }
        Err(ProofError::ForeignPeer {
            named: Box::new(self.peer),
            shown_by: Box::new(shown_by),
        })
    }

    fn digest(&self, chain: &ChainId) -> Digest {
        th(Tag::PeerProof, &[chain.as_ref(), &self.fields()])
    }

    fn fields(&self) -> Vec<u8> {
        let peer = self.peer.to_bytes();
        let mut out = vec![VERSION, self.role.code()];
        out.extend_from_slice(self.validator.as_ref());
        out.push(u8::try_from(peer.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&peer);
        out.extend_from_slice(&self.not_before_ms.to_be_bytes());
        out.extend_from_slice(&self.expires_ms.to_be_bytes());
        out
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.fields());
        out.extend_from_slice(&self.signature.0);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        if reader.u8()? != VERSION {
            return Err(WireError::Value("proof version"));
        }
        let role = match Role::from_code(reader.u8()?) {
            Some(role @ (Role::Validator | Role::Sentry)) => role,
            _ => return Err(WireError::Value("proof role")),
        };
        let validator = ValidatorId(reader.digest()?);
        let length = usize::from(reader.u8()?);
        if length > PEER_ID_BYTES_MAX {
            return Err(WireError::TooMany {
                found: length,
                max: PEER_ID_BYTES_MAX,
            });
        }
        let peer = PeerId::from_bytes(reader.bytes(length)?)
            .map_err(|_| WireError::Value("proof peer id"))?;
        Ok(Self {
            role,
            validator,
            peer,
            not_before_ms: reader.u64()?,
            expires_ms: reader.u64()?,
            signature: Signature(reader.array()?),
        })
    }
}
