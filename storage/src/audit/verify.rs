//! Checking an audit log that nobody has to trust; reads only.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use protocol::digest::Digest;

use super::checkpoint::{LogIdentity, anchor, parse};
use super::log::{RECORD_CHECKPOINT, RECORD_ENTRY, identity};
use super::record::AuditRecord;
use super::tree::{Frontier, leaf_hash};
use crate::record::format::{SEGMENT_HEADER_BYTES, decode_record, decode_segment_header, is_blank};
use crate::record::{segment_ordinal, segment_path};

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Bytes are damaged.
    Crc,
    /// A record does not follow from the one before.
    Chain,
    /// A checkpoint's root is not that of the records before it.
    Root,
    /// A checkpoint's form, size or signature is wrong.
    Checkpoint,
    /// The log ends before it should.
    Truncated,
}

impl Cause {
    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc => "crc",
            Self::Chain => "chain",
            Self::Root => "root",
            Self::Checkpoint => "checkpoint",
            Self::Truncated => "truncated",
        }
    }
}

/// The verdict on a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Records read before the first fault.
    pub records: u64,
    /// The first fault: the index of the record it concerns, and what it is.
    pub fault: Option<(u64, Cause)>,
    /// Anchors compared.
    pub anchors_checked: usize,
    /// Anchors to which the log has no checkpoint.
    pub anchors_missing: usize,
    /// Hashes of the checkpoints found.
    pub checkpoints: BTreeSet<Digest>,
}

impl AuditVerdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn ok(&self) -> bool {
        self.fault.is_none()
    }
}

/// The log could not be read at all.
#[derive(Debug, thiserror::Error)]
#[error("read {path}: {source}")]
pub struct UnreadableLog {
    /// The directory or file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Verifies the log in `dir`. `anchors` are checkpoint hashes found on chain: one without its
/// checkpoint means that the tail was cut.
///
/// A log that is being written may show half a record at its very end; a log at rest never does.
///
/// # Errors
/// When directory or files cannot be read.
pub fn verify_dir(
    dir: &Path,
    log: &LogIdentity,
    anchors: &[Digest],
) -> Result<AuditVerdict, UnreadableLog> {
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        move |source| UnreadableLog { path, source }
    };
    let mut ordinals = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable(dir))? {
        let name = entry.map_err(unreadable(dir))?.file_name();
        ordinals.extend(name.to_str().and_then(segment_ordinal));
    }
    ordinals.sort_unstable();
    let mut verifier = Verifier::new(*log);
    for ordinal in ordinals {
        let path = segment_path(dir, ordinal);
        let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
        verifier.segment(&bytes);
    }
    Ok(verifier.finish(anchors))
}

/// Verifies segment by segment; a function over bytes.
#[derive(Clone, Debug)]
pub struct Verifier {
    log: LogIdentity,
    next_seq: u64,
    tree: Frontier,
    last: Digest,
    started: bool,
    ended: bool,
    fault: Option<(u64, Cause)>,
    checkpoints: BTreeSet<Digest>,
}

impl Verifier {
    /// Starts on an empty log.
    #[must_use]
    pub fn new(log: LogIdentity) -> Self {
        Self {
            log,
            next_seq: 1,
            tree: Frontier::new(),
            last: log.chain.0,
            started: false,
            ended: false,
            fault: None,
            checkpoints: BTreeSet::new(),
        }
    }

    /// Reads the next segment; does nothing after a fault.
    pub fn segment(&mut self, bytes: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        if let Err(cause) = self.read(bytes) {
            self.fault = Some((self.tree.size(), cause));
        }
    }

    /// Compares the anchors and gives the verdict.
    #[must_use]
    pub fn finish(mut self, anchors: &[Digest]) -> AuditVerdict {
        let missing = anchors
            .iter()
            .filter(|anchor| !self.checkpoints.contains(anchor))
            .count();
        let records = self.tree.size();
        if missing > 0 {
            self.fault = self.fault.or(Some((records, Cause::Truncated)));
        }
        AuditVerdict {
            records,
            fault: self.fault,
            anchors_checked: anchors.len(),
            anchors_missing: missing,
            checkpoints: self.checkpoints,
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        if is_blank(bytes) {
            // The segment that lies ready; nothing may follow it.
            self.ended = true;
            return Ok(());
        }
        let identity = identity(self.log.chain);
        let first = decode_segment_header(&identity, bytes).map_err(|_| Cause::Crc)?;
        let in_place = if self.started {
            first == self.next_seq
        } else {
            first == 1
        };
        if self.ended || !in_place {
            return Err(Cause::Truncated);
        }
        self.started = true;
        let mut offset = SEGMENT_HEADER_BYTES;
        while let Some(record) = decode_record(bytes, offset, identity.payload_bytes_max) {
            if record.seq != self.next_seq {
                return Err(Cause::Chain);
            }
            match record.kind {
                RECORD_ENTRY => self.entry(record.payload)?,
                RECORD_CHECKPOINT => self.checkpoint(record.payload)?,
                _ => return Err(Cause::Chain),
            }
            self.next_seq += 1;
            offset += record.bytes();
        }
        let rest = bytes.get(offset..).unwrap_or_default();
        if is_blank(rest) {
            Ok(())
        } else {
            Err(Cause::Crc)
        }
    }

    fn entry(&mut self, payload: &[u8]) -> Result<(), Cause> {
        let record = AuditRecord::decode(payload).ok_or(Cause::Chain)?;
        if record.seq != self.tree.size() || record.prev_hash != self.last {
            return Err(Cause::Chain);
        }
        self.last = leaf_hash(payload);
        self.tree.push(self.last);
        Ok(())
    }

    fn checkpoint(&mut self, payload: &[u8]) -> Result<(), Cause> {
        let stated = parse(payload).ok_or(Cause::Checkpoint)?;
        let verified = self.log.verify(payload).map_err(|_| Cause::Checkpoint)?;
        if verified.size != self.tree.size() {
            return Err(Cause::Checkpoint);
        }
        if stated.root != self.tree.root() {
            return Err(Cause::Root);
        }
        self.checkpoints.insert(anchor(payload));
        Ok(())
    }
}
