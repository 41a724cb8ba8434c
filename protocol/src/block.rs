//! Blocks: a fixed-width header that names everything, and a body of signed transactions.

use bincode::{Decode, Encode};
use thiserror::Error;

use crate::codec::{Canonical, CodecError, decode_canonical, encode};
use crate::digest::{BlockId, Digest, Tag, ValidatorId, th};
use crate::limits::BLOCK_BYTES_MAX;
use crate::units::{Height, TimeMs};

/// Version of the header's layout.
pub const HEADER_VERSION: u8 = 1;
/// A header's encoding has exactly this size.
pub const HEADER_BYTES: usize = 1 + 8 + 8 + 5 * 32;

/// What validators agree on; its tagged hash is the block id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Header {
    /// [`HEADER_VERSION`].
    pub version: u8,
    /// This block's height, from 1.
    pub height: Height,
    /// Rises 1 ms to 60 s a block; carries no verdict.
    pub time_ms: TimeMs,
    /// The block before; the chain id at height 1.
    pub parent: Digest,
    /// Root of the state after the block before.
    pub state_root: Digest,
    /// `TH("palisade/body/v1", body)`, signatures included.
    pub body_hash: Digest,
    /// Digest of the validator set of the next height.
    pub next_set: Digest,
    /// Who built it.
    pub builder: ValidatorId,
}

impl Canonical for Header {
    const BYTES_MAX: usize = HEADER_BYTES;
}

impl Header {
    /// `TH("palisade/block/v1", header)`.
    #[must_use]
    pub fn id(&self) -> BlockId {
        BlockId(th(Tag::Block, &[&encode(self)]))
    }
}

/// The transactions of a block, each the bytes of a `Signed<Tx>`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Body(pub Vec<Vec<u8>>);

impl Canonical for Body {
    const BYTES_MAX: usize = BLOCK_BYTES_MAX - HEADER_BYTES;
}

impl Body {
    /// The hash that the header names.
    #[must_use]
    pub fn hash(&self) -> Digest {
        th(Tag::Body, &[&encode(self)])
    }
}

/// A header with the body it names. What travels and is stored is `header ‖ body`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// What is agreed on.
    pub header: Header,
    /// What it names.
    pub body: Body,
}

/// Why bytes are not a block.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Header or body is not canonical.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Shorter than a header.
    #[error("{0} bytes are too few for a block")]
    TooShort(usize),
    /// Another layout.
    #[error("block version {found}, expected {HEADER_VERSION}")]
    Version {
        /// What the header says.
        found: u8,
    },
    /// The body is not the one the header names.
    #[error("body hash {found}, header names {named}")]
    BodyHash {
        /// Hash of the body that came.
        found: Digest,
        /// Hash in the header.
        named: Digest,
    },
}

impl Block {
    /// The id of its header.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.header.id()
    }

    /// `header ‖ body`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = encode(&self.header);
        bytes.extend_from_slice(&encode(&self.body));
        bytes
    }

    /// Reads `header ‖ body` and checks that they belong together.
    ///
    /// # Errors
    /// [`BlockError`] for bytes that are not exactly one well-formed block.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlockError> {
        let (head, rest) = bytes
            .split_at_checked(HEADER_BYTES)
            .ok_or(BlockError::TooShort(bytes.len()))?;
        let header: Header = decode_canonical(head)?;
        if header.version != HEADER_VERSION {
            return Err(BlockError::Version {
                found: header.version,
            });
        }
        let found = th(Tag::Body, &[rest]);
        if found != header.body_hash {
            return Err(BlockError::BodyHash {
                found,
                named: header.body_hash,
            });
        }
        Ok(Self {
            header,
            body: decode_canonical(rest)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        let body = Body(vec![vec![1, 2, 3], vec![]]);
        let header = Header {
            version: HEADER_VERSION,
            height: Height(1),
            time_ms: TimeMs(5),
            parent: Digest::ZERO,
            state_root: Digest::ZERO,
            body_hash: body.hash(),
            next_set: Digest::ZERO,
            builder: ValidatorId::ZERO,
        };
        Block { header, body }
    }

    #[test]
    fn header_has_fixed_width() {
        assert_eq!(encode(&block().header).len(), HEADER_BYTES);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = block().to_bytes();
        assert_eq!(Block::from_bytes(&bytes), Ok(block()));
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let same_id = Block::from_bytes(&changed).is_ok_and(|other| other.id() == block().id());
            assert!(!same_id, "byte {index} can change without changing the id");
        }
    }
}
