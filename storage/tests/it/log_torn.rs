//! Goal: recovery over bytes never panics, never invents a record, and never drops one that a
//! later record vouches for. Method: a log of five groups, cut at every byte and with every bit
//! flipped, against what was written; then random damage.

use proptest::prelude::*;
use storage::record::format::{
    FileKind, Identity, Record, SEGMENT_HEADER_BYTES, encode_record, encode_segment_header,
};
use storage::record::recovery::{Ending, Placed, Refused, recover};

use crate::scene::chain;

fn identity() -> Identity {
    Identity {
        kind: FileKind::Wal,
        genesis: chain().0,
        payload_bytes_max: 64,
    }
}

/// (seq, durable, payload, offset) of each record, and the segment.
struct Written {
    records: Vec<(u64, u64, Vec<u8>, usize)>,
    bytes: Vec<u8>,
}

/// Groups of 1, 2, 3, 1, 2 records: within a group `durable` is the end of the group before.
fn written() -> Written {
    let mut bytes = encode_segment_header(&identity(), 1);
    let mut records = Vec::new();
    let (mut seq, mut durable) = (0, 0);
    for group in [1_u64, 2, 3, 1, 2] {
        for _ in 0..group {
            seq += 1;
            let payload = format!("record {seq}").into_bytes();
            records.push((seq, durable, payload.clone(), bytes.len()));
            encode_record(
                &mut bytes,
                &Record {
                    kind: 1,
                    seq,
                    durable,
                    payload: &payload,
                },
            );
        }
        durable = seq;
    }
    bytes.resize(bytes.len() + 64, 0);
    Written { records, bytes }
}

fn outcome(bytes: &[u8]) -> Result<(Vec<Placed<'_>>, Ending), Refused> {
    recover(identity(), &[bytes])
}

/// What must hold whatever happened to the bytes. `damage` is the first byte that is wrong.
fn check(written: &Written, bytes: &[u8], damage: usize) {
    match outcome(bytes) {
        Ok((found, ending)) => {
            for (placed, (seq, durable, payload, offset)) in found.iter().zip(&written.records) {
                let record = placed.record;
                assert_eq!(
                    (record.seq, record.durable),
                    (*seq, *durable),
                    "damage at {damage}"
                );
                assert_eq!(
                    (record.payload, placed.offset),
                    (payload.as_slice(), *offset)
                );
            }
            assert!(found.len() <= written.records.len(), "invented at {damage}");
            let next = ending.next_seq;
            assert_eq!(next, found.len() as u64 + 1);
            // Nothing dropped that an intact later record vouches for.
            let whole_after = written
                .records
                .iter()
                .filter(|(.., offset)| *offset > damage);
            let vouched = whole_after
                .filter(|(_, _, payload, offset)| {
                    let range = *offset..offset + 25 + payload.len();
                    bytes.get(range.clone()) == written.bytes.get(range)
                })
                .map(|(_, durable, ..)| *durable)
                .max();
            assert!(
                vouched.is_none_or(|durable| durable < next),
                "dropped at {damage}"
            );
        }
        Err(Refused::Acknowledged { seq, offset, .. }) => {
            let first_bad = written
                .records
                .iter()
                .find(|(_, _, payload, offset)| damage < offset + 25 + payload.len());
            let expected = if damage < SEGMENT_HEADER_BYTES {
                (1, 0)
            } else {
                first_bad
                    .map(|(seq, _, _, offset)| (*seq, *offset))
                    .unwrap()
            };
            assert_eq!((seq, offset), expected, "damage at {damage}");
        }
        Err(other) => panic!("damage at {damage}: {other}"),
    }
}

#[test]
fn untouched_log_is_read_whole() {
    let written = written();
    let (found, ending) = outcome(&written.bytes).unwrap();
    assert_eq!(found.len(), 9);
    let end = written.bytes.len() - 64;
    assert_eq!(
        ending,
        Ending {
            next_seq: 10,
            end: Some((0, end)),
            torn: false
        }
    );
}

#[test]
fn every_truncation() {
    let written = written();
    for length in 0..written.bytes.len() {
        check(&written, &written.bytes[..length], length);
        // A cut can lose records, never make earlier ones look damaged.
        assert!(
            outcome(&written.bytes[..length]).is_ok(),
            "refused at {length}"
        );
    }
}

#[test]
fn every_truncation_filled_with_zeroes() {
    let written = written();
    for length in 0..written.bytes.len() {
        let mut bytes = written.bytes[..length].to_vec();
        bytes.resize(written.bytes.len(), 0);
        let (found, _) = outcome(&bytes).unwrap();
        let whole = written
            .records
            .iter()
            .filter(|(_, _, payload, offset)| offset + 25 + payload.len() <= length);
        // The zeroes may stand where zeroes stood.
        assert!(found.len() >= whole.count(), "lost before {length}");
    }
}

#[test]
fn every_flipped_bit() {
    let written = written();
    let last_group = written.records[7].3;
    for byte in 0..written.bytes.len() {
        for bit in 0..8 {
            let mut bytes = written.bytes.clone();
            bytes[byte] ^= 1 << bit;
            check(&written, &bytes, byte);
            let refused = outcome(&bytes).is_err();
            // The last group has no successor; everything before it is vouched for.
            assert_eq!(refused, byte < last_group, "byte {byte} bit {bit}");
        }
    }
}

#[test]
fn reordered_sectors_of_the_last_group_are_dropped_whole() {
    let written = written();
    let mut bytes = written.bytes.clone();
    let (first, second) = (written.records[7].3, written.records[8].3);
    bytes[first..second].fill(0);
    let (found, ending) = outcome(&bytes).unwrap();
    assert_eq!(found.len(), 7);
    assert_eq!(
        ending,
        Ending {
            next_seq: 8,
            end: Some((0, first)),
            torn: true
        }
    );
}

#[test]
fn a_record_inside_a_payload_vouches_for_nothing() {
    let mut fake = Vec::new();
    encode_record(
        &mut fake,
        &Record {
            kind: 1,
            seq: 9,
            durable: 8,
            payload: b"x",
        },
    );
    let mut bytes = encode_segment_header(&identity(), 1);
    let torn_at = bytes.len();
    encode_record(
        &mut bytes,
        &Record {
            kind: 1,
            seq: 1,
            durable: 0,
            payload: b"torn",
        },
    );
    encode_record(
        &mut bytes,
        &Record {
            kind: 1,
            seq: 2,
            durable: 0,
            payload: &fake,
        },
    );
    bytes[torn_at + 30 - 4] ^= 1;
    let (found, ending) = outcome(&bytes).unwrap();
    assert!(found.is_empty());
    assert!(ending.torn);
}

#[test]
fn other_files_are_named() {
    use storage::record::format::HeaderError;
    let written = written();
    let other = |identity: Identity| recover(identity, &[&written.bytes]).unwrap_err();
    let kind = other(Identity {
        kind: FileKind::Audit,
        ..identity()
    });
    let error = HeaderError::OtherKind {
        found: 1,
        expected: 5,
    };
    assert_eq!(kind, Refused::Header { segment: 0, error });
    let genesis = other(Identity {
        genesis: protocol::digest::Digest::ZERO,
        ..identity()
    });
    let error = HeaderError::OtherGenesis { found: chain().0 };
    assert_eq!(genesis, Refused::Header { segment: 0, error });
}

#[test]
fn segments_continue_each_other() {
    let written = written();
    let mut second = encode_segment_header(&identity(), 10);
    encode_record(
        &mut second,
        &Record {
            kind: 1,
            seq: 10,
            durable: 9,
            payload: b"ten",
        },
    );
    let mut later = encode_segment_header(&identity(), 12);
    encode_record(
        &mut later,
        &Record {
            kind: 1,
            seq: 12,
            durable: 11,
            payload: b"twelve",
        },
    );
    let (found, ending) = recover(identity(), &[&written.bytes, &second, &[0; 99]]).unwrap();
    assert_eq!((found.len(), ending.next_seq, ending.torn), (10, 11, false));
    // Record 11 was acknowledged, says record 12, and is gone.
    let refused = recover(identity(), &[&written.bytes, &second, &later]).unwrap_err();
    assert!(
        matches!(
            refused,
            Refused::Acknowledged {
                segment: 2,
                seq: 11,
                ..
            }
        ),
        "{refused}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Noise from some byte on: what comes before stays, nothing is invented.
    #[test]
    fn noise_after_any_byte(from in 0_usize..400, noise in proptest::collection::vec(any::<u8>(), 1..200)) {
        let written = written();
        let from = from.min(written.bytes.len());
        let mut bytes = written.bytes[..from].to_vec();
        bytes.extend_from_slice(&noise);
        let same = written.bytes.iter().zip(&bytes).take_while(|(a, b)| a == b).count();
        check(&written, &bytes, same);
    }

    /// Bytes that were never a log.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok((found, _)) = outcome(&bytes) {
            prop_assert!(found.is_empty());
        }
    }
}
