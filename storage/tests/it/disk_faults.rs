//! Goal: a disk that writes short, fails a sync or is full never leads to a false acknowledgement,
//! and nothing is retried after a failed sync. Method: a file layer with scripted faults.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use protocol::units::Height;
use storage::layer::{FileLayer, LayerFile, OsLayer};
use storage::record::format::{FileKind, Identity};
use storage::record::log::{LogConfig, LogError, OnDamage, RecordLog};
use storage::sign::state::{SignState, SignStateError, init};
use storage::{Durability, ExitKind, JournalError};

use crate::scene::{
    Fatal, chain, config, identity, init_sign_state, mark, open, open_with, os, reply,
};
use storage::sign::floor::Step;
use storage::wal::WalEntry;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What goes wrong, and when. Counters count down; `u64::MAX` never fires.
#[derive(Debug)]
struct Script {
    short_writes: bool,
    syncs_until_error: AtomicU64,
    /// Bytes by which files may still grow; overwriting needs no space.
    bytes_until_full: AtomicU64,
    /// What was done to which directory, in order.
    log: Mutex<Vec<(&'static str, String)>>,
}

impl Script {
    fn healthy() -> Self {
        Self {
            short_writes: false,
            syncs_until_error: AtomicU64::new(u64::MAX),
            bytes_until_full: AtomicU64::new(u64::MAX),
            log: Mutex::new(Vec::new()),
        }
    }

    fn note(&self, what: &'static str, dir: &str) {
        self.log.lock().unwrap().push((what, dir.to_owned()));
    }
}

#[derive(Clone, Debug)]
struct FaultLayer(Arc<Script>);

#[derive(Debug)]
struct FaultFile {
    file: Box<dyn LayerFile>,
    dir: String,
    length: AtomicU64,
    script: Arc<Script>,
}

impl LayerFile for FaultFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.script.note("write", &self.dir);
        let mut length = bytes.len() as u64;
        if self.script.short_writes && length > 1 {
            length = length.div_ceil(3);
        }
        let held = self.length.load(Ordering::SeqCst);
        let room = self.script.bytes_until_full.load(Ordering::SeqCst);
        let end = (offset + length).min(held.saturating_add(room));
        if end <= offset {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        let taken = usize::try_from(end - offset).unwrap();
        let written = self.file.write_at(&bytes[..taken], offset)?;
        self.length
            .fetch_max(offset + written as u64, Ordering::SeqCst);
        if room != u64::MAX {
            let grown = (offset + written as u64).saturating_sub(held);
            self.script
                .bytes_until_full
                .fetch_sub(grown, Ordering::SeqCst);
        }
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.script.note("sync", &self.dir);
        let left = self.script.syncs_until_error.load(Ordering::SeqCst);
        if left == 0 {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        if left != u64::MAX {
            self.script.syncs_until_error.fetch_sub(1, Ordering::SeqCst);
        }
        self.file.sync_data()
    }
}

impl FaultLayer {
    fn file(&self, file: Box<dyn LayerFile>, path: &Path, length: u64) -> Box<dyn LayerFile> {
        let dir = path.parent().and_then(Path::file_name).unwrap();
        let dir = dir.to_str().unwrap().to_owned();
        let (length, script) = (AtomicU64::new(length), Arc::clone(&self.0));
        Box::new(FaultFile {
            file,
            dir,
            length,
            script,
        })
    }
}

impl FileLayer for FaultLayer {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LayerFile>> {
        Ok(self.file(OsLayer.create(path)?, path, 0))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn LayerFile>> {
        let file = OsLayer.open(path)?;
        Ok(self.file(file, path, std::fs::metadata(path)?.len()))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        OsLayer.read(path)
    }
    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsLayer.names(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsLayer.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsLayer.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsLayer.sync_dir(dir)
    }
}

fn log_config(dir: &Path) -> LogConfig {
    LogConfig {
        identity: Identity {
            kind: FileKind::Wal,
            genesis: chain().0,
            payload_bytes_max: 100,
        },
        dir: dir.join("log"),
        segment_bytes: 400,
        on_damage: OnDamage::Refuse,
    }
}

fn open_log(dir: &Path, script: &Arc<Script>) -> Result<RecordLog, LogError> {
    let layer = Arc::new(FaultLayer(Arc::clone(script)));
    Ok(RecordLog::open(layer, log_config(dir), |_, payload| payload.to_vec())?.0)
}

/// Opens without faults and returns the seqs found.
fn found(dir: &Path) -> Vec<u64> {
    let (_, opening) = RecordLog::open(os(), log_config(dir), |_, _| Vec::new()).unwrap();
    opening.records.iter().map(|found| found.seq).collect()
}

#[test]
fn short_writes_are_continued() {
    let dir = tempfile::tempdir().unwrap();
    let script = Arc::new(Script {
        short_writes: true,
        ..Script::healthy()
    });
    let mut log = open_log(dir.path(), &script).unwrap();
    for seq in 1..=30_u64 {
        log.append(1, &seq.to_be_bytes()).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    assert_eq!(found(dir.path()), (1..=30).collect::<Vec<_>>());
}

/// For every n: the n-th sync fails, and what was acknowledged before is there at the next start.
#[test]
fn a_failed_sync_poisons_and_is_never_retried() {
    for syncs in 0..30 {
        let dir = tempfile::tempdir().unwrap();
        let script = Arc::new(Script::healthy());
        let mut log = open_log(dir.path(), &script).unwrap();
        script.syncs_until_error.store(syncs, Ordering::SeqCst);
        let mut acknowledged = 0;
        let error = loop {
            let outcome = log.append(1, b"x").and_then(|_| log.sync());
            match outcome {
                Ok(seq) => acknowledged = seq,
                Err(error) => break error,
            }
        };
        assert_eq!(error.exit(), Some(ExitKind::Durability), "{error}");
        assert!(matches!(error, LogError::Io { .. }), "{error}");
        script.syncs_until_error.store(u64::MAX, Ordering::SeqCst);
        let before = script
            .log
            .lock()
            .unwrap()
            .iter()
            .filter(|(what, _)| *what == "sync")
            .count();
        for outcome in [
            log.append(1, b"y").map(|_| ()),
            log.sync().map(|_| ()),
            log.write(),
        ] {
            assert!(matches!(outcome, Err(LogError::Poisoned { .. })));
        }
        let after = script
            .log
            .lock()
            .unwrap()
            .iter()
            .filter(|(what, _)| *what == "sync")
            .count();
        // The maker of the next segment has a thread and a sync of its own, at most one.
        assert!(after <= before + 1, "a failed sync was retried");
        drop(log);
        let found = found(dir.path());
        assert!(
            found.len() as u64 >= acknowledged,
            "{found:?} lacks {acknowledged}"
        );
    }
}

#[test]
fn a_full_disk_strands_no_record_that_fits_the_segment_lying_ready() {
    let dir = tempfile::tempdir().unwrap();
    let script = Arc::new(Script::healthy());
    let mut log = open_log(dir.path(), &script).unwrap();
    let ready = dir.path().join("log/0000000002.plsr");
    while !ready.exists() {
        std::thread::yield_now();
    }
    script.bytes_until_full.store(0, Ordering::SeqCst);
    let mut acknowledged = 0;
    let error = loop {
        match log.append(1, &[1; 100]).and_then(|_| log.sync()) {
            Ok(seq) => acknowledged = seq,
            Err(error) => break error,
        }
    };
    // Two records fit each of the two segments that exist; the third cannot be made.
    assert_eq!((acknowledged, log.active_ordinal()), (4, 2));
    assert_eq!(error.exit(), Some(ExitKind::Durability), "{error}");
    assert!(error.to_string().contains("No space left"), "{error}");
    drop(log);
    assert_eq!(found(dir.path()), [1, 2, 3, 4]);
}

#[test]
fn a_failed_slot_write_releases_nothing_and_poisons() {
    let dir = tempfile::tempdir().unwrap();
    init(&OsLayer, dir.path(), identity(), Height(5)).unwrap();
    let script = Arc::new(Script::healthy());
    let layer: Arc<dyn FileLayer> = Arc::new(FaultLayer(Arc::clone(&script)));
    let mut slots = SignState::open(&layer, dir.path(), identity(), None, 0).unwrap();
    script.syncs_until_error.store(0, Ordering::SeqCst);
    slots
        .advance_all(&[mark(6, 0, Step::Propose, b"a")])
        .unwrap();
    let error = slots.store(0).unwrap_err();
    assert_eq!(error.exit(), Some(ExitKind::Durability), "{error}");
    script.syncs_until_error.store(u64::MAX, Ordering::SeqCst);
    assert!(matches!(slots.store(0), Err(SignStateError::Poisoned)));
}

/// The whole store: for every n, the n-th sync after opening fails while own votes are written.
/// A vote that was answered is in the WAL and the floor at the next start; the failure is fatal
/// with 76; and the store never answers `Ok` again.
#[test]
fn votes_through_a_failing_disk() {
    for syncs in 0..12 {
        let home = tempfile::tempdir().unwrap();
        init_sign_state(home.path());
        let script = Arc::new(Script::healthy());
        let fatal = Arc::new(Fatal::default());
        let mut with_faults = config(home.path());
        with_faults.layer = Arc::new(FaultLayer(Arc::clone(&script)));
        with_faults.observer = Arc::clone(&fatal) as Arc<dyn storage::Observer>;
        let (storage, _) = open_with(with_faults, home.path()).unwrap();
        script.syncs_until_error.store(syncs, Ordering::SeqCst);
        let vote = |round| {
            let entry = WalEntry::Own {
                mark: mark(1, round, Step::Prevote, &round.to_be_bytes()),
                bytes: vec![1; 100],
            };
            let (answer, outcome) = reply();
            storage
                .handle()
                .wal(vec![entry], Durability::Later, answer)
                .unwrap();
            outcome.recv().unwrap()
        };
        let mut answered = None;
        let mut round = 0;
        let error: JournalError = loop {
            match vote(round) {
                Ok(_) => answered = Some(round),
                Err(error) => break error,
            }
            round += 1;
        };
        assert_eq!(error.exit(), Some(ExitKind::Durability), "{error}");
        assert!(vote(round + 1).is_err(), "went on after a failed sync");
        assert!(
            fatal
                .0
                .lock()
                .unwrap()
                .iter()
                .any(|(exit, _)| *exit == ExitKind::Durability)
        );
        storage.close().unwrap();
        let (storage, recovered) = open(home.path()).unwrap();
        storage.close().unwrap();
        if let Some(answered) = answered {
            let floor = recovered.floor.unwrap().point;
            assert!(
                floor >= mark(1, answered, Step::Prevote, b"").point,
                "{syncs} syncs"
            );
            let logged = recovered
                .wal
                .iter()
                .filter_map(|record| record.entry.mark());
            assert!(
                logged
                    .map(|mark| mark.point.round.0)
                    .any(|round| round == answered)
            );
        }
    }
}

/// What leaves the process has passed the WAL's sync, then the slot's.
#[test]
fn the_log_is_durable_before_the_slot_and_the_slot_before_the_reply() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let script = Arc::new(Script::healthy());
    let mut with_script = config(home.path());
    with_script.layer = Arc::new(FaultLayer(Arc::clone(&script)));
    let (storage, _) = open_with(with_script, home.path()).unwrap();
    let entry = |mark| WalEntry::Own {
        mark,
        bytes: vec![1; 100],
    };
    for round in 0..3 {
        script.log.lock().unwrap().clear();
        let (answer, outcome) = reply();
        let own = entry(mark(1, round, Step::Prevote, b"v"));
        storage
            .handle()
            .wal(vec![own], Durability::Later, answer)
            .unwrap();
        outcome.recv().unwrap().unwrap();
        let log = script.log.lock().unwrap();
        let order: Vec<_> = log
            .iter()
            .map(|(what, dir)| format!("{what} {dir}"))
            .collect();
        let place = |step: &str| order.iter().position(|done| done == step).unwrap();
        let steps = [
            "write wal",
            "sync wal",
            "write sign-state",
            "sync sign-state",
        ]
        .map(place);
        assert!(steps.is_sorted(), "{order:?}");
    }
    storage.close().unwrap();
}
