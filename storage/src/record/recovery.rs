//! Finding the end of a record file after a crash; a pure function over bytes.
//!
//! ```text
//!  good good good | bad ........ any record with durable >= s ?   yes: acknowledged data is
//!                 ^ s = seq expected here                              damaged, refuse
//!                                                                 no:  one unacknowledged group,
//!                                                                      cut here
//! ```
//! Between groups nothing is in flight, so a bad record that nobody vouches for belongs to the
//! one group being written at the crash, perhaps with its sectors reordered. The last
//! acknowledged group has no successor: the sign-state slot and the committed heights vouch for
//! that one, which is the caller's part.

use super::format::{
    HeaderError, Identity, Record, SEGMENT_HEADER_BYTES, claimed_seq, decode_record,
    decode_segment_header, is_blank,
};

/// A record further than this beyond the break cannot be of the group in flight, nor one that
/// vouches; it bounds how much of a hostile payload is worth a checksum.
const SEQ_AHEAD_MAX: u64 = 1 << 24;

/// Why a record file must not be used as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A record is bad although a later one proves that it had been acknowledged.
    #[error("record {seq} at segment {segment} offset {offset} was acknowledged and is damaged")]
    Acknowledged {
        /// Index of the segment in the order given.
        segment: usize,
        /// Where the damage starts.
        offset: usize,
        /// The seq expected there.
        seq: u64,
        /// Highest seq seen in an intact record after the damage.
        seq_seen: u64,
    },
    /// An intact header that is not of this file.
    #[error("segment {segment}: {error}")]
    Header {
        /// Index of the segment in the order given.
        segment: usize,
        /// What does not fit.
        error: HeaderError,
    },
}

/// Where a record was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// Offset of the record in its segment.
    pub offset: usize,
    /// The record.
    pub record: Record<'a>,
}

/// What is left to do once every segment was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The seq of the next record to write.
    pub next_seq: u64,
    /// Segment and offset at which to go on; `None` if no segment holds a record or header.
    pub end: Option<(usize, usize)>,
    /// Everything after `end` must be zeroed before the next record is written: no stale record
    /// may ever follow a new one.
    pub torn: bool,
}

#[derive(Clone, Copy, Debug)]
struct Tail {
    segment: usize,
    offset: usize,
    seq: u64,
    clean: bool,
    /// Where the damage is, when that is not where the good records end.
    damage: Option<(usize, usize)>,
    /// Highest `durable` and seq of intact records found after the tail.
    vouched: u64,
    seen: u64,
}

/// Whether whole segments may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// Every seq must be there.
    Refused,
    /// A segment may start at any higher seq: what is missing was set aside and is fetched again.
    Allowed,
}

/// Reads segments in order, one at a time, and keeps only what the next one needs.
#[derive(Clone, Debug)]
pub struct Recovery {
    identity: Identity,
    tail: Option<Tail>,
    broken: bool,
    gaps: Gaps,
    segments: usize,
}

impl Recovery {
    /// Starts on a file that must carry `identity`.
    #[must_use]
    pub const fn new(identity: Identity, gaps: Gaps) -> Self {
        Self {
            identity,
            tail: None,
            broken: false,
            gaps,
            segments: 0,
        }
    }

    /// Reads the next segment and returns its intact, contiguous records.
    ///
    /// # Errors
    /// When acknowledged bytes are damaged or the segment belongs elsewhere.
    pub fn segment<'a>(&mut self, bytes: &'a [u8]) -> Result<Vec<Placed<'a>>, Refused> {
        let segment = self.segments;
        self.segments += 1;
        if is_blank(bytes) {
            return Ok(Vec::new());
        }
        if self.broken {
            self.search(bytes, 0);
            return self.judge().map(|()| Vec::new());
        }
        match decode_segment_header(&self.identity, bytes) {
            Ok(first_seq) if self.continues(first_seq)? => Ok(self.read(segment, bytes, first_seq)),
            Ok(_) | Err(HeaderError::Damaged) => {
                self.break_at(segment);
                self.search(bytes, 0);
                self.judge().map(|()| Vec::new())
            }
            Err(error) => Err(Refused::Header { segment, error }),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When acknowledged bytes are damaged.
    pub fn finish(self) -> Result<Ending, Refused> {
        self.judge()?;
        Ok(self.tail.map_or(
            Ending {
                next_seq: 1,
                end: None,
                torn: false,
            },
            |tail| Ending {
                next_seq: tail.seq,
                end: Some((tail.segment, tail.offset)),
                torn: self.broken || !tail.clean,
            },
        ))
    }

    fn continues(&self, first_seq: u64) -> Result<bool, Refused> {
        let Some(tail) = self.tail else {
            return Ok(first_seq >= 1);
        };
        if first_seq > tail.seq && self.gaps == Gaps::Allowed {
            return self.judge().map(|()| true);
        }
        Ok(first_seq == tail.seq)
    }

    fn break_at(&mut self, segment: usize) {
        self.broken = true;
        let offset = 0;
        let nothing = Tail {
            segment,
            offset,
            seq: 1,
            clean: false,
            damage: None,
            vouched: 0,
            seen: 0,
        };
        self.tail.get_or_insert(nothing).damage = Some((segment, offset));
    }

    fn read<'a>(&mut self, segment: usize, bytes: &'a [u8], first_seq: u64) -> Vec<Placed<'a>> {
        let mut placed = Vec::new();
        let mut offset = SEGMENT_HEADER_BYTES;
        let mut seq = first_seq;
        while let Some(record) = decode_record(bytes, offset, self.identity.payload_bytes_max) {
            if record.seq != seq {
                break;
            }
            placed.push(Placed { offset, record });
            offset += record.bytes();
            seq += 1;
        }
        let rest = bytes.get(offset..).unwrap_or_default();
        let clean = is_blank(rest);
        self.tail = Some(Tail {
            segment,
            offset,
            seq,
            clean,
            damage: None,
            vouched: 0,
            seen: 0,
        });
        if !clean {
            self.search(bytes, offset);
        }
        placed
    }

    /// Looks at every offset for intact records after the break. An intact record is stepped
    /// over whole, so nothing inside its payload can pose as a record.
    fn search(&mut self, bytes: &[u8], from: usize) {
        let Some(tail) = &mut self.tail else { return };
        let mut offset = from;
        while let Some(seq) = claimed_seq(bytes, offset) {
            let plausible = seq > tail.seq && seq - tail.seq <= SEQ_AHEAD_MAX;
            let record = plausible
                .then(|| decode_record(bytes, offset, self.identity.payload_bytes_max))
                .flatten();
            match record {
                Some(record) => {
                    tail.vouched = tail.vouched.max(record.durable);
                    tail.seen = tail.seen.max(record.seq);
                    offset += record.bytes();
                }
                None => offset += 1,
            }
        }
    }

    fn judge(&self) -> Result<(), Refused> {
        match self.tail {
            Some(tail) if tail.vouched >= tail.seq => {
                let (segment, offset) = tail.damage.unwrap_or((tail.segment, tail.offset));
                Err(Refused::Acknowledged {
                    segment,
                    offset,
                    seq: tail.seq,
                    seq_seen: tail.seen,
                })
            }
            _ => Ok(()),
        }
    }
}

/// The records of a file together with where it ends.
pub type Recovered<'a> = (Vec<Placed<'a>>, Ending);

/// Recovers a file given as all its segments in order: [`Recovery`] from end to end.
///
/// # Errors
/// When acknowledged bytes are damaged or a segment belongs elsewhere.
pub fn recover<'a>(identity: Identity, segments: &[&'a [u8]]) -> Result<Recovered<'a>, Refused> {
    let mut recovery = Recovery::new(identity, Gaps::Refused);
    let mut records = Vec::new();
    for bytes in segments {
        records.append(&mut recovery.segment(bytes)?);
    }
    Ok((records, recovery.finish()?))
}
