//! Reading a whole record file at start, and putting its tail in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::{Record, encode_segment_header, is_blank};
use super::log::{Active, FoundRecord, LogConfig, LogError, OnDamage, Position, RecordLog, failed};
use super::recovery::{Ending, Gaps, Placed, Recovery, Refused};
use super::segments::{Spare, fill_with_zeroes, make_segment, segment_ordinal, segment_path};
use crate::layer::FileLayer;

/// All segments of a directory, read and judged. Of their bytes no more than one segment is held at a
/// time.
pub(super) struct ReadBack<T> {
    /// Ordinal, length, and whether it holds nothing but zeroes.
    files: Vec<SegmentFile>,
    /// What the intact records came to.
    pub(super) folded: T,
    last_seq: BTreeMap<u32, u64>,
    ending: Ending,
}

impl<T> ReadBack<T> {
    /// Hands each intact record to `take`, in order. The inner error names the damaged segment when it may
    /// be set aside; what was folded until then counts for nothing.
    pub(super) fn of(
        layer: &dyn FileLayer,
        config: &LogConfig,
        mut folded: T,
        take: &impl Fn(&mut T, Position, &Record<'_>),
    ) -> Result<Result<Self, (PathBuf, u64)>, LogError> {
        let dir = &config.dir;
        let names = layer.names(dir).map_err(failed("list", dir))?;
        let ordinals: Vec<u32> = names
            .iter()
            .filter_map(|name| segment_ordinal(name))
            .collect();
        let gaps = match config.on_damage {
            OnDamage::Refuse => Gaps::Refused,
            OnDamage::SetAside => Gaps::Allowed,
        };
        let mut recovery = Recovery::new(config.identity, gaps);
        let (mut files, mut last_seq) = (Vec::new(), BTreeMap::new());
        let mut refused = None;
        for &ordinal in &ordinals {
            let path = segment_path(dir, ordinal);
            let bytes = layer.read(&path).map_err(failed("read", &path))?;
            let blank = is_blank(&bytes);
            files.push(SegmentFile {
                ordinal,
                bytes: bytes.len() as u64,
                blank,
            });
            match recovery.segment(&bytes) {
                Ok(placed) => {
                    for Placed { offset, record } in placed {
                        let at = Position {
                            ordinal,
                            offset: offset as u64,
                        };
                        take(&mut folded, at, &record);
                        last_seq.insert(ordinal, record.seq);
                    }
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let finished = refused.map_or_else(|| recovery.finish(), Err);
        match finished {
            Ok(ending) => Ok(Ok(Self {
                files,
                folded,
                last_seq,
                ending,
            })),
            Err(Refused::Acknowledged {
                segment, seq_seen, ..
            }) if config.on_damage == OnDamage::SetAside => {
                let ordinal = ordinals.get(segment).copied().unwrap_or_default();
                Ok(Err((segment_path(dir, ordinal), seq_seen)))
            }
            Err(refused) => Err(LogError::Refused {
                dir: dir.clone(),
                refused,
            }),
        }
    }

    /// Zeroes everything after the last good record; says whether there was anything to zero.
    pub(super) fn repair(
        &self,
        layer: &dyn FileLayer,
        config: &LogConfig,
    ) -> Result<bool, LogError> {
        if !self.ending.torn {
            return Ok(false);
        }
        let (end, offset) = self.ending.end.unwrap_or_default();
        // Last first: a crash in between leaves the same end to be found again.
        for (index, file) in self.files.iter().enumerate().skip(end).rev() {
            let from = if index == end { offset as u64 } else { 0 };
            if file.blank || from >= file.bytes {
                continue;
            }
            let path = segment_path(&config.dir, file.ordinal);
            let open = layer.open(&path).map_err(failed("open", &path))?;
            fill_with_zeroes(open.as_ref(), from, file.bytes).map_err(failed("zero", &path))?;
            open.sync_data().map_err(failed("sync", &path))?;
            tracing::warn!(path = %path.display(), from, "storage.tail_zeroed");
        }
        Ok(true)
    }

    /// Opens the last segment for appending and has the next one made.
    pub(super) fn into_log(
        self,
        layer: Arc<dyn FileLayer>,
        config: LogConfig,
    ) -> Result<(RecordLog, T), LogError> {
        let next_seq = self.ending.next_seq;
        let (active, pending) = match self.ending.end {
            Some((index, offset)) => {
                let SegmentFile { ordinal, bytes, .. } = self.files[index];
                let path = segment_path(&config.dir, ordinal);
                let file = layer.open(&path).map_err(failed("open", &path))?;
                // What was read may still be only in the page cache; from here on it counts.
                file.sync_data().map_err(failed("sync", &path))?;
                let written = offset as u64;
                (
                    Active {
                        ordinal,
                        file,
                        path,
                        written,
                        limit: bytes,
                    },
                    Vec::new(),
                )
            }
            None => {
                let ordinal = self.files.first().map_or(1, |file| file.ordinal);
                let path = segment_path(&config.dir, ordinal);
                let file = make_segment(layer.as_ref(), &config.dir, ordinal, config.segment_bytes)
                    .map_err(failed("prepare", &path))?;
                let limit = config.segment_bytes;
                (
                    Active {
                        ordinal,
                        file,
                        path,
                        written: 0,
                        limit,
                    },
                    Vec::new(),
                )
            }
        };
        let header = if active.written == 0 {
            encode_segment_header(&config.identity, next_seq)
        } else {
            pending
        };
        let next = active.ordinal + 1;
        let ready = self.files.iter().find(|file| file.ordinal == next);
        let path = segment_path(&config.dir, next);
        let spare = match ready {
            Some(file) if file.bytes == config.segment_bytes => {
                Spare::Ready(layer.open(&path).map_err(failed("open", &path))?)
            }
            _ => Spare::start(&layer, &config.dir, next, config.segment_bytes)
                .map_err(failed("prepare", &path))?,
        };
        let last_seq = self.last_seq;
        let log = RecordLog::new(layer, config, active, spare, header, next_seq, last_seq);
        Ok((log, self.folded))
    }
}

/// Keeps the chosen part of each record.
pub(super) fn collect(
    keep: fn(u8, &[u8]) -> Vec<u8>,
) -> impl Fn(&mut Vec<FoundRecord>, Position, &Record<'_>) {
    move |found, at, record| {
        found.push(FoundRecord {
            at,
            kind: record.kind,
            seq: record.seq,
            payload: keep(record.kind, record.payload),
        });
    }
}

/// Folds all records and changes nothing; no directory means no records.
pub(crate) fn read_with<T>(
    layer: &dyn FileLayer,
    config: &LogConfig,
    begin: impl Fn() -> T,
    take: impl Fn(&mut T, Position, &Record<'_>),
) -> Result<T, LogError> {
    if !config.dir.exists() {
        return Ok(begin());
    }
    // A damaged segment that may be set aside counts for nothing here.
    let read = ReadBack::of(layer, config, begin(), &take)?;
    Ok(read.map_or_else(|_| begin(), |read| read.folded))
}

/// Reads all records and changes nothing; no directory means no records.
pub(crate) fn read_records(
    layer: &dyn FileLayer,
    config: &LogConfig,
    keep: fn(u8, &[u8]) -> Vec<u8>,
) -> Result<Vec<FoundRecord>, LogError> {
    read_with(layer, config, Vec::new, collect(keep))
}

#[derive(Clone, Copy, Debug)]
struct SegmentFile {
    ordinal: u32,
    bytes: u64,
    blank: bool,
}

/// Creates a record file's directory.
pub(super) fn make_dir(layer: &dyn FileLayer, dir: &Path) -> Result<(), LogError> {
    std::fs::create_dir_all(dir).map_err(failed("create", dir))?;
    match dir.parent() {
        Some(parent) => layer.sync_dir(parent).map_err(failed("sync", parent)),
        None => Ok(()),
    }
}

/// Renames a damaged segment so that nothing reads it again.
pub(super) fn set_aside(layer: &dyn FileLayer, dir: &Path, path: &Path) -> Result<(), LogError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".bad");
    layer
        .rename(path, Path::new(&name))
        .map_err(failed("rename", path))?;
    layer.sync_dir(dir).map_err(failed("sync", dir))
}
