//! What a node keeps on disk for its duties: the commits it made and the pairs it holds. The world's
//! disk keeps the records in storage's own format and reads them back with storage's own recovery.

use std::collections::BTreeMap;

use protocol::digest::{Digest, EvidenceId, JobId};
use protocol::job::SeatRef;

/// The app's files, by number.
pub(super) const COMMITS: u8 = 0;
/// See [`COMMITS`].
pub(super) const PAIRS: u8 = 1;

const PAIR: u8 = 1;
const DONE: u8 = 2;

/// The commits made so far: one seat, one commit, for ever. The rule is that of storage's
/// `SeatCommits`.
#[derive(Debug)]
pub(super) struct Marks(BTreeMap<SeatRef, Digest>);

/// What to do about a mark.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is there already.
    Known,
    /// Another one is.
    Refused,
    /// Append this record.
    Write(Vec<u8>),
}

impl Marks {
    pub(super) fn read(records: &[Vec<u8>]) -> Self {
        let mut known = BTreeMap::new();
        for (seat, commit) in records.iter().filter_map(|bytes| read_mark(bytes)) {
            known.entry(seat).or_insert(commit);
        }
        Self(known)
    }

    pub(super) fn mark(&mut self, seat: SeatRef, commit: Digest) -> Mark {
        match self.0.get(&seat) {
            Some(before) if *before == commit => Mark::Known,
            Some(_) => Mark::Refused,
            None => {
                self.0.insert(seat, commit);
                Mark::Write(mark_bytes(&seat, &commit))
            }
        }
    }
}

fn mark_bytes(seat: &SeatRef, commit: &Digest) -> Vec<u8> {
    [
        seat.job.0.as_bytes().as_slice(),
        &seat.attempt.to_be_bytes(),
        &seat.seat.to_be_bytes(),
        commit.as_bytes(),
    ]
    .concat()
}

fn read_mark(bytes: &[u8]) -> Option<(SeatRef, Digest)> {
    let (job, rest) = bytes.split_first_chunk::<32>()?;
    let (attempt, rest) = rest.split_first_chunk::<4>()?;
    let (seat, rest) = rest.split_first_chunk::<2>()?;
    let commit = rest.first_chunk::<32>()?;
    let seat = SeatRef {
        job: JobId(Digest(*job)),
        attempt: u32::from_be_bytes(*attempt),
        seat: u16::from_be_bytes(*seat),
    };
    Some((seat, Digest(*commit)))
}

/// Contradicting pairs, until they are dealt with.
#[derive(Debug)]
pub(super) struct Pairs(BTreeMap<EvidenceId, Vec<u8>>);

impl Pairs {
    pub(super) fn read(records: &[Vec<u8>]) -> Self {
        let mut open = BTreeMap::new();
        for bytes in records {
            let Some((kind, rest)) = bytes.split_first() else {
                continue;
            };
            let Some((id, pair)) = rest.split_first_chunk::<32>() else {
                continue;
            };
            let id = EvidenceId(Digest(*id));
            if *kind == PAIR {
                open.insert(id, pair.to_vec());
            } else {
                open.remove(&id);
            }
        }
        Self(open)
    }

    /// What is held, in the form the evidence workflow reads.
    pub(super) fn held(&self) -> Vec<Vec<u8>> {
        self.0.values().cloned().collect()
    }

    /// The record to append, unless the pair is held already.
    pub(super) fn keep(&mut self, id: EvidenceId, pair: Vec<u8>) -> Option<Vec<u8>> {
        if self.0.contains_key(&id) {
            return None;
        }
        let record = [&[PAIR], id.0.as_bytes().as_slice(), &pair].concat();
        self.0.insert(id, pair);
        Some(record)
    }

    /// The record to append, if the pair was held.
    pub(super) fn done(&mut self, id: EvidenceId) -> Option<Vec<u8>> {
        self.0.remove(&id)?;
        Some([&[DONE], id.0.as_bytes().as_slice()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::digest::sha256;

    #[test]
    fn another_commit_for_a_seat_is_refused_after_a_restart() {
        let job = JobId(sha256(b"job"));
        let seat = SeatRef {
            job,
            attempt: 0,
            seat: 2,
        };
        let mut marks = Marks::read(&[]);
        let Mark::Write(record) = marks.mark(seat, sha256(b"one")) else {
            panic!("a new seat is written");
        };
        let mut again = Marks::read(&[record]);
        assert_eq!(again.mark(seat, sha256(b"one")), Mark::Known);
        assert_eq!(again.mark(seat, sha256(b"other")), Mark::Refused);
    }

    #[test]
    fn a_settled_pair_is_not_held_any_more() {
        let id = EvidenceId(sha256(b"offence"));
        let mut pairs = Pairs::read(&[]);
        let kept = pairs.keep(id, b"pair".to_vec()).unwrap();
        assert_eq!(pairs.keep(id, b"pair".to_vec()), None);
        assert_eq!(Pairs::read(std::slice::from_ref(&kept)).held(), [b"pair"]);
        let done = pairs.done(id).unwrap();
        assert_eq!(Pairs::read(&[kept, done]).held().len(), 0);
    }
}
