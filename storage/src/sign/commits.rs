//! Result commits already made: one seat, one commit, for ever.

use std::collections::{BTreeMap, VecDeque};
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
/// So many of the newest commits are held at least, about 30 MiB; whole segments of older ones are
/// deleted. A seat that can still be committed from locks a bond, so no validator has nearly as many
/// at once, and the chain takes no commit of a seat whose job is over.
pub const COMMITS_KEPT: usize = 1 << 18;

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
    /// The seats by the segment that holds them, oldest first.
    segments: VecDeque<(u32, Vec<SeatKey>)>,
    kept: usize,
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
        let mut commits = Self {
            log,
            known: BTreeMap::new(),
            segments: VecDeque::new(),
            kept: COMMITS_KEPT,
        };
        for found in &opening.records {
            if let Some((seat, commit)) = decode(&found.payload)
                && !commits.known.contains_key(&seat)
            {
                commits.note(found.at.ordinal, seat, commit);
            }
        }
        Ok(commits)
    }

    fn note(&mut self, segment: u32, seat: SeatKey, commit: Digest) {
        self.known.insert(seat, commit);
        match self.segments.back_mut() {
            Some((last, seats)) if *last == segment => seats.push(seat),
            _ => self.segments.push_back((segment, vec![seat])),
        }
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
                let (_, at) = self.log.append(RECORD_COMMIT, &encode(&seat, &commit))?;
                self.note(at.ordinal, seat, commit);
                Ok(())
            }
        }
    }

    /// Returns when every noted commit is durable; lets go of segments that are long past.
    ///
    /// # Errors
    /// When the record file fails.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.log.sync()?;
        while let Some((segment, seats)) = self.segments.front()
            && self.known.len().saturating_sub(seats.len()) >= self.kept
            && self.log.oldest_sealed() == Some(*segment)
        {
            for seat in seats {
                self.known.remove(seat);
            }
            self.segments.pop_front();
            self.log.remove_oldest()?;
        }
        Ok(())
    }

    /// All commits, by seat.
    #[must_use]
    pub const fn known(&self) -> &BTreeMap<SeatKey, Digest> {
        &self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::OsLayer;

    const SEGMENT: u64 = 4_096;

    fn seat(number: u16) -> SeatKey {
        SeatKey {
            job: JobId(Digest([1; 32])),
            attempt: 0,
            seat: number,
        }
    }

    fn open(dir: &Path) -> SeatCommits {
        let chain = ChainId(Digest([2; 32]));
        let mut commits = SeatCommits::open(Arc::new(OsLayer), dir, chain, SEGMENT).unwrap();
        commits.kept = 100;
        commits
    }

    #[test]
    fn commits_grow_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut commits = open(dir.path());
        for number in 0..2_000 {
            commits.mark(seat(number), Digest([3; 32])).unwrap();
            commits.sync().unwrap();
        }
        let segment = usize::try_from(SEGMENT).unwrap() / PAYLOAD_BYTES;
        let held = commits.known().len();
        assert!((100..100 + 2 * segment).contains(&held), "{held} held");
        let files = std::fs::read_dir(dir.path().join(COMMITS)).unwrap().count();
        assert!(files <= 6, "{files} segments");
        let again = open(dir.path());
        assert_eq!(again.known().len(), held, "the same after a restart");
        let newest = commits.mark(seat(1_999), Digest([4; 32]));
        assert!(matches!(newest, Err(SignStateError::OtherCommit { .. })));
    }
}
