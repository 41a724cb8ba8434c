//! A record is found only where its checksum holds, and never beyond its limit.
#![no_main]

use storage::record::format::decode_record;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let offset = bytes.first().map_or(0, |byte| usize::from(*byte));
    if let Some(record) = decode_record(bytes, offset, 512) {
        assert!(record.payload.len() <= 512 && record.durable < record.seq);
    }
});
