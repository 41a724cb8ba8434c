//! Bytes of segments and records; pure.
//!
//! ```text
//! segment: [magic "PLSR"][format u16][kind u8][genesis hash 32][first seq u64][crc32c u32]
//! record:  [len u32][crc32c u32][kind u8][seq u64][durable u64][payload]
//! ```
//! All integers are big-endian. A record's checksum covers everything but itself. `durable` is
//! the highest seq that was acknowledged before the record was written: it lets a later record
//! vouch for an earlier one.

use protocol::digest::Digest;

/// First bytes of every segment.
pub const MAGIC: [u8; 4] = *b"PLSR";
/// The record format written by this release.
pub const FORMAT: u16 = 1;
/// Length of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 51;
/// Length of a record's header.
pub const RECORD_HEADER_BYTES: usize = 25;

/// What a series of segments holds; written into each header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// Consensus inputs, own messages and bodies of the open height.
    Wal = 1,
    /// Committed blocks with their certificates.
    Blocks = 2,
    /// Contradicting signed pairs.
    Evidence = 3,
    // 4 is kept for headers that outlive their blocks, once blocks are ever deleted.
    /// The audit log.
    Audit = 5,
    /// Result commits already made, part of the sign-state.
    Commits = 6,
}

/// What must agree before a segment's bytes are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The kind of record file.
    pub kind: FileKind,
    /// The chain the file belongs to.
    pub genesis: Digest,
    /// No payload of this file is longer.
    pub payload_bytes_max: usize,
}

/// Why a segment header is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Magic or checksum is wrong, or the bytes are too few.
    #[error("segment header is damaged")]
    Damaged,
    /// An intact header of a format this binary does not know.
    #[error("record format {found} is newer than {FORMAT}")]
    NewerFormat {
        /// The format found.
        found: u16,
    },
    /// An intact header of another kind of file.
    #[error("segment holds kind {found}, expected {expected}")]
    OtherKind {
        /// The kind byte found.
        found: u8,
        /// The kind byte expected.
        expected: u8,
    },
    /// An intact header of another chain.
    #[error("segment belongs to chain {found}")]
    OtherGenesis {
        /// The genesis hash found.
        found: Digest,
    },
}

/// One record, borrowed from the bytes of its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What the payload means within its file.
    pub kind: u8,
    /// Position in the file's sequence, from 1.
    pub seq: u64,
    /// Highest seq acknowledged before this record was written.
    pub durable: u64,
    /// The content.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Length of the record in its segment.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        RECORD_HEADER_BYTES + self.payload.len()
    }
}

/// Encodes the header of a segment whose first record will carry `first_seq`.
#[must_use]
pub fn encode_segment_header(identity: &Identity, first_seq: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT.to_be_bytes());
    out.push(identity.kind as u8);
    out.extend_from_slice(identity.genesis.as_bytes());
    out.extend_from_slice(&first_seq.to_be_bytes());
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

/// Decodes a segment header and returns its first seq.
///
/// # Errors
/// Says which part does not fit `identity`.
pub fn decode_segment_header(identity: &Identity, bytes: &[u8]) -> Result<u64, HeaderError> {
    let header = bytes
        .get(..SEGMENT_HEADER_BYTES)
        .ok_or(HeaderError::Damaged)?;
    let (covered, crc) = header.split_at(SEGMENT_HEADER_BYTES - 4);
    if covered.get(..4) != Some(&MAGIC[..]) || crc != crc32c::crc32c(covered).to_be_bytes() {
        return Err(HeaderError::Damaged);
    }
    let format = u16::from_be_bytes(array(covered, 4).ok_or(HeaderError::Damaged)?);
    if format != FORMAT {
        return Err(HeaderError::NewerFormat { found: format });
    }
    let expected = identity.kind as u8;
    match covered.get(6) {
        Some(&found) if found != expected => {
            return Err(HeaderError::OtherKind { found, expected });
        }
        _ => {}
    }
    let found = Digest(array(covered, 7).ok_or(HeaderError::Damaged)?);
    if found != identity.genesis {
        return Err(HeaderError::OtherGenesis { found });
    }
    Ok(u64::from_be_bytes(
        array(covered, 39).ok_or(HeaderError::Damaged)?,
    ))
}

/// Appends one encoded record to `out`.
///
/// The caller has checked the payload against its limit, which is far below `u32::MAX`.
pub fn encode_record(out: &mut Vec<u8>, record: &Record<'_>) {
    let length = u32::try_from(record.payload.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    let mut tail = [0_u8; 17];
    tail[0] = record.kind;
    tail[1..9].copy_from_slice(&record.seq.to_be_bytes());
    tail[9..].copy_from_slice(&record.durable.to_be_bytes());
    let crc = checksum(&length, &tail, record.payload);
    out.extend_from_slice(&length);
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(&tail);
    out.extend_from_slice(record.payload);
}

/// Decodes the record that starts at `offset`; `None` if the bytes there are not one.
#[must_use]
pub fn decode_record(bytes: &[u8], offset: usize, payload_bytes_max: usize) -> Option<Record<'_>> {
    let rest = bytes.get(offset..)?;
    let length = u32::from_be_bytes(array(rest, 0)?);
    let payload_bytes = usize::try_from(length).ok()?;
    if payload_bytes > payload_bytes_max {
        return None;
    }
    let crc = u32::from_be_bytes(array(rest, 4)?);
    let tail: [u8; 17] = array(rest, 8)?;
    let end = RECORD_HEADER_BYTES.checked_add(payload_bytes)?;
    let payload = rest.get(RECORD_HEADER_BYTES..end)?;
    if crc != checksum(&length.to_be_bytes(), &tail, payload) {
        return None;
    }
    let seq = u64::from_be_bytes(array(&tail, 1)?);
    let durable = u64::from_be_bytes(array(&tail, 9)?);
    (durable < seq).then_some(Record {
        kind: tail[0],
        seq,
        durable,
        payload,
    })
}

/// Reads the seq a record at `offset` would have, without believing it.
pub(crate) fn claimed_seq(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_be_bytes(array(bytes.get(offset..)?, 9)?))
}

/// Whether there is nothing but zeroes. Compared block by block: segments are megabytes.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    const ZEROES: [u8; 4096] = [0; 4096];
    bytes
        .chunks(ZEROES.len())
        .all(|block| ZEROES.starts_with(block))
}

pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn checksum(length: &[u8; 4], tail: &[u8; 17], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(length), tail), payload)
}
