//! Result commits already made: one seat, one commit, for ever.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use protocol::digest::{ChainId, Digest, JobId};

use super::state::SignStateError;
use crate::layer::FileLayer;
use crate::record::format::{FileKind, Identity, array};
use crate::record::log::{LogConfig, LogError, OnDamage, RecordLog};

/// The directory of the commits within the sign-state directory.
pub const COMMITS: &str = "commits";
const RECORD_COMMIT: u8 = 1;
const PAYLOAD_BYTES: usize = 32 + 4 + 2 + 32;

/// A seat of one attempt at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatKey {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: u32,
    /// The seat.
    pub seat: u16,
}

/// The commits made so far.
#[derive(Debug)]
pub struct SeatCommits {
    log: RecordLog,
    known: BTreeMap<SeatKey, Digest>,
}

pub(crate) fn log_config(dir: &Path, chain: ChainId, segment_bytes: u64) -> LogConfig {
    LogConfig {
        identity: Identity {
            kind: FileKind::Commits,
            genesis: chain.0,
            payload_bytes_max: PAYLOAD_BYTES,
        },
        dir: dir.join(COMMITS),
        segment_bytes,
        on_damage: OnDamage::Refuse,
    }
}

pub(crate) fn decode(payload: &[u8]) -> Option<(SeatKey, Digest)> {
    let job = JobId(Digest(array(payload, 0)?));
    let attempt = u32::from_be_bytes(array(payload, 32)?);
    let seat = u16::from_be_bytes(array(payload, 36)?);
    (payload.len() == PAYLOAD_BYTES)
        .then_some((SeatKey { job, attempt, seat }, Digest(array(payload, 38)?)))
}

fn encode(key: &SeatKey, commit: &Digest) -> Vec<u8> {
    let mut payload = Vec::with_capacity(PAYLOAD_BYTES);
    payload.extend_from_slice(key.job.as_bytes());
    payload.extend_from_slice(&key.attempt.to_be_bytes());
    payload.extend_from_slice(&key.seat.to_be_bytes());
    payload.extend_from_slice(commit.as_bytes());
    payload
}

impl SeatCommits {
    /// Opens the commits under the sign-state directory `dir`.
    ///
    /// # Errors
    /// When the record file is unusable.
    pub fn open(
        layer: Arc<dyn FileLayer>,
        dir: &Path,
        chain: ChainId,
        segment_bytes: u64,
    ) -> Result<Self, LogError> {
        let config = log_config(dir, chain, segment_bytes);
        let (log, opening) = RecordLog::open(layer, config, |_, payload| payload.to_vec())?;
        let mut known = BTreeMap::new();
        for (seat, commit) in opening
            .records
            .iter()
            .filter_map(|found| decode(&found.payload))
        {
            known.entry(seat).or_insert(commit);
        }
        Ok(Self { log, known })
    }

    /// Notes a commit in the open group; [`SeatCommits::sync`] makes it durable. The same commit
    /// again is accepted and written once.
    ///
    /// # Errors
    /// When another commit was made for the seat, or the record file fails.
    pub fn mark(&mut self, seat: SeatKey, commit: Digest) -> Result<(), SignStateError> {
        match self.known.get(&seat) {
            Some(&before) if before == commit => Ok(()),
            Some(_) => Err(SignStateError::OtherCommit { seat }),
            None => {
                self.log.append(RECORD_COMMIT, &encode(&seat, &commit))?;
                self.known.insert(seat, commit);
                Ok(())
            }
        }
    }

    /// Returns when every noted commit is durable.
    ///
    /// # Errors
    /// When the record file fails.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.log.sync().map(|_| ())
    }

    /// All commits, by seat.
    #[must_use]
    pub const fn known(&self) -> &BTreeMap<SeatKey, Digest> {
        &self.known
    }
}
