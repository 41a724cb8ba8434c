//! Goal: a record file on disk is repaired, refused or put aside exactly as its bytes say.
//! Method: write with small segments through several rotations, damage files, open again.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use storage::ExitKind;
use storage::record::format::{FileKind, Identity, Record};
use storage::record::log::{LogConfig, LogError, OnDamage, Opening, RecordLog};

use crate::scene::{chain, os};

const SEGMENT_BYTES: u64 = 512;

fn config(dir: &Path, on_damage: OnDamage) -> LogConfig {
    LogConfig {
        identity: Identity {
            kind: FileKind::Wal,
            genesis: chain().0,
            payload_bytes_max: 100,
        },
        dir: dir.join("log"),
        segment_bytes: SEGMENT_BYTES,
        on_damage,
    }
}

fn open(dir: &Path, on_damage: OnDamage) -> Result<(RecordLog, Opening), LogError> {
    RecordLog::open(os(), config(dir, on_damage), |_, payload| payload.to_vec())
}

fn payload(seq: u64) -> Vec<u8> {
    format!("payload of record {seq:04}").into_bytes()
}

/// Appends up to record `last`, two to a group.
fn write(log: &mut RecordLog, last: u64) {
    while log.next_seq() <= last {
        let seq = log.next_seq();
        assert_eq!(log.append(1, &payload(seq)).unwrap().0, seq);
        if seq.is_multiple_of(2) {
            assert_eq!(log.sync().unwrap(), seq);
        }
    }
    log.sync().unwrap();
}

fn seqs(opening: &Opening) -> Vec<u64> {
    for found in &opening.records {
        assert_eq!(found.payload, payload(found.seq));
    }
    opening.records.iter().map(|found| found.seq).collect()
}

fn segment(dir: &Path, ordinal: u32) -> PathBuf {
    dir.join(format!("log/{ordinal:010}.plsr"))
}

fn flip(path: &Path, offset: u64) {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn rotation_keeps_everything_and_the_next_segment_lies_ready() {
    let dir = tempfile::tempdir().unwrap();
    for last in [7, 8, 9, 40, 41] {
        let (mut log, opening) = open(dir.path(), OnDamage::Refuse).unwrap();
        assert!(!opening.tail_zeroed);
        write(&mut log, last);
        let active = log.active_ordinal();
        drop(log);
        let (log, opening) = open(dir.path(), OnDamage::Refuse).unwrap();
        assert_eq!(seqs(&opening), (1..=last).collect::<Vec<_>>());
        assert_eq!(log.active_ordinal(), active);
    }
    let (log, _) = open(dir.path(), OnDamage::Refuse).unwrap();
    assert!(log.active_ordinal() > 3, "the test must rotate");
    let length = |ordinal| fs::metadata(segment(dir.path(), ordinal)).unwrap().len();
    assert_eq!(length(log.active_ordinal()), SEGMENT_BYTES);
}

#[test]
fn a_torn_tail_is_zeroed_and_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), OnDamage::Refuse).unwrap();
    write(&mut log, 4);
    let (_, at) = log.append(1, &payload(5)).unwrap();
    log.append(1, &payload(6)).unwrap();
    log.write().unwrap();
    drop(log);
    flip(&segment(dir.path(), at.ordinal), at.offset + 30);
    let (mut log, opening) = open(dir.path(), OnDamage::Refuse).unwrap();
    assert!(opening.tail_zeroed);
    assert_eq!(seqs(&opening), [1, 2, 3, 4]);
    let bytes = fs::read(segment(dir.path(), at.ordinal)).unwrap();
    let tail = usize::try_from(at.offset).unwrap();
    assert!(
        bytes[tail..].iter().all(|&byte| byte == 0),
        "a stale record may follow a new one"
    );
    write(&mut log, 8);
    drop(log);
    let (_, opening) = open(dir.path(), OnDamage::Refuse).unwrap();
    assert_eq!((seqs(&opening).len(), opening.tail_zeroed), (8, false));
}

#[test]
fn damage_before_acknowledged_records_is_refused_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), OnDamage::Refuse).unwrap();
    write(&mut log, 40);
    drop(log);
    let victim = segment(dir.path(), 2);
    flip(&victim, 100);
    let before = fs::read(&victim).unwrap();
    let error = open(dir.path(), OnDamage::Refuse).unwrap_err();
    assert!(matches!(error, LogError::Refused { .. }), "{error}");
    assert_eq!(error.exit(), Some(ExitKind::Durability));
    assert_eq!(fs::read(&victim).unwrap(), before);
}

#[test]
fn a_missing_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), OnDamage::Refuse).unwrap();
    write(&mut log, 40);
    drop(log);
    fs::remove_file(segment(dir.path(), 2)).unwrap();
    let error = open(dir.path(), OnDamage::Refuse).unwrap_err();
    assert!(matches!(error, LogError::Refused { .. }), "{error}");
}

#[test]
fn a_refetchable_segment_is_put_aside_wherever_it_is() {
    for (victim, offset) in [(1, 60), (2, 100), (2, 10), (3, 200)] {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = open(dir.path(), OnDamage::SetAside).unwrap();
        write(&mut log, 40);
        let active = log.active_ordinal();
        assert!(active > 4);
        drop(log);
        let held = |ordinal| {
            let (_, opening) = open(dir.path(), OnDamage::SetAside).unwrap();
            let records = opening
                .records
                .iter()
                .filter(|found| found.at.ordinal == ordinal);
            records.map(|found| found.seq).collect::<Vec<_>>()
        };
        let lost = held(victim);
        flip(&segment(dir.path(), victim), offset);
        let (mut log, opening) = open(dir.path(), OnDamage::SetAside).unwrap();
        assert_eq!(
            opening.set_aside,
            [segment(dir.path(), victim)],
            "segment {victim}"
        );
        let expected: Vec<_> = (1..=40).filter(|seq| !lost.contains(seq)).collect();
        assert_eq!(seqs(&opening), expected, "segment {victim}");
        // The hole stays acceptable at later starts, and the file can grow.
        write(&mut log, 50);
        drop(log);
        let (_, opening) = open(dir.path(), OnDamage::SetAside).unwrap();
        assert!(opening.set_aside.is_empty());
        assert_eq!(seqs(&opening).len(), expected.len() + 10);
    }
}

/// Goal: folding sees what collecting does, and nothing of a reading that was begun anew. Method: a
/// segment in the middle is set aside by an opening that folds.
#[test]
fn a_fold_begins_anew_when_a_segment_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), OnDamage::SetAside).unwrap();
    write(&mut log, 40);
    drop(log);
    flip(&segment(dir.path(), 2), 80);
    let config = config(dir.path(), OnDamage::SetAside);
    let seen = |seen: &mut Vec<_>, at, record: &Record<'_>| {
        seen.push((at, record.seq, record.payload.to_vec()));
    };
    let (log, folded, opening) = RecordLog::open_with(os(), config, Vec::new, seen).unwrap();
    assert_eq!((opening.set_aside.len(), opening.records.len()), (1, 0));
    assert_eq!(log.next_seq(), 41);
    drop(log);
    let (_, opening) = open(dir.path(), OnDamage::SetAside).unwrap();
    assert!(opening.set_aside.is_empty());
    let collected = opening.records.into_iter();
    let collected = collected.map(|found| (found.at, found.seq, found.payload));
    assert_eq!(folded, collected.collect::<Vec<_>>());
    assert!(folded.len() < 40, "without those of the segment");
}

#[test]
fn the_oldest_segments_can_go() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), OnDamage::Refuse).unwrap();
    write(&mut log, 40);
    while log.oldest_sealed().is_some() {
        log.remove_oldest().unwrap();
    }
    let left = log.active_ordinal();
    drop(log);
    let (mut log, opening) = open(dir.path(), OnDamage::Refuse).unwrap();
    assert_eq!(log.next_seq(), 41);
    assert!(opening.records.iter().all(|found| found.at.ordinal == left));
    write(&mut log, 60);
}

#[test]
fn a_crash_at_any_moment_of_making_a_segment_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), OnDamage::Refuse).unwrap();
    write(&mut log, 40);
    let next = log.active_ordinal() + 1;
    drop(log);
    for leftover in [&b""[..], &[0; 100], &[0; 512]] {
        drop(fs::remove_file(segment(dir.path(), next)));
        fs::write(dir.path().join("log/next.tmp"), leftover).unwrap();
        let (_, opening) = open(dir.path(), OnDamage::Refuse).unwrap();
        assert_eq!(seqs(&opening).len(), 40);
    }
}

#[test]
fn limits_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _) = open(dir.path(), OnDamage::Refuse).unwrap();
    let error = log.append(1, &[0; 101]).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::PayloadTooLong {
                found: 101,
                limit: 100
            }
        ),
        "{error}"
    );
    assert_eq!(error.exit(), None);
    assert_eq!(
        log.append(1, &[0; 100]).unwrap().0,
        1,
        "a refusal takes no seq"
    );
    let mut small = config(dir.path(), OnDamage::Refuse);
    small.segment_bytes = 175;
    let error = RecordLog::open(os(), small, |_, _| Vec::new()).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::SegmentTooSmall {
                found: 175,
                needed: 176
            }
        ),
        "{error}"
    );
}
