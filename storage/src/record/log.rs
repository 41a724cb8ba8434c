//! A record file open for appending: group write, one `fdatasync`, acknowledge all.
//!
//! ```text
//!  append append append -> one write -> one fdatasync -> durable = last seq
//!                             |
//!             does not fit: seal, go on in the segment that lies ready
//! ```
//! Invariants: a record is whole within one segment; a segment is synced before the next one gets
//! its header; after any failed write or sync the log refuses everything, because the kernel may
//! have dropped the pages that it failed to write.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{
    Identity, RECORD_HEADER_BYTES, Record, SEGMENT_HEADER_BYTES, encode_record,
    encode_segment_header,
};
use super::readback::{ReadBack, collect, make_dir, set_aside};
use super::recovery::Refused;
use super::segments::{Spare, segment_path};
use crate::exit::ExitKind;
use crate::layer::{FileLayer, LayerFile};

/// Why a record file cannot be opened, read or extended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Reading, writing or syncing failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes must not be used.
    #[error("{dir}: {refused}")]
    Refused {
        /// The record file's directory.
        dir: PathBuf,
        /// Why.
        refused: Refused,
    },
    /// The payload is longer than this file allows.
    #[error("payload of {found} bytes, limit {limit}")]
    PayloadTooLong {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A segment could not hold one record of the largest size.
    #[error("segments of {found} bytes cannot hold a record, at least {needed}")]
    SegmentTooSmall {
        /// The configured size.
        found: u64,
        /// The least size.
        needed: u64,
    },
    /// An earlier write or sync failed; it is never retried.
    #[error("{dir}: an earlier write failed")]
    Poisoned {
        /// The record file's directory.
        dir: PathBuf,
    },
}

impl LogError {
    /// How this ends the process; `None` if only the request is at fault.
    #[must_use]
    pub const fn exit(&self) -> Option<ExitKind> {
        use super::format::HeaderError;
        match self {
            Self::Io { .. } | Self::Poisoned { .. } => Some(ExitKind::Durability),
            Self::Refused { refused, .. } => Some(match refused {
                Refused::Header {
                    error: HeaderError::OtherGenesis { .. },
                    ..
                } => ExitKind::Configuration,
                Refused::Header {
                    error: HeaderError::NewerFormat { .. },
                    ..
                } => ExitKind::NewerLayout,
                _ => ExitKind::Durability,
            }),
            Self::PayloadTooLong { .. } => None,
            Self::SegmentTooSmall { .. } => Some(ExitKind::Configuration),
        }
    }
}

/// What to do when an acknowledged record turns out damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// Refuse to open: the promise is lost and nobody else holds it.
    Refuse,
    /// Rename the segment to `.bad` and go on: the content can be fetched again.
    SetAside,
}

/// How a record file is laid out and treated.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// What the headers must say.
    pub identity: Identity,
    /// Where the segments lie.
    pub dir: PathBuf,
    /// Size of new segments.
    pub segment_bytes: u64,
    /// What damage inside means.
    pub on_damage: OnDamage,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment's ordinal.
    pub ordinal: u32,
    /// The record's offset in it.
    pub offset: u64,
}

/// A record found when the file was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRecord {
    /// Where it lies.
    pub at: Position,
    /// Its kind.
    pub kind: u8,
    /// Its seq.
    pub seq: u64,
    /// The part of its payload that the opener asked to keep.
    pub payload: Vec<u8>,
}

/// What opening a record file found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Every intact record, in order; none if they were folded.
    pub records: Vec<FoundRecord>,
    /// An unacknowledged tail was zeroed.
    pub tail_zeroed: bool,
    /// Segments renamed to `.bad`.
    pub set_aside: Vec<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Active {
    pub(super) ordinal: u32,
    pub(super) file: Box<dyn LayerFile>,
    pub(super) path: PathBuf,
    /// Where the next byte of `pending` goes.
    pub(super) written: u64,
    pub(super) limit: u64,
}

/// A record file open for appending.
#[derive(Debug)]
pub struct RecordLog {
    layer: Arc<dyn FileLayer>,
    config: LogConfig,
    active: Active,
    spare: Option<Spare>,
    pending: Vec<u8>,
    unsynced: bool,
    next_seq: u64,
    durable_seq: u64,
    poisoned: bool,
    /// Last seq of each segment that has one.
    last_seq: BTreeMap<u32, u64>,
}

pub(super) fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> LogError + 'a {
    move |source| LogError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

impl RecordLog {
    /// Opens the record file, making it if the directory is empty. `keep` chooses the part of
    /// each payload that is returned.
    ///
    /// # Errors
    /// When the bytes must not be used, or reading, zeroing or syncing fails.
    pub fn open(
        layer: Arc<dyn FileLayer>,
        config: LogConfig,
        keep: fn(u8, &[u8]) -> Vec<u8>,
    ) -> Result<(Self, Opening), LogError> {
        let (log, records, opening) = Self::open_with(layer, config, Vec::new, collect(keep))?;
        Ok((log, Opening { records, ..opening }))
    }

    /// As [`Self::open`] for files that grow without bound: each intact record goes to `take`, and nothing
    /// else is kept of it. A reading that set a segment aside is begun anew.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with<T>(
        layer: Arc<dyn FileLayer>,
        config: LogConfig,
        begin: impl Fn() -> T,
        take: impl Fn(&mut T, Position, &Record<'_>),
    ) -> Result<(Self, T, Opening), LogError> {
        let needed = SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES + config.identity.payload_bytes_max;
        if config.segment_bytes < needed as u64 {
            let (found, needed) = (config.segment_bytes, needed as u64);
            return Err(LogError::SegmentTooSmall { found, needed });
        }
        make_dir(layer.as_ref(), &config.dir)?;
        let mut opening = Opening::default();
        let read = loop {
            match ReadBack::of(layer.as_ref(), &config, begin(), &take)? {
                Ok(read) => break read,
                Err((path, seq_seen)) => {
                    set_aside(layer.as_ref(), &config.dir, &path)?;
                    tracing::warn!(path = %path.display(), seq_seen, "storage.segment_set_aside");
                    opening.set_aside.push(path);
                }
            }
        };
        opening.tail_zeroed = read.repair(layer.as_ref(), &config)?;
        let (log, folded) = read.into_log(layer, config)?;
        Ok((log, folded, opening))
    }

    pub(super) fn new(
        layer: Arc<dyn FileLayer>,
        config: LogConfig,
        active: Active,
        spare: Spare,
        pending: Vec<u8>,
        next_seq: u64,
        last_seq: BTreeMap<u32, u64>,
    ) -> Self {
        Self {
            layer,
            config,
            active,
            spare: Some(spare),
            pending,
            unsynced: false,
            next_seq,
            durable_seq: next_seq - 1,
            poisoned: false,
            last_seq,
        }
    }

    /// Adds a record to the open group and says where it will lie.
    ///
    /// # Errors
    /// When the payload is too long, or sealing a full segment failed.
    pub fn append(&mut self, kind: u8, payload: &[u8]) -> Result<(u64, Position), LogError> {
        self.check_usable()?;
        let limit = self.config.identity.payload_bytes_max;
        if payload.len() > limit {
            return Err(LogError::PayloadTooLong {
                found: payload.len(),
                limit,
            });
        }
        let record_bytes = (RECORD_HEADER_BYTES + payload.len()) as u64;
        if self.offset() + record_bytes > self.active.limit {
            self.rotate()?;
        }
        let seq = self.next_seq;
        let at = Position {
            ordinal: self.active.ordinal,
            offset: self.offset(),
        };
        let record = Record {
            kind,
            seq,
            durable: self.durable_seq,
            payload,
        };
        encode_record(&mut self.pending, &record);
        self.next_seq += 1;
        self.last_seq.insert(at.ordinal, seq);
        Ok((seq, at))
    }

    /// Hands the open group to the kernel: it survives the end of this process, not a power cut.
    ///
    /// # Errors
    /// When the write fails; the log is then unusable.
    pub fn write(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        let outcome = self
            .active
            .file
            .write_all_at(&self.pending, self.active.written);
        self.guard("write", outcome)?;
        self.active.written += self.pending.len() as u64;
        self.pending.clear();
        self.unsynced = true;
        Ok(())
    }

    /// Writes the open group and returns when everything appended so far is durable.
    ///
    /// # Errors
    /// When the write or the sync fails; the log is then unusable.
    pub fn sync(&mut self) -> Result<u64, LogError> {
        self.write()?;
        if self.unsynced {
            let outcome = self.active.file.sync_data();
            self.guard("sync", outcome)?;
            self.unsynced = false;
        }
        self.durable_seq = self.next_seq - 1;
        Ok(self.durable_seq)
    }

    /// Highest seq that is durable.
    #[must_use]
    pub const fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// The seq that the next record will get.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The directory of the segments.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.config.dir
    }

    /// The segment being written.
    #[must_use]
    pub const fn active_ordinal(&self) -> u32 {
        self.active.ordinal
    }

    /// The oldest segment that is no longer written.
    #[must_use]
    pub fn oldest_sealed(&self) -> Option<u32> {
        self.last_seq
            .range(..self.active.ordinal)
            .map(|(&ordinal, _)| ordinal)
            .next()
    }

    /// Deletes a sealed segment. Only the oldest may go, or the sequence would have a hole.
    ///
    /// # Errors
    /// When the deletion fails.
    pub fn remove_oldest(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        let Some(ordinal) = self.oldest_sealed() else {
            return Ok(());
        };
        let path = segment_path(&self.config.dir, ordinal);
        let outcome = self.layer.remove(&path);
        self.guard("remove", outcome)?;
        let outcome = self.layer.sync_dir(&self.config.dir);
        self.guard("sync directory of", outcome)?;
        self.last_seq.remove(&ordinal);
        Ok(())
    }

    fn offset(&self) -> u64 {
        self.active.written + self.pending.len() as u64
    }

    fn check_usable(&self) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned {
                dir: self.config.dir.clone(),
            });
        }
        Ok(())
    }

    fn guard(&mut self, action: &'static str, outcome: io::Result<()>) -> Result<(), LogError> {
        outcome.map_err(|source| {
            self.poisoned = true;
            LogError::Io {
                action,
                path: self.active.path.clone(),
                source,
            }
        })
    }

    fn rotate(&mut self) -> Result<(), LogError> {
        self.sync()?;
        let ordinal = self.active.ordinal + 1;
        let path = segment_path(&self.config.dir, ordinal);
        let taken = self.spare.take().map_or_else(
            || Err(io::Error::other("no segment lies ready")),
            Spare::take,
        );
        match taken {
            Ok(file) => {
                let limit = self.config.segment_bytes;
                self.active = Active {
                    ordinal,
                    file,
                    path,
                    written: 0,
                    limit,
                };
            }
            Err(source) => {
                self.poisoned = true;
                return Err(LogError::Io {
                    action: "prepare",
                    path,
                    source,
                });
            }
        }
        self.pending = encode_segment_header(&self.config.identity, self.next_seq);
        let bytes = self.config.segment_bytes;
        let next = Spare::start(&self.layer, &self.config.dir, ordinal + 1, bytes);
        match next {
            Ok(spare) => self.spare = Some(spare),
            Err(source) => self.guard("prepare after", Err(source))?,
        }
        Ok(())
    }
}

impl Drop for RecordLog {
    /// Waits for the maker of the next segment, so that whoever opens the directory next does not
    /// meet it.
    fn drop(&mut self) {
        drop(self.spare.take().map(Spare::take));
    }
}
