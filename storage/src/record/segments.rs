//! Making segments before they are needed, so that a full disk cannot strand a vote.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::layer::{FileLayer, LayerFile};

/// Zeroes are written in pieces of this size.
const ZEROES_BYTES: usize = 256 << 10;
const SUFFIX: &str = ".plsr";
const UNFINISHED: &str = "next.tmp";

/// The name of segment `ordinal`.
pub(crate) fn segment_path(dir: &Path, ordinal: u32) -> PathBuf {
    dir.join(format!("{ordinal:010}{SUFFIX}"))
}

/// The ordinal in a segment's name; `None` for any other name.
pub(crate) fn segment_ordinal(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 10).then(|| digits.parse().ok()).flatten()
}

/// Creates segment `ordinal`, zero-filled, synced, and entered in a synced directory.
pub(super) fn make_segment(
    layer: &dyn FileLayer,
    dir: &Path,
    ordinal: u32,
    bytes: u64,
) -> io::Result<Box<dyn LayerFile>> {
    let unfinished = dir.join(UNFINISHED);
    match layer.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = layer.create(&unfinished)?;
    fill_with_zeroes(file.as_ref(), 0, bytes)?;
    file.sync_data()?;
    layer.rename(&unfinished, &segment_path(dir, ordinal))?;
    layer.sync_dir(dir)?;
    Ok(file)
}

/// Overwrites `from..to` with zeroes; the caller syncs.
pub(super) fn fill_with_zeroes(file: &dyn LayerFile, from: u64, to: u64) -> io::Result<()> {
    let zeroes = vec![0_u8; ZEROES_BYTES];
    let mut at = from;
    while at < to {
        let piece = usize::try_from(to - at).map_or(ZEROES_BYTES, |left| left.min(ZEROES_BYTES));
        file.write_all_at(&zeroes[..piece], at)?;
        at += piece as u64;
    }
    Ok(())
}

/// The segment after the one being written.
#[derive(Debug)]
pub(super) enum Spare {
    /// Lies ready.
    Ready(Box<dyn LayerFile>),
    /// Is being made by a thread of its own, so that no vote waits for megabytes of zeroes.
    Making(Receiver<io::Result<Box<dyn LayerFile>>>),
}

impl Spare {
    /// Starts making segment `ordinal`.
    pub(super) fn start(
        layer: &Arc<dyn FileLayer>,
        dir: &Path,
        ordinal: u32,
        bytes: u64,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(1);
        let layer = Arc::clone(layer);
        let dir = dir.to_path_buf();
        thread::Builder::new()
            .name("segment".to_owned())
            .spawn(move || {
                let made = make_segment(layer.as_ref(), &dir, ordinal, bytes);
                // A closed channel means that the log is gone; the segment is found at the next start.
                drop(sender.send(made));
            })?;
        Ok(Self::Making(receiver))
    }

    /// Waits until the segment is ready.
    pub(super) fn take(self) -> io::Result<Box<dyn LayerFile>> {
        match self {
            Self::Ready(file) => Ok(file),
            Self::Making(receiver) => receiver
                .recv()
                .unwrap_or_else(|_| Err(io::Error::other("the segment maker ended early"))),
        }
    }
}
