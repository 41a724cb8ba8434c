//! Bytes of one audit record; pure.
//!
//! ```text
//! [version u8][seq u64][time ms u64][actor u8 length, text][action ..][subject u16 length, text]
//! [prev_hash 32][body_hash 32]
//! ```
//! `seq` counts audit records from 0; `prev_hash` is the leaf hash of the record before, for the
//! first one the genesis hash.

use protocol::digest::Digest;
use protocol::units::TimeMs;

use super::tree::leaf_hash;
use crate::record::format::array;

const VERSION: u8 = 1;
/// Limit of the actor's and the action's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Limit of the subject.
pub const SUBJECT_BYTES_MAX: usize = 1_024;
/// Limit of a record.
pub const RECORD_BYTES_MAX: usize = 4 << 10;
const _: () =
    assert!(1 + 16 + 2 * (1 + NAME_BYTES_MAX) + 2 + SUBJECT_BYTES_MAX + 64 <= RECORD_BYTES_MAX);

/// What is to be recorded; the log adds its place and the hash before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub time: TimeMs,
    /// Which part of the node, or which caller, acted.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// SHA-256 of the details, which are kept elsewhere; zero if there are none.
    pub body_hash: Digest,
}

/// The entry does not fit a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit {field} of {found} bytes, limit {limit}")]
pub struct EntryTooLong {
    /// Which field.
    pub field: &'static str,
    /// Its length.
    pub found: usize,
    /// The limit.
    pub limit: usize,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its index.
    pub seq: u64,
    /// What was recorded.
    pub entry: AuditEntry,
    /// Leaf hash of the record before.
    pub prev_hash: Digest,
}

impl AuditEntry {
    /// Checks that the entry fits a record.
    ///
    /// # Errors
    /// Names the field that is too long.
    pub fn check(&self) -> Result<(), EntryTooLong> {
        let fields = [
            ("actor", self.actor.len(), NAME_BYTES_MAX),
            ("action", self.action.len(), NAME_BYTES_MAX),
            ("subject", self.subject.len(), SUBJECT_BYTES_MAX),
        ];
        fields.into_iter().try_for_each(|(field, found, limit)| {
            if found > limit {
                Err(EntryTooLong {
                    field,
                    found,
                    limit,
                })
            } else {
                Ok(())
            }
        })
    }
}

impl AuditRecord {
    /// The record's bytes: the leaf of the tree.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.entry.time.0.to_be_bytes());
        for name in [&self.entry.actor, &self.entry.action] {
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(name.as_bytes());
        }
        let length = u16::try_from(self.entry.subject.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(self.entry.subject.as_bytes());
        out.extend_from_slice(self.prev_hash.as_bytes());
        out.extend_from_slice(self.entry.body_hash.as_bytes());
        out
    }

    /// Reads a record back; `None` unless the bytes are exactly one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        (bytes.first() == Some(&VERSION)).then_some(())?;
        let seq = u64::from_be_bytes(array(bytes, 1)?);
        let time = TimeMs(u64::from_be_bytes(array(bytes, 9)?));
        let (actor, rest) = short_text(bytes.get(17..)?)?;
        let (action, rest) = short_text(rest)?;
        let length = usize::from(u16::from_be_bytes(array(rest, 0)?));
        let (subject, rest) = rest.get(2..)?.split_at_checked(length)?;
        let subject = String::from_utf8(subject.to_vec()).ok()?;
        let prev_hash = Digest(array(rest, 0)?);
        let body_hash = Digest(array(rest, 32)?);
        let entry = AuditEntry {
            time,
            actor,
            action,
            subject,
            body_hash,
        };
        entry.check().ok()?;
        (rest.len() == 64).then_some(Self {
            seq,
            entry,
            prev_hash,
        })
    }

    /// The record's leaf hash, which the next record names.
    #[must_use]
    pub fn leaf_hash(&self) -> Digest {
        leaf_hash(&self.encode())
    }
}

fn short_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(length))?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}
