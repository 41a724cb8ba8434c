//! The block log: each committed block with its certificate in one record, so both or neither.
//!
//! ```text
//! payload: [height u64][block id 32][block length u32][block = header ‖ body][certificate]
//! ```
//! One thread appends; any number read through [`BlockReader`], by position, checking each
//! record's checksum. Heights need not ascend in the file: a block refetched after its segment
//! was set aside is appended where the file ends.

mod index;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use protocol::block::HEADER_BYTES;
use protocol::digest::{BlockId, ChainId, Digest};
use protocol::limits::{BLOCK_BYTES_MAX, CERTIFICATE_BYTES_MAX};
use protocol::units::Height;

use self::index::{Entry, Index};
use crate::exit::ExitKind;
use crate::layer::FileLayer;
use crate::record::format::{
    FileKind, Identity, RECORD_HEADER_BYTES, Record, array, decode_record,
};
use crate::record::log::{LogConfig, LogError, OnDamage, Position, RecordLog};
use crate::record::segment_path;

/// Limit of a block record's payload.
pub const BLOCK_RECORD_BYTES_MAX: usize = BLOCK_BYTES_MAX + (64 << 10);
const RECORD_BLOCK: u8 = 1;
const PREFIX_BYTES: usize = 8 + 32 + 4;
const _: () = assert!(
    PREFIX_BYTES + HEADER_BYTES + BLOCK_BYTES_MAX + CERTIFICATE_BYTES_MAX <= BLOCK_RECORD_BYTES_MAX
);

/// A block that was committed, with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedBlock {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub id: BlockId,
    /// Header and body.
    pub block: Vec<u8>,
    /// The commit certificate.
    pub certificate: Vec<u8>,
}

/// A header with the proof that its block was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Vec<u8>,
    /// The commit certificate.
    pub certificate: Vec<u8>,
}

/// The highest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub id: BlockId,
}

/// Heights that are missing between two that are held, or below the first or above the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The lowest missing height.
    pub first: Height,
    /// The highest missing height.
    pub last: Height,
}

/// Why a block cannot be committed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Another block is committed at this height.
    #[error("height {height} holds block {held}, not {offered}")]
    OtherBlock {
        /// The height.
        height: Height,
        /// The block held.
        held: BlockId,
        /// The block offered.
        offered: BlockId,
    },
    /// The record at this height is damaged; the block must be fetched again.
    #[error("block record of height {height} is damaged")]
    Damaged {
        /// The height.
        height: Height,
    },
    /// The record file failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Reading failed.
    #[error("read block {height}: {source}")]
    Io {
        /// The height.
        height: Height,
        /// What the system said.
        source: io::Error,
    },
}

impl BlockError {
    /// How this ends the process; `None` if only the request is at fault.
    #[must_use]
    pub const fn exit(&self) -> Option<ExitKind> {
        match self {
            Self::Log(error) => error.exit(),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Shared {
    config: LogConfig,
    index: RwLock<Index>,
}

impl Shared {
    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, height: Height) -> Option<Entry> {
        self.index().get(height)
    }
}

/// Reads blocks while another thread appends. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlockReader {
    shared: Arc<Shared>,
}

/// The block log, open for appending.
#[derive(Debug)]
pub struct BlockLog {
    log: RecordLog,
    reader: BlockReader,
    /// Appended, not yet durable, so not yet readable.
    pending: Vec<(Tip, Entry)>,
}

/// What opening the block log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlocksOpening {
    /// An unacknowledged tail was zeroed.
    pub tail_zeroed: bool,
    /// Segments put aside; their heights must be fetched again.
    pub set_aside: Vec<PathBuf>,
}

/// What the headers of a chain's block log say.
#[must_use]
pub const fn identity(chain: ChainId) -> Identity {
    Identity {
        kind: FileKind::Blocks,
        genesis: chain.0,
        payload_bytes_max: BLOCK_RECORD_BYTES_MAX,
    }
}

pub(crate) fn log_config(dir: &Path, chain: ChainId, segment_bytes: u64) -> LogConfig {
    LogConfig {
        identity: identity(chain),
        dir: dir.to_path_buf(),
        segment_bytes,
        on_damage: OnDamage::SetAside,
    }
}

pub(crate) fn decode_prefix(payload: &[u8]) -> Option<Tip> {
    let height = Height(u64::from_be_bytes(array(payload, 0)?));
    Some(Tip {
        height,
        id: BlockId(Digest(array(payload, 8)?)),
    })
}

impl CommittedBlock {
    /// The payload of its record; [`CommittedBlock::decode`] reads it back.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.block.len()).unwrap_or(u32::MAX);
        let bytes = PREFIX_BYTES + self.block.len() + self.certificate.len();
        let mut out = Vec::with_capacity(bytes);
        out.extend_from_slice(&self.height.0.to_be_bytes());
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.block);
        out.extend_from_slice(&self.certificate);
        out
    }

    /// Reads a block back from a record's payload.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let Tip { height, id } = decode_prefix(payload)?;
        let length = usize::try_from(u32::from_be_bytes(array(payload, 40)?)).ok()?;
        let (block, certificate) = payload.get(PREFIX_BYTES..)?.split_at_checked(length)?;
        Some(Self {
            height,
            id,
            block: block.to_vec(),
            certificate: certificate.to_vec(),
        })
    }
}

impl BlockLog {
    /// Opens the block log.
    ///
    /// # Errors
    /// When its files cannot be read or repaired.
    pub fn open(
        layer: Arc<dyn FileLayer>,
        dir: &Path,
        chain: ChainId,
        segment_bytes: u64,
    ) -> Result<(Self, BlocksOpening), LogError> {
        let config = log_config(dir, chain, segment_bytes);
        let enter = |index: &mut Index, at: Position, record: &Record<'_>| {
            if let Some(block) = decode_prefix(record.payload) {
                index.insert(block, Entry::new(at, &block.id));
            }
        };
        let (log, index, opening) =
            RecordLog::open_with(layer, config.clone(), Index::default, enter)?;
        let shared = Arc::new(Shared {
            config,
            index: RwLock::new(index),
        });
        let reader = BlockReader { shared };
        let found = BlocksOpening {
            tail_zeroed: opening.tail_zeroed,
            set_aside: opening.set_aside,
        };
        Ok((
            Self {
                log,
                reader,
                pending: Vec::new(),
            },
            found,
        ))
    }

    /// Adds a block to the open group; [`BlockLog::sync`] makes it durable and readable. A block
    /// that is already there is accepted and not written again.
    ///
    /// # Errors
    /// When another block holds the height, the block is too long, or the log fails.
    pub fn append(&mut self, block: &CommittedBlock) -> Result<(), BlockError> {
        let height = block.height;
        let mut pending = self.pending.iter();
        let pending = pending.find(|(pending, _)| pending.height == height);
        let entry = pending.map(|(_, entry)| *entry);
        if let Some(held) = entry.or_else(|| self.reader.shared.entry(height)) {
            if held.is_of(&block.id) {
                return Ok(());
            }
            let held = match pending {
                Some((pending, _)) => pending.id,
                None => self.reader.held(height)?,
            };
            let offered = block.id;
            return Err(BlockError::OtherBlock {
                height,
                held,
                offered,
            });
        }
        let (_, at) = self.log.append(RECORD_BLOCK, &block.encode())?;
        let (id, entry) = (block.id, Entry::new(at, &block.id));
        self.pending.push((Tip { height, id }, entry));
        Ok(())
    }

    /// Returns when every appended block is durable.
    ///
    /// # Errors
    /// When the write or the sync fails.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.log.sync()?;
        let mut index = self
            .reader
            .shared
            .index
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for (block, entry) in self.pending.drain(..) {
            index.insert(block, entry);
        }
        Ok(())
    }

    /// A handle for reading.
    #[must_use]
    pub fn reader(&self) -> BlockReader {
        self.reader.clone()
    }
}

impl BlockReader {
    /// The highest block.
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        self.shared.index().tip()
    }

    /// The lowest height held.
    #[must_use]
    pub fn lowest(&self) -> Option<Height> {
        self.shared.index().heights_from(Height::ZERO).next()
    }

    /// The last height of the run without holes that starts right after `from`.
    #[must_use]
    pub fn contiguous_after(&self, from: Height) -> Height {
        let index = self.shared.index();
        let run = (from.0.saturating_add(1)..).zip(index.heights_from(from.next()));
        run.take_while(|(expected, height)| *expected == height.0)
            .last()
            .map_or(from, |(height, _)| Height(height))
    }

    /// What is missing from the first height through this one, in ascending order.
    #[must_use]
    pub fn gaps_through(&self, tip: Height) -> Vec<Gap> {
        let index = self.shared.index();
        let mut gaps = Vec::new();
        let mut first = Height::ZERO.next();
        let held = index.heights_from(first);
        let held = held.take_while(|height| *height <= tip);
        for height in held.chain([tip.next()]) {
            if first < height {
                let last = height.previous();
                gaps.push(Gap { first, last });
            }
            first = height.next();
        }
        gaps
    }

    /// The id of the block at a height, if it is held and intact.
    #[must_use]
    pub fn id(&self, height: Height) -> Option<BlockId> {
        match self.tip() {
            Some(tip) if tip.height == height => Some(tip.id),
            _ => self.held(height).ok(),
        }
    }

    /// The id of a block that is held, out of its record.
    fn held(&self, height: Height) -> Result<BlockId, BlockError> {
        let block = self.block(height)?;
        block
            .map(|block| block.id)
            .ok_or(BlockError::Damaged { height })
    }

    /// A block with its certificate; `None` if this node does not hold it.
    ///
    /// # Errors
    /// When the record is damaged or cannot be read.
    pub fn block(&self, height: Height) -> Result<Option<CommittedBlock>, BlockError> {
        let Some(entry) = self.shared.entry(height) else {
            return Ok(None);
        };
        let bytes = self
            .read(entry.at())
            .map_err(|source| BlockError::Io { height, source })?;
        let record = decode_record(&bytes, 0, self.shared.config.identity.payload_bytes_max);
        let block = record.and_then(|record| CommittedBlock::decode(record.payload));
        match block {
            Some(block) if block.height == height && entry.is_of(&block.id) => Ok(Some(block)),
            _ => Err(BlockError::Damaged { height }),
        }
    }

    /// A block's header and certificate.
    ///
    /// # Errors
    /// When the record is damaged or cannot be read.
    pub fn header(&self, height: Height) -> Result<Option<CertifiedHeader>, BlockError> {
        let Some(block) = self.block(height)? else {
            return Ok(None);
        };
        let header = block
            .block
            .get(..HEADER_BYTES)
            .ok_or(BlockError::Damaged { height })?;
        Ok(Some(CertifiedHeader {
            header: header.to_vec(),
            certificate: block.certificate,
        }))
    }

    fn read(&self, at: Position) -> io::Result<Vec<u8>> {
        let file = File::open(segment_path(&self.shared.config.dir, at.ordinal))?;
        let mut bytes = vec![0; RECORD_HEADER_BYTES];
        file.read_exact_at(&mut bytes, at.offset)?;
        let length = array(&bytes, 0).map_or(0, u32::from_be_bytes);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // A damaged length must not become an allocation.
        let payload_bytes = length.min(self.shared.config.identity.payload_bytes_max);
        bytes.resize(RECORD_HEADER_BYTES + payload_bytes, 0);
        let payload_at = at.offset + RECORD_HEADER_BYTES as u64;
        file.read_exact_at(&mut bytes[RECORD_HEADER_BYTES..], payload_at)?;
        Ok(bytes)
    }
}
