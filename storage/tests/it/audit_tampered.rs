//! Goal: the verifier names the first bad record and the right cause for every way in which a log
//! can be changed. Method: a small log of known records; every byte flipped; then forgeries whose
//! checksums are right; then cuts, with and without an anchor.

use std::fs;
use std::path::Path;

use protocol::digest::Digest;
use protocol::units::TimeMs;
use storage::audit::checkpoint::{Checkpoint, CheckpointError, LogIdentity, anchor};
use storage::audit::log::AuditLog;
use storage::audit::record::{AuditEntry, AuditRecord};
use storage::audit::tree::{Frontier, leaf_hash};
use storage::audit::verify::{AuditVerdict, Cause, Verifier, verify_dir};
use storage::record::format::{
    FileKind, Identity, Record, SEGMENT_HEADER_BYTES, decode_record, encode_record,
    encode_segment_header,
};

use crate::scene::{chain, digest, key, os};

const SEGMENT_BYTES: u64 = 8 << 10;

fn identity() -> LogIdentity {
    LogIdentity {
        chain: chain(),
        signer: key().public(),
    }
}

fn entry(index: u64) -> AuditEntry {
    AuditEntry {
        time: TimeMs(1_000 + index),
        actor: "jobs".to_owned(),
        action: "receipt".to_owned(),
        subject: format!("job {index}"),
        body_hash: digest(&index.to_string()),
    }
}

fn open(dir: &Path) -> (AuditLog, bool) {
    let signer = Some(Box::new(key()) as Box<dyn storage::audit::checkpoint::CheckpointSigner>);
    AuditLog::open(os(), dir, chain(), SEGMENT_BYTES, signer, TimeMs(5)).unwrap()
}

/// Four records, a checkpoint, two records, a checkpoint. Returns the anchors.
fn write(dir: &Path) -> Vec<Digest> {
    let (mut log, intact) = open(dir);
    assert!(intact);
    let mut anchors = Vec::new();
    for count in [4, 2] {
        for _ in 0..count {
            log.append(entry(log.size())).unwrap();
        }
        log.checkpoint().unwrap();
        log.sync().unwrap();
        anchors.push(log.anchor().unwrap());
    }
    anchors
}

fn verify(bytes: &[u8], anchors: &[Digest]) -> AuditVerdict {
    let mut verifier = Verifier::new(identity());
    verifier.segment(bytes);
    verifier.finish(anchors)
}

fn segment(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("0000000001.plsr")).unwrap()
}

fn file_identity() -> Identity {
    Identity {
        kind: FileKind::Audit,
        genesis: chain().0,
        payload_bytes_max: 4 << 10,
    }
}

/// Kind and payload of each record, with its offset.
fn records(bytes: &[u8]) -> Vec<(u8, Vec<u8>, usize)> {
    let mut found = Vec::new();
    let mut offset = SEGMENT_HEADER_BYTES;
    while let Some(record) = decode_record(bytes, offset, 4 << 10) {
        found.push((record.kind, record.payload.to_vec(), offset));
        offset += record.bytes();
    }
    found
}

/// A log of these records whose every checksum is right.
fn forge(records: &[(u8, Vec<u8>, usize)]) -> Vec<u8> {
    let mut bytes = encode_segment_header(&file_identity(), 1);
    for (seq, (kind, payload, _)) in (1..).zip(records) {
        encode_record(
            &mut bytes,
            &Record {
                kind: *kind,
                seq,
                durable: 0,
                payload,
            },
        );
    }
    bytes
}

#[test]
fn an_untouched_log_verifies_and_opening_it_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let anchors = write(dir.path());
    let before = segment(dir.path());
    let verdict = verify_dir(dir.path(), &identity(), &anchors).unwrap();
    assert!(verdict.ok(), "{verdict:?}");
    assert_eq!(
        (
            verdict.records,
            verdict.anchors_checked,
            verdict.anchors_missing
        ),
        (6, 2, 0)
    );
    assert_eq!(segment(dir.path()), before);
    let (log, intact) = open(dir.path());
    assert!(intact);
    assert_eq!((log.size(), log.anchor()), (6, anchors.last().copied()));
}

/// Flipped bytes of the log, of its header and of the zeroes behind it.
#[test]
fn every_flipped_byte_is_found_at_its_record() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let bytes = segment(dir.path());
    let records = records(&bytes);
    assert_eq!(records.len(), 8);
    let last = records.last().unwrap();
    let end = last.2 + 25 + last.1.len();
    for flipped in 0..end + 50 {
        let mut copy = bytes.clone();
        copy[flipped] ^= 0x04;
        // Entries before the flipped record; a checkpoint concerns the next entry.
        let before = |(kind, payload, offset): &&(u8, Vec<u8>, usize)| {
            *kind == 1 && offset + 25 + payload.len() <= flipped
        };
        let expected = records.iter().filter(before).count() as u64;
        let verdict = verify(&copy, &[]);
        assert_eq!(
            verdict.fault,
            Some((expected, Cause::Crc)),
            "byte {flipped}"
        );
    }
}

#[test]
fn forgeries_with_right_checksums() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let genuine = records(&segment(dir.path()));
    assert!(
        verify(&forge(&genuine), &[]).ok(),
        "the forger itself must be sound"
    );
    let fault = |records: &[(u8, Vec<u8>, usize)]| verify(&forge(records), &[]).fault;

    let mut edited = genuine.clone();
    let mut record = AuditRecord::decode(&edited[1].1).unwrap();
    record.entry.subject = "job 7".to_owned();
    edited[1].1 = record.encode();
    assert_eq!(
        fault(&edited),
        Some((2, Cause::Chain)),
        "the next record names another hash"
    );

    let mut removed = genuine.clone();
    removed.remove(1);
    assert_eq!(fault(&removed), Some((1, Cause::Chain)));

    let mut swapped = genuine.clone();
    swapped.swap(1, 2);
    assert_eq!(fault(&swapped), Some((1, Cause::Chain)));

    let mut signed_otherwise = genuine.clone();
    let byte = signed_otherwise[4].1.len() - 10;
    signed_otherwise[4].1[byte] = if signed_otherwise[4].1[byte] == b'A' {
        b'B'
    } else {
        b'A'
    };
    assert_eq!(fault(&signed_otherwise), Some((4, Cause::Checkpoint)));

    let mut moved = genuine.clone();
    moved.swap(3, 4);
    assert_eq!(
        fault(&moved),
        Some((3, Cause::Checkpoint)),
        "a checkpoint of another size"
    );

    let mut unknown = genuine;
    unknown[2].0 = 9;
    assert_eq!(fault(&unknown), Some((2, Cause::Chain)));
}

/// Someone rewrites the whole chain but cannot sign: the old checkpoint no longer fits.
#[test]
fn a_rewritten_chain_fails_at_the_checkpoint_root() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let mut rewritten = records(&segment(dir.path()));
    let mut last = chain().0;
    for (kind, payload, _) in &mut rewritten {
        if *kind == 1 {
            let mut record = AuditRecord::decode(payload).unwrap();
            record.entry.body_hash = Digest::ZERO;
            record.prev_hash = last;
            *payload = record.encode();
            last = leaf_hash(payload);
        }
    }
    assert_eq!(
        verify(&forge(&rewritten), &[]).fault,
        Some((4, Cause::Root))
    );
}

#[test]
fn a_cut_tail_needs_an_anchor_to_be_seen() {
    let dir = tempfile::tempdir().unwrap();
    let anchors = write(dir.path());
    let bytes = segment(dir.path());
    for (kept, _) in records(&bytes).iter().enumerate().skip(1) {
        let whole = records(&bytes);
        let cut = &bytes[..whole[kept].2];
        let entries = whole[..kept].iter().filter(|record| record.0 == 1).count() as u64;
        assert!(verify(cut, &[]).ok(), "a bare chain cannot show a cut");
        let verdict = verify(cut, &anchors);
        assert_eq!(
            verdict.fault,
            Some((entries, Cause::Truncated)),
            "{kept} records kept"
        );
        assert_eq!(verdict.anchors_missing, if kept > 4 { 1 } else { 2 });
    }
}

#[test]
fn a_missing_segment_is_a_truncation() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path());
    while log.size() < 200 {
        log.append(entry(log.size())).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let verdict = verify_dir(dir.path(), &identity(), &[]).unwrap();
    assert_eq!((verdict.records, verdict.fault), (200, None));
    fs::remove_file(dir.path().join("0000000002.plsr")).unwrap();
    let verdict = verify_dir(dir.path(), &identity(), &[]).unwrap();
    assert_eq!(
        verdict.fault.map(|(_, cause)| cause),
        Some(Cause::Truncated)
    );
}

#[test]
fn a_broken_log_is_put_aside_and_the_fresh_one_says_so() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("audit");
    fs::create_dir(&dir).unwrap();
    write(&dir);
    let mut bytes = segment(&dir);
    let at = records(&bytes)[1].2 + 40;
    bytes[at] ^= 1;
    fs::write(dir.join("0000000001.plsr"), &bytes).unwrap();
    let (log, intact) = open(&dir);
    assert!(!intact);
    assert_eq!(log.size(), 1);
    drop(log);
    assert_eq!(
        fs::read(home.path().join("audit.bad-1/0000000001.plsr")).unwrap(),
        bytes
    );
    let (kind, payload, _) = records(&segment(&dir)).remove(0);
    let first = AuditRecord::decode(&payload).unwrap();
    assert_eq!((kind, first.entry.action.as_str()), (1, "audit.broken"));
    assert!(open(&dir).1, "the fresh log is whole");
}

#[test]
fn checkpoints_have_one_form() {
    let checkpoint = Checkpoint {
        size: 3,
        root: digest("root"),
    };
    let bytes = identity().sign(&checkpoint, &key());
    assert_eq!(identity().verify(&bytes), Ok(checkpoint));
    for flipped in 0..bytes.len() {
        let mut copy = bytes.clone();
        copy[flipped] ^= 1;
        assert!(identity().verify(&copy).is_err(), "byte {flipped}");
    }
    let text = String::from_utf8(bytes.clone()).unwrap();
    for other in [
        format!("{text}\n"),
        text.replace("\n3\n", "\n03\n"),
        text.replace('\n', "\r\n"),
    ] {
        assert_eq!(
            identity().verify(other.as_bytes()),
            Err(CheckpointError::Malformed)
        );
    }
    let stranger = protocol::keys::SecretKey::from_bytes(&[9; 32]).unwrap();
    let forged = identity().sign(&checkpoint, &stranger);
    assert_eq!(
        identity().verify(&forged),
        Err(CheckpointError::BadSignature)
    );
    assert_ne!(anchor(&forged), anchor(&bytes));
    assert_eq!(Frontier::new().root(), protocol::digest::sha256(b""));
}
