//! Append-only record files, the authority of the store.
//!
//! [`format`] is the bytes, [`recovery`] the pure reading of them, [`log`] the writing.

pub mod format;
pub mod log;
mod readback;
pub mod recovery;
mod segments;
pub(crate) use readback::{read_records, read_with};
pub(crate) use segments::{segment_ordinal, segment_path};
