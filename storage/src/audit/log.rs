//! The audit log open for appending.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::digest::{ChainId, Digest};
use protocol::units::TimeMs;

use super::checkpoint::{Checkpoint, CheckpointSigner, LogIdentity, anchor};
use super::record::{AuditEntry, AuditRecord, EntryTooLong, RECORD_BYTES_MAX};
use super::tree::{Frontier, leaf_hash};
use crate::exit::ExitKind;
use crate::layer::FileLayer;
use crate::record::format::{FileKind, Identity, Record};
use crate::record::log::{LogConfig, LogError, OnDamage, RecordLog};
use crate::record::recovery::Refused;

/// A checkpoint follows at the latest after so many records.
pub const CHECKPOINT_RECORDS: u64 = 64;
pub(super) const RECORD_ENTRY: u8 = 1;
pub(super) const RECORD_CHECKPOINT: u8 = 2;

/// Why the audit log failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The entry does not fit a record.
    #[error(transparent)]
    Entry(#[from] EntryTooLong),
    /// The record file failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A broken log could not be put aside.
    #[error("put aside {path}: {source}")]
    PutAside {
        /// The log's directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl AuditError {
    /// How this ends the process; `None` if only the request is at fault.
    #[must_use]
    pub const fn exit(&self) -> Option<ExitKind> {
        match self {
            Self::Entry(_) => None,
            Self::Log(error) => error.exit(),
            Self::PutAside { .. } => Some(ExitKind::Durability),
        }
    }
}

/// What the records so far come to: all that the next one needs.
#[derive(Clone, Debug)]
struct Past {
    tree: Frontier,
    last: Digest,
    checkpointed: u64,
    anchor: Option<Digest>,
    /// The index at which the chain breaks; what follows counts for nothing.
    broken_at: Option<u64>,
}

impl Past {
    fn new(chain: ChainId) -> Self {
        Self {
            tree: Frontier::new(),
            last: chain.0,
            checkpointed: 0,
            anchor: None,
            broken_at: None,
        }
    }

    /// A record that was read.
    fn take(&mut self, kind: u8, payload: &[u8]) {
        let index = self.tree.size();
        if self.broken_at.is_some() {
            return;
        }
        if kind == RECORD_CHECKPOINT {
            self.checkpointed = index;
            self.anchor = Some(anchor(payload));
            return;
        }
        match AuditRecord::decode(payload) {
            Some(record) if record.seq == index && record.prev_hash == self.last => {
                self.grow(payload);
            }
            _ => self.broken_at = Some(index),
        }
    }

    fn grow(&mut self, leaf: &[u8]) {
        self.last = leaf_hash(leaf);
        self.tree.push(self.last);
    }
}

/// The audit log, open for appending.
pub struct AuditLog {
    log: RecordLog,
    chain: ChainId,
    signer: Option<Box<dyn CheckpointSigner>>,
    past: Past,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("size", &self.past.tree.size())
            .finish_non_exhaustive()
    }
}

pub(super) fn identity(chain: ChainId) -> Identity {
    let payload_bytes_max = RECORD_BYTES_MAX;
    Identity {
        kind: FileKind::Audit,
        genesis: chain.0,
        payload_bytes_max,
    }
}

impl AuditLog {
    /// Opens the log. A log broken inside is put aside whole, never appended to again, and the
    /// first record of the fresh one names the break; the second value is then `false`.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn open(
        layer: Arc<dyn FileLayer>,
        dir: &Path,
        chain: ChainId,
        segment_bytes: u64,
        signer: Option<Box<dyn CheckpointSigner>>,
        now: TimeMs,
    ) -> Result<(Self, bool), AuditError> {
        let config = LogConfig {
            identity: identity(chain),
            dir: dir.to_path_buf(),
            segment_bytes,
            on_damage: OnDamage::Refuse,
        };
        match Self::replay(Arc::clone(&layer), config.clone(), chain)? {
            Ok(mut log) => {
                log.signer = signer;
                Ok((log, true))
            }
            Err(broken_at) => {
                let aside = put_aside(dir)?;
                tracing::error!(broken_at, aside = %aside.display(), "audit.chain_broken");
                let fresh = Self::replay(layer, config, chain)?;
                let Ok(mut log) = fresh else {
                    let source = std::io::Error::other("a fresh log is broken");
                    return Err(AuditError::PutAside {
                        path: aside,
                        source,
                    });
                };
                log.signer = signer;
                log.append(AuditEntry {
                    time: now,
                    actor: "storage".to_owned(),
                    action: "audit.broken".to_owned(),
                    subject: format!("record {broken_at}"),
                    body_hash: Digest::ZERO,
                })?;
                log.sync()?;
                Ok((log, false))
            }
        }
    }

    /// The inner error is the index at which the chain breaks.
    fn replay(
        layer: Arc<dyn FileLayer>,
        config: LogConfig,
        chain: ChainId,
    ) -> Result<Result<Self, u64>, AuditError> {
        let begin = || Past::new(chain);
        let take = |past: &mut Past, _, record: &Record<'_>| past.take(record.kind, record.payload);
        let (log, past) = match RecordLog::open_with(layer, config, begin, take) {
            Ok((log, past, _)) => (log, past),
            Err(LogError::Refused {
                refused: Refused::Acknowledged { seq, .. },
                ..
            }) => {
                return Ok(Err(seq));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(index) = past.broken_at {
            return Ok(Err(index));
        }
        Ok(Ok(Self {
            log,
            chain,
            signer: None,
            past,
        }))
    }

    /// Adds an entry to the open group and returns its index. Every 64 records a signed
    /// checkpoint follows.
    ///
    /// # Errors
    /// When the entry is too long or the log fails.
    pub fn append(&mut self, entry: AuditEntry) -> Result<u64, AuditError> {
        entry.check()?;
        let seq = self.past.tree.size();
        let bytes = AuditRecord {
            seq,
            entry,
            prev_hash: self.past.last,
        }
        .encode();
        self.log.append(RECORD_ENTRY, &bytes)?;
        self.past.grow(&bytes);
        if self.past.tree.size() - self.past.checkpointed >= CHECKPOINT_RECORDS {
            self.checkpoint()?;
        }
        Ok(seq)
    }

    /// Signs a checkpoint into the open group if there are records without one.
    ///
    /// # Errors
    /// When the log fails.
    pub fn checkpoint(&mut self) -> Result<(), AuditError> {
        let size = self.past.tree.size();
        let Some(signer) = self.signer.as_deref() else {
            return Ok(());
        };
        if size == self.past.checkpointed {
            return Ok(());
        }
        let identity = LogIdentity {
            chain: self.chain,
            signer: signer.public_key(),
        };
        let bytes = identity.sign(
            &Checkpoint {
                size,
                root: self.past.tree.root(),
            },
            signer,
        );
        self.log.append(RECORD_CHECKPOINT, &bytes)?;
        self.past.checkpointed = size;
        self.past.anchor = Some(anchor(&bytes));
        Ok(())
    }

    /// Returns when everything appended is durable.
    ///
    /// # Errors
    /// When the log fails.
    pub fn sync(&mut self) -> Result<(), AuditError> {
        self.log.sync()?;
        Ok(())
    }

    /// Hash of the newest checkpoint, for the node's next transaction.
    #[must_use]
    pub const fn anchor(&self) -> Option<Digest> {
        self.past.anchor
    }

    /// Number of records.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.past.tree.size()
    }
}

fn put_aside(dir: &Path) -> Result<PathBuf, AuditError> {
    let failed = |source| AuditError::PutAside {
        path: dir.to_path_buf(),
        source,
    };
    let name = dir
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("audit");
    let numbered = (1_u32..).map(|number| dir.with_file_name(format!("{name}.bad-{number}")));
    let aside = numbered
        .into_iter()
        .find(|path| !path.exists())
        .unwrap_or_default();
    std::fs::rename(dir, &aside).map_err(failed)?;
    Ok(aside)
}
