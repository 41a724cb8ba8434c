//! The write-ahead log: what consensus must not forget about heights that are still open.
//!
//! A record's kind says which of the three shapes its payload has; the bytes within are
//! consensus's own and opaque here, except for the point at which an own message was signed,
//! which is part of the floor at the next start.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use protocol::digest::{BlockId, ChainId, Digest};
use protocol::limits::{BLOCK_BYTES_MAX, CERTIFICATE_BYTES_MAX};
use protocol::units::{Height, Round};

use crate::layer::FileLayer;
use crate::record::format::{FileKind, Identity, array};
use crate::record::log::{FoundRecord, LogConfig, LogError, OnDamage, Opening, RecordLog};
use crate::sign::floor::{Floor, SignMark, SignPoint, Step};

/// Limit of an entry that is no body.
pub const ENTRY_BYTES_MAX: usize = 64 << 10;
/// Limit of a body with its header.
pub const BODY_BYTES_MAX: usize = BLOCK_BYTES_MAX + (64 << 10);
/// Height, round, step and digest in front of an entry.
const ENTRY_HEADER_BYTES_MAX: usize = 8 + 4 + 1 + 32;
const _: () = assert!(ENTRY_BYTES_MAX < BODY_BYTES_MAX);
const _: () = assert!(CERTIFICATE_BYTES_MAX < ENTRY_BYTES_MAX);

/// One entry of the write-ahead log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalEntry {
    /// An input of the core: a message, a timeout, a verdict, a certificate.
    Input {
        /// The height it belongs to.
        height: Height,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A message signed by this node.
    Own {
        /// What was signed.
        mark: SignMark,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The body of a block of an open height.
    Body {
        /// The height it belongs to.
        height: Height,
        /// Its block.
        id: BlockId,
        /// Header and body.
        bytes: Vec<u8>,
    },
}

impl WalEntry {
    /// The height the entry belongs to.
    #[must_use]
    pub const fn height(&self) -> Height {
        match self {
            Self::Input { height, .. } | Self::Body { height, .. } => *height,
            Self::Own { mark, .. } => mark.point.height,
        }
    }

    /// What was signed, for an own message.
    #[must_use]
    pub const fn mark(&self) -> Option<SignMark> {
        match self {
            Self::Own { mark, .. } => Some(*mark),
            _ => None,
        }
    }

    /// Checks the entry's length.
    ///
    /// # Errors
    /// When it is too long.
    pub fn check(&self) -> Result<(), LogError> {
        let (found, limit) = match self {
            Self::Body { bytes, .. } => (bytes.len(), BODY_BYTES_MAX),
            Self::Input { bytes, .. } | Self::Own { bytes, .. } => (bytes.len(), ENTRY_BYTES_MAX),
        };
        if found > limit {
            Err(LogError::PayloadTooLong { found, limit })
        } else {
            Ok(())
        }
    }

    /// The kind of its record.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Input { .. } => 1,
            Self::Own { .. } => 2,
            Self::Body { .. } => 3,
        }
    }

    /// The payload of its record; [`WalEntry::decode`] reads it back.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.height().0.to_be_bytes());
        match self {
            Self::Input { bytes, .. } => out.extend_from_slice(bytes),
            Self::Own { mark, bytes } => {
                out.extend_from_slice(&mark.point.round.0.to_be_bytes());
                out.push(mark.point.step as u8);
                out.extend_from_slice(mark.sign_bytes.as_bytes());
                out.extend_from_slice(bytes);
            }
            Self::Body { id, bytes, .. } => {
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(bytes);
            }
        }
        out
    }

    /// Reads an entry back from a record's kind and payload.
    #[must_use]
    pub fn decode(kind: u8, payload: &[u8]) -> Option<Self> {
        let height = Height(u64::from_be_bytes(array(payload, 0)?));
        let rest = payload.get(8..)?;
        match kind {
            1 => Some(Self::Input {
                height,
                bytes: rest.to_vec(),
            }),
            2 => {
                let round = Round(u32::from_be_bytes(array(rest, 0)?));
                let step = Step::from_byte(*rest.get(4)?)?;
                let sign_bytes = Digest(array(rest, 5)?);
                let mark = SignMark {
                    point: SignPoint {
                        height,
                        round,
                        step,
                    },
                    sign_bytes,
                };
                Some(Self::Own {
                    mark,
                    bytes: rest.get(37..)?.to_vec(),
                })
            }
            3 => {
                let id = BlockId(Digest(array(rest, 0)?));
                Some(Self::Body {
                    height,
                    id,
                    bytes: rest.get(32..)?.to_vec(),
                })
            }
            _ => None,
        }
    }
}

/// An entry with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalRecord {
    /// Its seq.
    pub seq: u64,
    /// The entry.
    pub entry: WalEntry,
}

/// The write-ahead log.
#[derive(Debug)]
pub struct Wal {
    log: RecordLog,
    /// Highest height in each segment: a segment goes once all of its heights are committed.
    height_max: BTreeMap<u32, Height>,
}

/// What the headers of a chain's write-ahead log say.
#[must_use]
pub const fn identity(chain: ChainId) -> Identity {
    Identity {
        kind: FileKind::Wal,
        genesis: chain.0,
        payload_bytes_max: BODY_BYTES_MAX + ENTRY_HEADER_BYTES_MAX,
    }
}

pub(crate) fn log_config(dir: &Path, chain: ChainId, segment_bytes: u64) -> LogConfig {
    LogConfig {
        identity: identity(chain),
        dir: dir.to_path_buf(),
        segment_bytes,
        on_damage: OnDamage::Refuse,
    }
}

/// The highest own message among the records of a log.
pub(crate) fn floor_of(records: &[WalRecord]) -> Option<Floor> {
    let marks = records.iter().filter_map(|record| match &record.entry {
        WalEntry::Own { mark, .. } => Some(Floor::from(*mark)),
        _ => None,
    });
    marks.reduce(Floor::max)
}

pub(crate) fn decode_all(found: &[FoundRecord]) -> Vec<WalRecord> {
    let decode = |found: &FoundRecord| {
        let entry = WalEntry::decode(found.kind, &found.payload)?;
        Some(WalRecord {
            seq: found.seq,
            entry,
        })
    };
    found.iter().filter_map(decode).collect()
}

impl Wal {
    /// Opens the log and returns what it holds.
    ///
    /// # Errors
    /// When acknowledged records are damaged, or the files cannot be used.
    pub fn open(
        layer: Arc<dyn FileLayer>,
        dir: &Path,
        chain: ChainId,
        segment_bytes: u64,
    ) -> Result<(Self, Vec<WalRecord>, bool), LogError> {
        let config = log_config(dir, chain, segment_bytes);
        let (log, opening) = RecordLog::open(layer, config, |_, payload| payload.to_vec())?;
        let Opening {
            records: found,
            tail_zeroed,
            ..
        } = opening;
        let mut height_max: BTreeMap<u32, Height> = BTreeMap::new();
        for found in &found {
            if let Some(height) = array(&found.payload, 0).map(u64::from_be_bytes) {
                let most = height_max.entry(found.at.ordinal).or_default();
                *most = (*most).max(Height(height));
            }
        }
        Ok((Self { log, height_max }, decode_all(&found), tail_zeroed))
    }

    /// Adds an entry to the open group and returns its seq.
    ///
    /// # Errors
    /// When it is too long or the log fails.
    pub fn append(&mut self, entry: &WalEntry) -> Result<u64, LogError> {
        entry.check()?;
        let (seq, at) = self.log.append(entry.kind(), &entry.payload())?;
        let most = self.height_max.entry(at.ordinal).or_default();
        *most = (*most).max(entry.height());
        Ok(seq)
    }

    /// Hands the open group to the kernel without waiting for the disk.
    ///
    /// # Errors
    /// When the write fails.
    pub fn write(&mut self) -> Result<(), LogError> {
        self.log.write()
    }

    /// Returns when everything appended is durable, with the last seq.
    ///
    /// # Errors
    /// When the write or the sync fails.
    pub fn sync(&mut self) -> Result<u64, LogError> {
        self.log.sync()
    }

    /// The last seq that is durable.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.log.durable_seq()
    }

    /// Deletes sealed segments that hold nothing above `committed`.
    ///
    /// # Errors
    /// When a deletion fails.
    pub fn drop_through(&mut self, committed: Height) -> Result<(), LogError> {
        while let Some(ordinal) = self.log.oldest_sealed() {
            if self
                .height_max
                .get(&ordinal)
                .is_some_and(|&most| most > committed)
            {
                break;
            }
            self.log.remove_oldest()?;
            self.height_max.remove(&ordinal);
        }
        Ok(())
    }
}
