//! Names within the data directory, and the sizes of what lies there.

/// The write-ahead log.
pub const WAL: &str = "wal";
/// The block log.
pub const BLOCKS: &str = "blocks";
/// Sign-state.
pub const SIGN_STATE: &str = "sign-state";
/// Contradicting pairs.
pub const EVIDENCE: &str = "evidence";
/// The audit log.
pub const AUDIT: &str = "audit";
/// The state's database.
pub const STATE: &str = "state";
/// Blobs.
pub const BLOBS: &str = "blobs";

/// Segments of record files that grow slowly.
pub const SMALL_SEGMENT_BYTES: u64 = 1 << 20;

/// Sizes of the segments of each record file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSizes {
    /// The write-ahead log's.
    pub wal: u64,
    /// The block log's.
    pub blocks: u64,
    /// The audit log's.
    pub audit: u64,
}

impl Default for SegmentSizes {
    fn default() -> Self {
        Self {
            wal: 16 << 20,
            blocks: 64 << 20,
            audit: 16 << 20,
        }
    }
}

impl SegmentSizes {
    /// Small ones, for chains that live for minutes: several nodes share one disk, and each
    /// segment is zero-filled before use.
    #[must_use]
    pub const fn local() -> Self {
        Self {
            wal: 4 << 20,
            blocks: 8 << 20,
            audit: 1 << 20,
        }
    }
}
