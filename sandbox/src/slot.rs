//! One slot: a launcher, its control group, and the runs that go through it one after another.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;

use crate::cancel::Cancel;
use crate::cgroup::{Cgroups, SlotGroup};
use crate::clock;
use crate::error::{SpawnError, SpecError};
use crate::layers::Layers;
use crate::outcome::Outcome;
use crate::report::{Report, Usage};
use crate::spec::{Program, Spec};
use crate::supervise;
use crate::sys;
use crate::tier::{Degradation, Tier};
use crate::wire::{self, Reply, Request, Setup};

/// A launcher that cannot say "ready" in this time is broken.
const READY_WAIT: Duration = Duration::from_secs(10);
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Argument that makes the binary a launcher; its `main` matches it before anything else.
pub const LAUNCHER_MODE: &str = "__sandbox-launcher";

/// Where and as whom one slot runs. Made by [`crate::Sandbox::slot`].
#[derive(Debug, Clone)]
pub struct SlotConfig {
    pub(crate) index: u32,
    pub(crate) launcher: PathBuf,
    pub(crate) work_dir: PathBuf,
    pub(crate) uid: Option<u32>,
    pub(crate) tier: Tier,
    pub(crate) allowed: Vec<Degradation>,
    pub(crate) layers: Layers,
    pub(crate) cgroups: Arc<Cgroups>,
}

impl SlotConfig {
    /// User its launcher becomes; `None` where it stays this process's user.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        self.uid
    }

    /// Builds only some layers; exists only in builds of the attack suite.
    #[cfg(feature = "attack-suite")]
    #[must_use]
    pub fn with_layers(mut self, layers: Layers) -> Self {
        self.layers = layers;
        self
    }
}

/// A launcher ready for jobs.
///
/// Stay on one thread: the launcher dies with the *thread* that started it, so make the slot in
/// the thread that will run its jobs.
#[derive(Debug)]
pub struct Slot {
    config: SlotConfig,
    launcher: Option<Launcher>,
    group: SlotGroup,
    backoff: Duration,
    not_before: Option<Instant>,
    buffer: Vec<u8>,
}

/// The process and its socket. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Launcher {
    child: Child,
    socket: OwnedFd,
}

impl Slot {
    /// Starts the launcher: joins its control group, drops privileges, compiles the filters.
    ///
    /// # Errors
    /// When any of that fails. Nothing is left behind.
    pub fn spawn(config: SlotConfig) -> Result<Slot, SpawnError> {
        let group = config
            .cgroups
            .slot(config.index, config.uid)
            .map_err(|source| SpawnError::Cgroup { source })?;
        let launcher = Launcher::start(&config, &group)?;
        Ok(Slot {
            config,
            launcher: Some(launcher),
            group,
            backoff: BACKOFF_FIRST,
            not_before: None,
            buffer: Vec::new(),
        })
    }

    /// Runs one job to its end. Blocks for at most the wall limit plus a small constant.
    ///
    /// # Errors
    /// When the spec is refused, before any process is started.
    pub fn run(&mut self, spec: Spec, cancel: &Cancel) -> Result<Report, SpecError> {
        spec.validate()?;
        if !self.config.tier.allows(spec.profile, &self.config.allowed) {
            let tier = self.config.tier.to_string();
            return Err(SpecError::Tier {
                profile: spec.profile.name(),
                tier,
            });
        }
        let inputs = spec.reopen_inputs()?;
        let started = clock::now();
        if self.launcher.is_none() && !self.respawn() {
            return Ok(self.lost());
        }
        let Some(launcher) = &self.launcher else {
            return Ok(self.lost());
        };
        let tier = self.config.tier.clone();
        let mut run = match supervise::Run::prepare(spec, inputs, started) {
            Ok(run) => run,
            Err(_) => return Ok(self.lost()),
        };
        let report = run.drive(
            &launcher.socket,
            &mut self.group,
            cancel,
            &mut self.buffer,
            tier,
        );
        if run.launcher_is_lost() {
            self.launcher = None;
        } else {
            self.backoff = BACKOFF_FIRST;
        }
        Ok(report)
    }

    /// Pid of the launcher, while there is one.
    #[must_use]
    pub fn launcher_pid(&self) -> Option<u32> {
        self.launcher.as_ref().map(|launcher| launcher.child.id())
    }

    /// The launcher's own binary, as a program to run: its hidden modes are the attackers.
    pub(crate) fn own_program(&self) -> io::Result<Program> {
        Program::open(&self.config.launcher)
    }

    /// Protection under which this slot runs jobs.
    #[must_use]
    pub fn tier(&self) -> &Tier {
        &self.config.tier
    }

    fn respawn(&mut self) -> bool {
        if let Some(until) = self.not_before {
            std::thread::sleep(until.saturating_duration_since(clock::now()));
        }
        match Launcher::start(&self.config, &self.group) {
            Ok(launcher) => {
                self.launcher = Some(launcher);
                self.not_before = None;
                true
            }
            Err(_) => {
                self.not_before = Some(clock::now() + self.backoff);
                self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
                false
            }
        }
    }

    fn lost(&self) -> Report {
        Report {
            outcome: Outcome::LauncherLost,
            usage: Usage::default(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            files: Vec::new(),
            tier: self.config.tier.clone(),
            setup: Duration::ZERO,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The group can only be removed once its last process is gone.
        self.launcher = None;
    }
}

impl Launcher {
    fn start(config: &SlotConfig, group: &SlotGroup) -> Result<Launcher, SpawnError> {
        let roots = roots(&config.work_dir)?;
        let (socket, theirs) = wire::pair().map_err(|e| SpawnError::NotReady(e.to_string()))?;
        // Nothing but what `posix_spawn` can do: with a directory or a hook, std would fork, which
        // from a large, threaded process is slow and can deadlock. The launcher moves by itself.
        let child = Command::new(&config.launcher)
            .arg(LAUNCHER_MODE)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| SpawnError::Start {
                program: config.launcher.display().to_string(),
                source,
            })?;
        let launcher = Launcher { child, socket };
        group
            .join(launcher.child.id())
            .map_err(|source| SpawnError::Cgroup { source })?;
        launcher.set_up(config, &roots)?;
        Ok(launcher)
    }

    fn set_up(&self, config: &SlotConfig, roots: &[OwnedFd; 2]) -> Result<(), SpawnError> {
        let not_ready = |text: String| SpawnError::NotReady(text);
        let setup = Request::Setup(Setup {
            uid: config.uid,
            layers: config.layers,
        });
        let fds = roots.each_ref().map(AsFd::as_fd);
        wire::send(self.socket.as_fd(), &setup, &fds).map_err(|e| not_ready(e.to_string()))?;
        wait_readable(&self.socket, READY_WAIT).map_err(|e| not_ready(e.to_string()))?;
        let mut buffer = Vec::new();
        let flags = MsgFlags::MSG_DONTWAIT;
        match wire::receive::<Reply>(self.socket.as_fd(), &mut buffer, flags) {
            Ok((Reply::Ready, _)) => Ok(()),
            Ok((Reply::Refused { stage, errno }, _)) => {
                Err(not_ready(format!("refused at {stage:?}, errno {errno}")))
            }
            Ok(_) => Err(not_ready("unexpected reply".to_owned())),
            Err(error) => Err(not_ready(error.to_string())),
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Its jobs die with it by their parent-death signal.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn wait_readable(socket: &OwnedFd, most: Duration) -> io::Result<()> {
    let deadline = clock::now() + most;
    loop {
        let left = deadline.saturating_duration_since(clock::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(
            &mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)],
            timeout,
        ) {
            Ok(0) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
            Ok(0) | Err(nix::Error::EINTR) => continue,
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens, making them if need be, the empty directory and the one that holds only `scratch`.
pub(crate) fn roots(work_dir: &Path) -> Result<[OwnedFd; 2], SpawnError> {
    let failed = |path: &Path, source| SpawnError::Directory {
        path: path.display().to_string(),
        source,
    };
    let empty = work_dir.join("empty");
    let with_scratch = work_dir.join("with-scratch");
    for path in [&empty, &with_scratch.join("scratch"), &with_scratch] {
        fs::create_dir_all(path).map_err(|e| failed(path, e))?;
    }
    let open = |path: &Path, holds: usize| {
        let found = fs::read_dir(path).map_err(|e| failed(path, e))?.count();
        if found != holds {
            let source = io::Error::other(format!("holds {found} entries, must hold {holds}"));
            return Err(failed(path, source));
        }
        let readable = fs::Permissions::from_mode(0o555);
        // Another slot's owner may have made it; what counts is that it can be entered.
        fs::set_permissions(path, readable).ok();
        fs::File::open(path)
            .map(OwnedFd::from)
            .map_err(|e| failed(path, e))
    };
    Ok([open(&empty, 0)?, open(&with_scratch, 1)?])
}

/// Kills through a pidfd; a process that is gone already is fine.
pub(crate) fn kill(pidfd: &OwnedFd) {
    sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL).ok();
}
