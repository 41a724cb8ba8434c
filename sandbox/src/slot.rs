//! One slot: a launcher, its control group, and the runs that go through it one after another.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, Shutdown, shutdown};

use crate::cancel::Cancel;
use crate::cgroup::{Cgroups, SlotGroup};
use crate::clock;
use crate::error::{SpawnError, SpecError};
use crate::layers::Layers;
use crate::outcome::Outcome;
use crate::report::{Report, Usage};
use crate::spec::{Profile, Program, Spec};
use crate::supervise;
use crate::sys;
use crate::tier::{Degradation, Tier};
use crate::wire::{self, Reply, Request, Setup, Shape, WireError};

/// A launcher that cannot say "ready" in this time is broken. One that has ended is noticed at once, so
/// this is for one that hangs; two hundred that start together on half a core take 20 seconds.
const READY_WAIT: Duration = Duration::from_secs(60);
/// A launcher told to go is killed after this time.
const END_WAIT: Duration = Duration::from_secs(1);
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

    /// Uses another launcher than the sandbox was opened with; only in builds of the attack suite.
    #[cfg(feature = "attack-suite")]
    #[must_use]
    pub fn with_launcher(mut self, launcher: impl Into<PathBuf>) -> Self {
        self.launcher = launcher.into();
        self
    }

    /// Leaves the control group out; exists only in builds of the attack suite.
    #[cfg(feature = "attack-suite")]
    #[must_use]
    pub fn without_cgroup(mut self) -> Self {
        self.cgroups = Arc::new(Cgroups::None);
        self.tier = self.tier.and(Degradation::Cgroup);
        self
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
    /// The process that waits for the next job, if one was asked for.
    spare: Option<Shape>,
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
        let mut slot = Slot {
            config,
            launcher: Some(launcher),
            group,
            backoff: BACKOFF_FIRST,
            not_before: None,
            spare: None,
            buffer: Vec::new(),
        };
        slot.prepare(Shape::of(Profile::Runner, false));
        Ok(slot)
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
        let shape = run.shape();
        let spare = self.spare.take();
        let spare = spare.filter(|_| launcher.spare_lives(&mut self.buffer));
        match spare {
            Some(spare) if spare == shape => run.go_by_spare(),
            Some(_) => {
                wire::send(launcher.socket.as_fd(), &Request::Discard, &[]).ok();
                self.group.abandon();
            }
            None => {}
        }
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
            self.prepare(shape);
        }
        Ok(report)
    }

    /// Asks for a process that waits for the next job, which will most likely be like the last.
    /// Without one the next job starts later, and no worse.
    fn prepare(&mut self, shape: Shape) {
        let Some(launcher) = &self.launcher else {
            return;
        };
        let Ok(leaf) = self.group.lease() else {
            return;
        };
        let fds: Vec<BorrowedFd<'_>> = leaf.iter().map(AsFd::as_fd).collect();
        let request = Request::Prepare(shape);
        if wire::send(launcher.socket.as_fd(), &request, &fds).is_ok() {
            self.spare = Some(shape);
        }
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
        self.spare = None;
        match self.restart() {
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

    /// Another launcher in another group: what the old one left, even dead and not yet reaped by
    /// whoever adopted it, would count against the new one's jobs.
    fn restart(&mut self) -> Result<Launcher, SpawnError> {
        self.group = SlotGroup::None;
        self.group = self
            .config
            .cgroups
            .slot(self.config.index, self.config.uid)
            .map_err(|source| SpawnError::Cgroup { source })?;
        Launcher::start(&self.config, &self.group)
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
            steps: Vec::new(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The group can only be removed once its last process is gone.
        self.launcher = None;
        self.spare = None;
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

    /// Whether nothing has been heard of the spare, which says nothing while it lives.
    fn spare_lives(&self, buffer: &mut Vec<u8>) -> bool {
        let flags = MsgFlags::MSG_DONTWAIT;
        let heard = wire::receive::<Reply>(self.socket.as_fd(), buffer, flags);
        !matches!(heard, Ok((Reply::SpareLost, _)))
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
        // Told that nobody listens, it ends what it has cloned and then itself, and leaves no
        // orphan for somebody else to reap. If it does not, its jobs die with it by their
        // parent-death signal.
        if shutdown(self.socket.as_raw_fd(), Shutdown::Write).is_ok() {
            await_end(&self.socket).ok();
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits until every holder of the other end is gone, reading what they still had to say.
fn await_end(socket: &OwnedFd) -> io::Result<()> {
    let deadline = clock::now() + END_WAIT;
    let mut buffer = Vec::new();
    loop {
        wait_readable(socket, deadline.saturating_duration_since(clock::now()))?;
        let flags = MsgFlags::MSG_DONTWAIT;
        let heard = wire::receive::<Reply>(socket.as_fd(), &mut buffer, flags);
        if let Err(WireError::Closed | WireError::Os(_)) = heard {
            return Ok(());
        }
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

/// Opens, making them if need be, the empty directory and the one for tools, in which lie the
/// places where things are mounted.
pub(crate) fn roots(work_dir: &Path) -> Result<[OwnedFd; 2], SpawnError> {
    let failed = |path: &Path, source| SpawnError::Directory {
        path: path.display().to_string(),
        source,
    };
    let empty = work_dir.join("empty");
    let tools = work_dir.join("root");
    let directories = ["scratch", "old", "dev", "proc/self"].map(|name| tools.join(name));
    for path in directories.iter().chain([&empty]) {
        fs::create_dir_all(path).map_err(|e| failed(path, e))?;
    }
    let devices = ["null", "zero", "full", "random", "urandom"].map(|name| format!("dev/{name}"));
    for name in devices.iter().map(String::as_str).chain(["program"]) {
        let path = tools.join(name);
        if !path.exists() {
            fs::write(&path, b"").map_err(|e| failed(&path, e))?;
        }
    }
    for (to, name) in [("scratch", "tmp"), ("/program", "proc/self/exe")] {
        let path = tools.join(name);
        match symlink(to, &path) {
            // Another slot may have made it, this moment or long ago.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(&path, error));
            }
            _ => {}
        }
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
    for (name, holds) in [("dev", devices.len()), ("proc/self", 1), ("proc", 1)] {
        open(&tools.join(name), holds)?;
    }
    Ok([open(&empty, 0)?, open(&tools, 6)?])
}

/// Kills through a pidfd; a process that is gone already is fine.
pub(crate) fn kill(pidfd: &OwnedFd) {
    sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL).ok();
}
