//! Goal: whatever was acknowledged survives a power cut that keeps any subset of the sectors
//! written since the last sync, in any order. Method: a file layer that keeps such sectors apart;
//! a writer runs against it, the power is cut at a random request, a random subset of the unsynced
//! sectors reaches the disk, and a healthy start on those bytes is compared with what was
//! acknowledged. The seed is part of every failure.
//!
//! Names count as durable at once here, which the real layer obtains by syncing directories.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use protocol::units::Height;
use storage::layer::{FileLayer, LayerFile};
use storage::record::format::{FileKind, Identity};
use storage::record::log::{LogConfig, OnDamage, RecordLog};
use storage::sign::floor::{SignMark, Step};
use storage::sign::state::{SignState, init};

use crate::scene::{chain, identity, mark, noise, os};

const SECTOR: usize = 512;

/// One file: what is on the disk, and what only the page cache has.
#[derive(Debug, Default)]
struct Content {
    durable: Vec<u8>,
    cached: Vec<u8>,
}

/// The machine: its files, and whether it still has power.
#[derive(Debug, Default)]
struct Machine {
    files: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
}

#[derive(Clone, Debug, Default)]
struct PowerLayer(Arc<Mutex<Machine>>);

#[derive(Debug)]
struct PowerFile(Arc<Mutex<Content>>);

impl LayerFile for PowerFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut content = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let end = offset + bytes.len();
        if content.cached.len() < end {
            content.cached.resize(end, 0);
        }
        content.cached[offset..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        content.durable = content.cached.clone();
        Ok(())
    }
}

impl PowerLayer {
    fn content(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        let machine = self.0.lock().unwrap();
        machine
            .files
            .get(path)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Writes to `dir` what the disk holds after the cut.
    fn cut(&self, dir: &Path, seed: u64) {
        let machine = self.0.lock().unwrap();
        for (index, (path, content)) in (0_u64..).zip(&machine.files) {
            let content = content.lock().unwrap();
            let mut bytes = content.durable.clone();
            bytes.resize(content.cached.len(), 0);
            let kept = noise(seed * 1_000 + index, bytes.len() / SECTOR + 1);
            for (sector, kept) in kept.iter().enumerate() {
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(bytes.len());
                if kept % 2 == 0 {
                    bytes[range.clone()].copy_from_slice(&content.cached[range]);
                }
            }
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

/// Paths are relative to the machine's root, which only the real directories share.
fn inside(path: &Path) -> PathBuf {
    let mut names = path.components().rev();
    let (name, dir) = (names.next().unwrap(), names.next().unwrap());
    Path::new(dir.as_os_str()).join(name)
}

impl FileLayer for PowerLayer {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LayerFile>> {
        let content = Arc::new(Mutex::new(Content::default()));
        self.0
            .lock()
            .unwrap()
            .files
            .insert(inside(path), Arc::clone(&content));
        Ok(Box::new(PowerFile(content)))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn LayerFile>> {
        Ok(Box::new(PowerFile(self.content(&inside(path))?)))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.content(&inside(path))?.lock().unwrap().cached.clone())
    }
    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let machine = self.0.lock().unwrap();
        let dir = Path::new(dir.file_name().unwrap());
        let here = machine.files.keys().filter(|path| path.starts_with(dir));
        Ok(here
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.content(&inside(from))?;
        let mut machine = self.0.lock().unwrap();
        machine.files.remove(&inside(from));
        machine.files.insert(inside(to), content);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.0.lock().unwrap().files.remove(&inside(path));
        removed
            .map(|_| ())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

fn log_config(dir: &Path) -> LogConfig {
    LogConfig {
        identity: Identity {
            kind: FileKind::Wal,
            genesis: chain().0,
            payload_bytes_max: 2_000,
        },
        dir: dir.join("wal"),
        segment_bytes: 8_192,
        on_damage: OnDamage::Refuse,
    }
}

fn payload(seed: u64, seq: u64) -> Vec<u8> {
    let length = 1 + usize::from(noise(seed ^ seq << 8, 1)[0]) * 7;
    noise(seq, length)
}

/// What the writer may rely on when the power goes.
#[derive(Debug, Default)]
struct Promised {
    acknowledged: u64,
    written: u64,
    released: Option<SignMark>,
}

/// Groups of one to four records, some handed over without a sync, each group with a vote whose
/// mark goes into the slots once the log is durable; the last group never gets its sync.
fn run(root: &Path, layer: &PowerLayer, seed: u64) -> Promised {
    let shared: Arc<dyn FileLayer> = Arc::new(layer.clone());
    init(layer, &root.join("sign-state"), identity(), Height(0)).unwrap();
    let keep = |_: u8, payload: &[u8]| payload.to_vec();
    let (mut log, _) = RecordLog::open(Arc::clone(&shared), log_config(root), keep).unwrap();
    let dir = root.join("sign-state");
    let mut slots = SignState::open(&shared, &dir, identity(), None, 0).unwrap();
    let mut promised = Promised::default();
    let script = noise(seed, 64);
    let groups = 2 + usize::from(script[0] % 24);
    for (group, byte) in script[..groups].iter().enumerate() {
        for _ in 0..=byte % 4 {
            promised.written = log.append(1, &payload(seed, log.next_seq())).unwrap().0;
        }
        log.write().unwrap();
        if group + 1 == groups {
            break;
        }
        if byte & 0x40 == 0 {
            let end = log.sync().unwrap();
            promised.acknowledged = end;
            let vote = mark(1, u32::try_from(group).unwrap(), Step::Prevote, &[*byte]);
            slots.advance_all(&[vote]).unwrap();
            slots.store(end).unwrap();
            promised.released = Some(vote);
        }
    }
    // A last slot write that the cut may tear.
    let torn = mark(2, 0, Step::Prevote, b"torn");
    slots.advance_all(&[torn]).unwrap();
    layer.tear_next_sync(&slots_path(), || {
        slots.store(promised.acknowledged).unwrap()
    });
    promised
}

fn slots_path() -> PathBuf {
    PathBuf::from("sign-state/slots")
}

impl PowerLayer {
    /// Runs `write` and then forgets that the file was synced by it.
    fn tear_next_sync(&self, path: &Path, write: impl FnOnce()) {
        let content = self.content(path).unwrap();
        let before = content.lock().unwrap().durable.clone();
        write();
        content.lock().unwrap().durable = before;
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_refused() {
    for seed in 0..200 {
        let root = tempfile::tempdir().unwrap();
        let layer = PowerLayer::default();
        let promised = run(root.path(), &layer, seed);
        let disk = tempfile::tempdir().unwrap();
        layer.cut(disk.path(), seed);
        let keep = |_: u8, payload: &[u8]| payload.to_vec();
        let opened = RecordLog::open(os(), log_config(disk.path()), keep);
        let (mut log, opening) = opened.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let found = opening.records.len() as u64;
        assert!(
            found >= promised.acknowledged,
            "seed {seed}: {found}, {promised:?}"
        );
        assert!(
            found <= promised.written,
            "seed {seed}: {found}, {promised:?}"
        );
        for record in &opening.records {
            assert_eq!(record.payload, payload(seed, record.seq), "seed {seed}");
        }
        let end = log.durable_seq();
        let dir = disk.path().join("sign-state");
        let slots = SignState::open(&os(), &dir, identity(), None, end)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        if let Some(released) = promised.released {
            assert!(
                slots.floor().point >= released.point,
                "seed {seed}: {promised:?}"
            );
            assert!(
                slots
                    .floor()
                    .judge(&mark(1, 0, Step::Propose, b""))
                    .is_err()
            );
        }
        // What follows must be readable after one more start, whatever lay behind the tail.
        log.append(1, b"after").unwrap();
        log.sync().unwrap();
        drop(log);
        let (_, again) = RecordLog::open(os(), log_config(disk.path()), keep).unwrap();
        assert_eq!(again.records.len() as u64, found + 1, "seed {seed}");
        assert!(!again.tail_zeroed, "seed {seed}");
    }
}
