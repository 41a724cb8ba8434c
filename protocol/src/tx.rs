//! Transactions: everything that can change the ledger, each signed by exactly one key.
//!
//! ```text
//! version  key kind  signer  nonce  fee  valid_until  anchor?  body            | signature
//! u8 = 1   u8        33      u64    u64  u64          1 or 33  u32 kind, fields | 64
//! \________________________ Tx, the signed bytes ________________________________/
//! ```
//! The chain id is signed but not sent. `Signed<Tx>` is the bytes of the transaction followed by the
//! signature, everywhere: on the wire, in a block, in the API.

mod body;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use thiserror::Error;

pub use body::{
    Bond, CancelJob, CommitResult, Decline, InputUnavailable, RegisterValidator, RevealResult,
    RevealedOutput, SubmitEvidence, SubmitJob, Transfer, TxBody, TxKind, Unbond, Unjail,
    heartbeat_digest, possession_digest,
};

use crate::codec::{Canonical, CodecError, decode_canonical, encode};
use crate::digest::{ChainId, Digest, Tag, TxId, th};
use crate::keys::{PublicKey, Signature};
use crate::limits::SIGNED_TX_BYTES_MAX;
use crate::signed::{Message, Signed};
use crate::units::{Amount, Height};

/// Version of the layout above.
pub const TX_VERSION: u8 = 1;
/// What every paid transaction costs, in upal.
pub const FEE_BASE: u64 = 100;
/// What each byte of `Signed<Tx>` costs, in upal.
pub const FEE_PER_BYTE: u64 = 2;
/// What each signature to check costs, in upal.
pub const FEE_PER_SIGNATURE: u64 = 500;

/// What the signing key stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyKind {
    /// 0: the key of an account, derived from it.
    Wallet,
    /// 1: the session key of a validator, which resolves to the validator holding it now.
    Session,
}

impl KeyKind {
    const fn code(self) -> u8 {
        match self {
            Self::Wallet => 0,
            Self::Session => 1,
        }
    }
}

impl Encode for KeyKind {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.code().encode(encoder)
    }
}

impl<Context> Decode<Context> for KeyKind {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        match u8::decode(decoder)? {
            0 => Ok(Self::Wallet),
            1 => Ok(Self::Session),
            _ => Err(DecodeError::Other("not a key kind")),
        }
    }
}

bincode::impl_borrow_decode!(KeyKind);

/// A transaction without its signature.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Tx {
    /// [`TX_VERSION`].
    pub version: u8,
    /// What the signer's key stands for.
    pub key_kind: KeyKind,
    /// Who signs.
    pub signer: PublicKey,
    /// The account's next number; 0 for session keys.
    pub nonce: u64,
    /// What the sender pays for inclusion, taken whole; 0 for session keys.
    pub fee: Amount,
    /// The last height that may include it.
    pub valid_until: Height,
    /// The sender's latest audit checkpoint (storage.md), if it keeps an audit log.
    pub anchor: Option<Digest>,
    /// What is asked for.
    pub body: TxBody,
}

impl Canonical for Tx {
    const BYTES_MAX: usize = SIGNED_TX_BYTES_MAX - Signature::LEN;
}

impl Message for Tx {
    fn signing_digest(&self, chain: &ChainId) -> Digest {
        digest_of_bytes(&encode(self), chain)
    }

    fn signer(&self) -> PublicKey {
        self.signer
    }
}

/// The signed digest of a transaction's bytes as received.
#[must_use]
pub fn digest_of_bytes(tx: &[u8], chain: &ChainId) -> Digest {
    th(Tag::Tx, &[chain.as_ref(), tx])
}

/// Why bytes are not a signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TxDecodeError {
    /// Longer than any transaction may be; nothing was decoded.
    #[error("{len} bytes, at most {SIGNED_TX_BYTES_MAX} allowed")]
    TooLong {
        /// What arrived.
        len: usize,
    },
    /// Shorter than a signature.
    #[error("{0} bytes are too few for a signed transaction")]
    TooShort(usize),
    /// Not the canonical bytes of a transaction.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A layout this release does not know.
    #[error("transaction version {found}, expected {TX_VERSION}")]
    Version {
        /// What the first byte says.
        found: u8,
    },
}

impl TxDecodeError {
    /// The stable machine code of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "tx.too_long",
            Self::TooShort(_) | Self::Codec(_) => "tx.malformed",
            Self::Version { .. } => "tx.version",
        }
    }
}

impl Signed<Tx> {
    /// Transaction bytes, then the signature.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = encode(&self.message);
        bytes.extend_from_slice(&self.signature.0);
        bytes
    }

    /// Reads exactly one signed transaction; the signature is not checked.
    ///
    /// # Errors
    /// [`TxDecodeError`] for anything but the canonical bytes of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TxDecodeError> {
        if bytes.len() > SIGNED_TX_BYTES_MAX {
            return Err(TxDecodeError::TooLong { len: bytes.len() });
        }
        let short = TxDecodeError::TooShort(bytes.len());
        let split = bytes
            .len()
            .checked_sub(Signature::LEN)
            .ok_or(short.clone())?;
        let (tx, signature) = bytes.split_at_checked(split).ok_or(short.clone())?;
        match tx.first() {
            Some(&TX_VERSION) => {}
            Some(&found) => return Err(TxDecodeError::Version { found }),
            None => return Err(short),
        }
        let signature = Signature::from_slice(signature).map_err(|_| short)?;
        Ok(Self {
            message: decode_canonical(tx)?,
            signature,
        })
    }

    /// The transaction's id: its signed digest, so it does not depend on the signature.
    #[must_use]
    pub fn tx_id(&self, chain: &ChainId) -> TxId {
        TxId(self.message.signing_digest(chain))
    }

    /// Length of [`Self::to_bytes`].
    #[must_use]
    pub fn byte_len(&self) -> usize {
        encode(&self.message).len().saturating_add(Signature::LEN)
    }

    /// The smallest fee this transaction may offer. Session keys pay nothing.
    #[must_use]
    pub fn fee_min(&self) -> Amount {
        match self.message.key_kind {
            KeyKind::Session => Amount::ZERO,
            KeyKind::Wallet => fee_for(self.byte_len(), self.message.body.signatures()),
        }
    }
}

/// What the first transfer to an address costs its sender on top, burned: everybody keeps the new
/// account for ever. As much as a seat earns at least, some ten transaction fees.
pub const ACCOUNT_FEE: Amount = Amount(10_000);

/// The fee for so many bytes of `Signed<Tx>` and so many signatures.
#[must_use]
pub fn fee_for(bytes: usize, signatures: u64) -> Amount {
    let bytes = u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .saturating_mul(FEE_PER_BYTE);
    let signatures = signatures.saturating_mul(FEE_PER_SIGNATURE);
    Amount(FEE_BASE.saturating_add(bytes).saturating_add(signatures))
}

#[cfg(test)]
mod tests;
