//! Blob files: where they lie and how they are written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use protocol::digest::Digest;

const TEMPORARY: &str = "tmp";

/// Where a blob lies.
pub(super) fn path_of(dir: &Path, key: &Digest) -> PathBuf {
    let name = key.to_string();
    let prefix = name.get(..2).unwrap_or_default();
    dir.join(prefix).join(&name)
}

/// A blob being written.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Unfinished {
    /// Starts a file; one left over under the same name is replaced.
    pub(super) fn create(dir: &Path, key: &Digest) -> io::Result<Self> {
        let path = dir.join(TEMPORARY).join(key.to_string());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(Self {
            file: options.open(&path)?,
            path,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Makes the file durable under its key.
    pub(super) fn finish(self, dir: &Path, key: &Digest) -> io::Result<()> {
        self.file.sync_all()?;
        let target = path_of(dir, key);
        let parent = target.parent().unwrap_or(dir);
        if !parent.exists() {
            fs::create_dir(parent)?;
            File::open(dir)?.sync_all()?;
        }
        fs::rename(&self.path, &target)?;
        File::open(parent)?.sync_all()
    }

    /// Removes the file.
    pub(super) fn abandon(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "blobs.temporary_kept");
        }
    }
}

/// Makes the directories, removes what a crash left unfinished, and lists the rest with size,
/// oldest first.
pub(super) fn open_dir(dir: &Path) -> io::Result<Vec<(Digest, u64)>> {
    let temporary = dir.join(TEMPORARY);
    fs::create_dir_all(&temporary)?;
    for entry in fs::read_dir(&temporary)? {
        fs::remove_file(entry?.path())?;
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let two_digits = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.len() == 2);
        if !two_digits || !entry.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(entry.path())? {
            let file = file?;
            let key = file.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(key) = key {
                let metadata = file.metadata()?;
                found.push((metadata.modified()?, key, metadata.len()));
            }
        }
    }
    found.sort();
    Ok(found
        .into_iter()
        .map(|(_, key, bytes)| (key, bytes))
        .collect())
}
