//! Contradicting signed pairs, durable before they are gossiped and until they are dealt with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use protocol::digest::{ChainId, Digest};

use crate::layer::FileLayer;
use crate::record::format::{FileKind, Identity, array};
use crate::record::log::{LogConfig, LogError, OnDamage, RecordLog};

/// Limit of a pair's bytes.
pub const PAIR_BYTES_MAX: usize = 64 << 10;
const RECORD_PAIR: u8 = 1;
const RECORD_DONE: u8 = 2;

/// The pairs this node holds.
#[derive(Debug)]
pub struct EvidenceLog {
    log: RecordLog,
    /// Pairs still open, each with the segment its record lies in.
    open: BTreeMap<Digest, (u32, Vec<u8>)>,
}

impl EvidenceLog {
    /// Opens the log.
    ///
    /// # Errors
    /// When acknowledged records are damaged, or the files cannot be used.
    pub fn open(
        layer: Arc<dyn FileLayer>,
        dir: &Path,
        chain: ChainId,
        segment_bytes: u64,
    ) -> Result<Self, LogError> {
        let config = LogConfig {
            identity: Identity {
                kind: FileKind::Evidence,
                genesis: chain.0,
                payload_bytes_max: PAIR_BYTES_MAX + 32,
            },
            dir: dir.to_path_buf(),
            segment_bytes,
            on_damage: OnDamage::Refuse,
        };
        let (log, opening) = RecordLog::open(layer, config, |_, payload| payload.to_vec())?;
        let mut open = BTreeMap::new();
        for found in opening.records {
            let Some(id) = array(&found.payload, 0).map(Digest) else {
                continue;
            };
            match found.kind {
                RECORD_PAIR => {
                    let bytes = found.payload.get(32..).unwrap_or_default().to_vec();
                    open.entry(id).or_insert((found.at.ordinal, bytes));
                }
                _ => {
                    open.remove(&id);
                }
            }
        }
        Ok(Self { log, open })
    }

    /// Adds a pair to the open group. A pair already held is not written again.
    ///
    /// # Errors
    /// When it is too long or the log fails.
    pub fn keep(&mut self, id: Digest, bytes: Vec<u8>) -> Result<(), LogError> {
        if self.open.contains_key(&id) {
            return Ok(());
        }
        let mut payload = id.as_bytes().to_vec();
        payload.extend_from_slice(&bytes);
        let (_, at) = self.log.append(RECORD_PAIR, &payload)?;
        self.open.insert(id, (at.ordinal, bytes));
        Ok(())
    }

    /// Says that a pair was included or has expired.
    ///
    /// # Errors
    /// When the log fails.
    pub fn done(&mut self, id: &Digest) -> Result<(), LogError> {
        if self.open.remove(id).is_some() {
            self.log.append(RECORD_DONE, id.as_bytes())?;
        }
        Ok(())
    }

    /// Returns when everything said is durable, and deletes segments nobody needs.
    ///
    /// # Errors
    /// When the log fails.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.log.sync()?;
        let needed = self
            .open
            .values()
            .map(|(ordinal, _)| *ordinal)
            .min()
            .unwrap_or(u32::MAX);
        // A segment may hold the end of a pair whose beginning lies in an older one; oldest first
        // keeps that order, as the beginning goes no later than the end.
        while self
            .log
            .oldest_sealed()
            .is_some_and(|ordinal| ordinal < needed)
        {
            self.log.remove_oldest()?;
        }
        Ok(())
    }

    /// The pairs still open.
    pub fn pairs(&self) -> impl Iterator<Item = (Digest, &[u8])> {
        self.open
            .iter()
            .map(|(id, (_, bytes))| (*id, bytes.as_slice()))
    }
}
