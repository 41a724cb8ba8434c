//! The small types: height, address, value, signing scheme.

use std::fmt;

use arc_malachitebft_core_types::{self as core, SigningScheme};
use protocol::digest::BlockId;
use protocol::keys::{BadSignature, PublicKey, Signature};
use protocol::units::Height;

use super::Ctx;

/// A height, as the core counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(crate) struct CoreHeight(pub(crate) Height);

impl fmt::Display for CoreHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl core::Height for CoreHeight {
    const ZERO: Self = Self(Height(0));
    const INITIAL: Self = Self(Height(1));

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.plus(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(Height(n)).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0.0
    }
}

/// A consensus key; `None` is an observer, who is in no set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct CoreAddress(pub(crate) Option<PublicKey>);

impl fmt::Display for CoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(key) => fmt::Display::fmt(key, f),
            None => f.write_str("observer"),
        }
    }
}

impl core::Address for CoreAddress {}

/// What is agreed on: a block, by its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct CoreValue(pub(crate) BlockId);

impl core::Value for CoreValue {
    type Id = BlockId;

    fn id(&self) -> BlockId {
        self.0
    }
}

/// Blocks travel beside the core, so its parts do not exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoParts {}

impl core::ProposalPart<Ctx> for NoParts {
    fn is_first(&self) -> bool {
        match *self {}
    }

    fn is_last(&self) -> bool {
        match *self {}
    }
}

/// secp256k1 as `protocol` does it. The core never holds a private key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scheme;

impl SigningScheme for Scheme {
    type DecodingError = BadSignature;
    type Signature = Signature;
    type PublicKey = PublicKey;
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Signature, BadSignature> {
        Signature::from_slice(bytes)
    }

    fn encode_signature(signature: &Signature) -> Vec<u8> {
        signature.0.to_vec()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, BadSignature> {
        PublicKey::from_slice(bytes).map_err(|_| BadSignature)
    }

    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}
