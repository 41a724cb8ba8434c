//! The directory as a whole: who holds it, and what it is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::digest::{ChainId, Digest};
use protocol::units::TimeMs;

use crate::exit::ExitKind;

/// The layout of the data directory written by this release.
pub const LAYOUT: u32 = 1;
/// The file that describes the data directory.
pub const STORE: &str = "STORE";
const TEXT_BYTES_MAX: u64 = 4_096;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// Another process holds the directory.
    #[error("{path} is locked by {}", holder(.pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
    },
    /// Written by a newer layout.
    #[error("{path} has layout {found}, this binary knows {LAYOUT}")]
    NewerLayout {
        /// The STORE file.
        path: PathBuf,
        /// The layout found.
        found: u32,
    },
    /// Belongs to another chain.
    #[error("{path} belongs to chain {found}, not {expected}")]
    OtherGenesis {
        /// The STORE file.
        path: PathBuf,
        /// The chain expected.
        expected: ChainId,
        /// The chain found.
        found: ChainId,
    },
    /// The STORE file is not one.
    #[error("{path} is damaged")]
    Damaged {
        /// The STORE file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

impl HomeError {
    /// How this ends the process.
    #[must_use]
    pub const fn exit(&self) -> ExitKind {
        match self {
            Self::Locked { .. } => ExitKind::SignState,
            Self::NewerLayout { .. } => ExitKind::NewerLayout,
            Self::OtherGenesis { .. } => ExitKind::Configuration,
            Self::Damaged { .. } | Self::Io { .. } => ExitKind::Durability,
        }
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> HomeError + 'a {
    move |source| HomeError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// How the process before this one ended, if it said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousRun {
    /// The boot it ran in.
    pub boot_id: String,
    /// When it stopped of its own accord; `None` after a crash.
    pub stopped: Option<TimeMs>,
}

/// The exclusive hold on a home, kept until dropped or until the process ends.
#[derive(Debug)]
pub struct HomeLock {
    file: File,
    boot_id: String,
    previous: Option<PreviousRun>,
}

impl HomeLock {
    /// Takes `run/lock` under `home`.
    ///
    /// # Errors
    /// When another process holds it, naming that process.
    pub fn acquire(home: &Path) -> Result<Self, HomeError> {
        let run = home.join("run");
        fs::create_dir_all(&run).map_err(failed("create", &run))?;
        let path = run.join("lock");
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let mut file = options.open(&path).map_err(failed("open", &path))?;
        let locked = file.try_lock();
        let text = read_text(&mut file).unwrap_or_default();
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = field(&text, "pid").and_then(|pid| pid.parse().ok());
                return Err(HomeError::Locked { path, pid });
            }
            Err(TryLockError::Error(source)) => {
                return Err(HomeError::Io {
                    action: "lock",
                    path,
                    source,
                });
            }
        }
        let previous = field(&text, "boot").map(|boot| PreviousRun {
            boot_id: boot.to_owned(),
            stopped: field(&text, "stopped")
                .and_then(|time| time.parse().ok())
                .map(TimeMs),
        });
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot_id = boot_id.trim().to_owned();
        let mut lock = Self {
            file,
            boot_id,
            previous,
        };
        lock.write(None).map_err(failed("write", &path))?;
        Ok(lock)
    }

    /// How the process before this one ended.
    #[must_use]
    pub const fn previous(&self) -> Option<&PreviousRun> {
        self.previous.as_ref()
    }

    /// How long before `now` the process before this one ended in good order. Nothing after a crash,
    /// or if the machine was started since: the directory may have been somewhere else.
    #[must_use]
    pub fn stopped_ago(&self, now: TimeMs) -> Option<Duration> {
        let previous = self.previous.as_ref()?;
        let stopped = previous
            .stopped
            .filter(|_| previous.boot_id == self.boot_id)?;
        now.0.checked_sub(stopped.0).map(Duration::from_millis)
    }

    /// This machine's present boot.
    #[must_use]
    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Notes an orderly stop and lets go.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn release(mut self, now: TimeMs) -> io::Result<()> {
        self.write(Some(now))
    }

    fn write(&mut self, stopped: Option<TimeMs>) -> io::Result<()> {
        let mut text = format!("pid={}\nboot={}\n", std::process::id(), self.boot_id);
        if let Some(stopped) = stopped {
            text.push_str(&format!("stopped={stopped}\n"));
        }
        // Longer first, shorter after: a reader in between sees whole lines.
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_data()
    }
}

impl Drop for HomeLock {
    /// Unlocks aloud: closing alone would leave the lock to a process that is just being forked
    /// and has not yet closed its copy of the descriptor.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "storage.unlock_failed");
        }
    }
}

fn read_text(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.take(TEXT_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

/// Checks the data directory's STORE file, or writes one into a new directory.
///
/// # Errors
/// When the directory is of another layout or chain, or cannot be read or written.
pub fn check_store(data: &Path, chain: ChainId, release: &str) -> Result<(), HomeError> {
    let path = data.join(STORE);
    fs::create_dir_all(data).map_err(failed("create", data))?;
    let text = match File::open(&path) {
        Ok(mut file) => read_text(&mut file).map_err(failed("read", &path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("layout={LAYOUT}\ngenesis={chain}\ncreated_by={release}\n");
            return write_durably(data, STORE, text.as_bytes());
        }
        Err(source) => {
            return Err(HomeError::Io {
                action: "open",
                path,
                source,
            });
        }
    };
    let layout = field(&text, "layout").and_then(|layout| layout.parse().ok());
    let found = field(&text, "genesis").and_then(|genesis| genesis.parse::<Digest>().ok());
    match (layout, found.map(ChainId)) {
        (Some(found), _) if found > LAYOUT => Err(HomeError::NewerLayout { path, found }),
        (Some(_), Some(found)) if found != chain => Err(HomeError::OtherGenesis {
            path,
            expected: chain,
            found,
        }),
        (Some(LAYOUT), Some(_)) => Ok(()),
        _ => Err(HomeError::Damaged { path }),
    }
}

fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), HomeError> {
    let unfinished = dir.join(format!("{name}.tmp"));
    let mut file = File::create(&unfinished).map_err(failed("create", &unfinished))?;
    file.write_all(bytes)
        .map_err(failed("write", &unfinished))?;
    file.sync_all().map_err(failed("sync", &unfinished))?;
    fs::rename(&unfinished, dir.join(name)).map_err(failed("rename", &unfinished))?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("sync", dir))
}
