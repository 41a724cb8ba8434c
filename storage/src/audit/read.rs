//! Showing records; reads only, and trusts nothing but each record's checksum.

use std::io;
use std::path::Path;

use protocol::digest::ChainId;

use super::log::{RECORD_ENTRY, identity};
use super::record::AuditRecord;
use crate::record::format::{SEGMENT_HEADER_BYTES, decode_record, decode_segment_header};
use crate::record::{segment_ordinal, segment_path};

/// Up to `limit` records from index `from` on, as far as the files are intact.
///
/// # Errors
/// When directory or files cannot be read.
pub fn records(
    dir: &Path,
    chain: ChainId,
    from: u64,
    limit: usize,
) -> io::Result<Vec<AuditRecord>> {
    let identity = identity(chain);
    let mut ordinals = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        ordinals.extend(entry?.file_name().to_str().and_then(segment_ordinal));
    }
    ordinals.sort_unstable();
    let mut found = Vec::new();
    for ordinal in ordinals {
        let bytes = std::fs::read(segment_path(dir, ordinal))?;
        if decode_segment_header(&identity, &bytes).is_err() {
            break;
        }
        let mut offset = SEGMENT_HEADER_BYTES;
        while let Some(record) = decode_record(&bytes, offset, identity.payload_bytes_max) {
            offset += record.bytes();
            let entry = (record.kind == RECORD_ENTRY).then(|| AuditRecord::decode(record.payload));
            found.extend(entry.flatten().filter(|record| record.seq >= from));
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }
    Ok(found)
}
