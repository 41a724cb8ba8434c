//! Bytes of one sign-state slot; pure.
//!
//! ```text
//! [magic "PLSS"][version u16][genesis 32][public key 33][seq u64][height u64][round u32][step u8]
//! [known u8][SHA-256 of sign bytes 32][wal seq u64][crc32c u32]            zeroes up to 4 KiB
//! ```

use protocol::digest::{ChainId, Digest};
use protocol::keys::PublicKey;
use protocol::units::{Height, Round};

use super::floor::{Floor, SignPoint, Step};
use crate::record::format::array;

/// First bytes of a slot.
pub const MAGIC: [u8; 4] = *b"PLSS";
/// The slot layout of this release.
pub const VERSION: u16 = 1;
/// A slot fills one page, so that writing one cannot tear the other.
pub const SLOT_BYTES: usize = 4096;
const COVERED_BYTES: usize = 133;

/// Whose signatures the slots record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignerIdentity {
    /// The chain.
    pub chain: ChainId,
    /// The key.
    pub public_key: PublicKey,
}

/// One slot's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whose signatures.
    pub identity: SignerIdentity,
    /// Counts the writes; the higher of two valid slots is the newer.
    pub seq: u64,
    /// The last point signed.
    pub floor: Floor,
    /// The WAL was durable up to here when the slot was written.
    pub wal_seq: u64,
}

/// Why bytes are not a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// Magic, checksum, step or key is wrong.
    #[error("slot is damaged")]
    Damaged,
    /// Intact, but written by a newer release.
    #[error("slot version {found} is newer than {VERSION}")]
    NewerVersion {
        /// The version found.
        found: u16,
    },
}

impl Slot {
    /// The slot's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SLOT_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(self.identity.chain.as_bytes());
        out.extend_from_slice(self.identity.public_key.as_bytes());
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.floor.point.height.0.to_be_bytes());
        out.extend_from_slice(&self.floor.point.round.0.to_be_bytes());
        out.push(self.floor.point.step as u8);
        out.push(u8::from(self.floor.sign_bytes.is_some()));
        out.extend_from_slice(self.floor.sign_bytes.unwrap_or(Digest::ZERO).as_bytes());
        out.extend_from_slice(&self.wal_seq.to_be_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out.resize(SLOT_BYTES, 0);
        out
    }

    /// Reads a slot back.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, SlotError> {
        Self::decode_intact(bytes)?.ok_or(SlotError::Damaged)
    }

    fn decode_intact(bytes: &[u8]) -> Result<Option<Self>, SlotError> {
        let covered = bytes.get(..COVERED_BYTES).ok_or(SlotError::Damaged)?;
        let crc: [u8; 4] = array(bytes, COVERED_BYTES).ok_or(SlotError::Damaged)?;
        if array(covered, 0) != Some(MAGIC) || crc != crc32c::crc32c(covered).to_be_bytes() {
            return Err(SlotError::Damaged);
        }
        let version = u16::from_be_bytes(array(covered, 4).ok_or(SlotError::Damaged)?);
        if version != VERSION {
            return Err(SlotError::NewerVersion { found: version });
        }
        Ok(Self::decode_fields(covered))
    }

    fn decode_fields(covered: &[u8]) -> Option<Self> {
        let chain = ChainId(Digest(array(covered, 6)?));
        let public_key = PublicKey::from_bytes(array(covered, 38)?).ok()?;
        let height = Height(u64::from_be_bytes(array(covered, 79)?));
        let round = Round(u32::from_be_bytes(array(covered, 87)?));
        let step = Step::from_byte(*covered.get(91)?)?;
        let sign_bytes = match covered.get(92)? {
            0 => None,
            _ => Some(Digest(array(covered, 93)?)),
        };
        Some(Self {
            identity: SignerIdentity { chain, public_key },
            seq: u64::from_be_bytes(array(covered, 71)?),
            floor: Floor {
                point: SignPoint {
                    height,
                    round,
                    step,
                },
                sign_bytes,
            },
            wal_seq: u64::from_be_bytes(array(covered, 125)?),
        })
    }
}
