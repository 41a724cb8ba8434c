//! SHA-256, tagged hashes, and the identifiers made of them.
//!
//! `TH(tag, m) = SHA-256(SHA-256(tag) ‖ SHA-256(tag) ‖ m)`, the construction of BIP-340. Each purpose
//! has its own tag, so that no signature or id made for one purpose can ever serve another.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use bincode::{Decode, Encode};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// 32 bytes of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Digest(pub [u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected 64 hexadecimal digits")]
pub struct BadHex;

impl Digest {
    /// All zero; a marker, never the hash of anything known.
    pub const ZERO: Self = Self([0; 32]);

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadHex;

    fn from_str(text: &str) -> Result<Self, BadHex> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadHex)?;
        Ok(Self(bytes))
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
        pub struct $name(pub Digest);

        impl $name {
            /// All zero; a marker, never the id of anything.
            pub const ZERO: Self = Self(Digest::ZERO);

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = BadHex;

            fn from_str(text: &str) -> Result<Self, BadHex> {
                text.parse().map(Self)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self.as_bytes()
            }
        }
    };
}

identifier! {
    /// Which chain: `TH("palisade/chain/v1", genesis bytes)`. Signed into everything.
    ChainId
}
identifier! {
    /// Which block: `TH("palisade/block/v1", header)`.
    BlockId
}
identifier! {
    /// Which transaction: its signed digest.
    TxId
}
identifier! {
    /// Which job: protocol.md §1.
    JobId
}
identifier! {
    /// Which validator; survives its keys.
    ValidatorId
}
identifier! {
    /// Which offence: one per kind, validator, height and round.
    EvidenceId
}

/// Which account: the first 20 bytes of `TH("palisade/address/v1", public key)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Address(pub [u8; 20]);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AsRef<[u8]> for Address {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl ChainId {
    /// The id of the chain that these genesis bytes begin.
    #[must_use]
    pub fn of_genesis(bytes: &[u8]) -> Self {
        Self(th(Tag::Chain, &[bytes]))
    }
}

impl ValidatorId {
    /// The id a validator gets for life: `TH("palisade/validator/v1", chain ‖ operator ‖ nonce)`.
    #[must_use]
    pub fn derive(chain: &ChainId, operator: &Address, registration_nonce: u64) -> Self {
        let nonce = registration_nonce.to_be_bytes();
        Self(th(
            Tag::Validator,
            &[chain.as_ref(), operator.as_ref(), &nonce],
        ))
    }
}

/// Plain SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The tagged hash of the parts, joined without separators: fixed widths keep it unambiguous.
#[must_use]
pub fn th(tag: Tag, parts: &[&[u8]]) -> Digest {
    let mut hasher = tag.hasher();
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}

fn begun(tag: &str) -> Sha256 {
    let tag_hash = Sha256::digest(tag.as_bytes());
    let mut hasher = Sha256::new();
    hasher.update(tag_hash);
    hasher.update(tag_hash);
    hasher
}

macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Every purpose a hash can have, in one table.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Tag {
            $($(#[$doc])* $name,)*
        }

        impl Tag {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// A hasher that has taken in the tag's own 64 bytes: they are the same every time.
            fn hasher(self) -> Sha256 {
                match self {
                    $(Self::$name => {
                        static BEGUN: LazyLock<Sha256> = LazyLock::new(|| begun($text));
                        BEGUN.clone()
                    })*
                }
            }

            /// The tag's text, which is what is hashed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

tags! {
    /// Genesis bytes to chain id.
    Chain = "palisade/chain/v1";
    /// Public key to address.
    Address = "palisade/address/v1";
    /// Registration to validator id.
    Validator = "palisade/validator/v1";
    /// A transaction's signed digest and id.
    Tx = "palisade/tx/v1";
    /// Job id.
    Job = "palisade/job/v1";
    /// A job's specification.
    JobSpec = "palisade/job-spec/v1";
    /// Evidence id.
    Evidence = "palisade/evidence/v1";
    /// Proof that a registered key is held.
    Possession = "palisade/possession/v1";
    /// Sign of life before unjailing.
    Heartbeat = "palisade/heartbeat/v1";
    /// A sponsor's consent to pay.
    Sponsor = "palisade/sponsor/v1";
    /// Seed of a committee draw.
    Committee = "palisade/committee/v1";
    /// One draw from that seed.
    Draw = "palisade/draw/v1";
    /// Commit to a result.
    Commit = "palisade/commit/v1";
    /// Key from which commit salts are derived.
    SaltKey = "palisade/salt-key/v1";
    /// Root of an outcome without a result.
    Outcome = "palisade/outcome/v1";
    /// Root of a result.
    Result = "palisade/result/v1";
    /// Model manifest to model root.
    Model = "palisade/model/v1";
    /// Input manifest to input root.
    Input = "palisade/input/v1";
    /// Prevotes and precommits.
    Vote = "palisade/vote/v1";
    /// Proposals.
    Proposal = "palisade/proposal/v1";
    /// Certificates relayed by a validator.
    Certificate = "palisade/certificate/v1";
    /// Contradicting pairs relayed by a validator.
    Pair = "palisade/pair/v1";
    /// Block header to block id.
    Block = "palisade/block/v1";
    /// Block body to body hash.
    Body = "palisade/body/v1";
    /// Validator set to its digest.
    Set = "palisade/set/v1";
    /// Order of proposers.
    Proposer = "palisade/proposer/v1";
    /// A peer's proof that it serves a validator.
    PeerProof = "palisade/peer-proof/v1";
    /// A peer's address record.
    PeerRecord = "palisade/peer-record/v1";
    /// Gossip message id.
    GossipId = "palisade/gossip-id/v1";
    /// Requests signed by wallet (RFC 9421).
    Http = "palisade/http/v1";
    /// Conformance vectors of an engine.
    Conformance = "palisade/conformance/v1";
    /// Checkpoint of an audit log.
    Checkpoint = "palisade/checkpoint/v1";
    /// Keys derived from a seed on development chains.
    DevKey = "palisade/dev-key/v1";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tags_unique() {
        let texts: BTreeSet<_> = Tag::ALL.iter().map(|tag| tag.as_str()).collect();
        assert_eq!(texts.len(), Tag::ALL.len(), "two purposes share a tag");
    }

    #[test]
    fn chain_id_vector() {
        let text = ChainId::of_genesis(b"palisade-local").to_string();
        assert!(
            text.starts_with("769511a9") && text.ends_with("145911e5"),
            "{text}"
        );
    }

    #[test]
    fn hex_round_trip_and_refusals() {
        let digest = sha256(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("ab".parse::<Digest>(), Err(BadHex));
    }
}
