//! The launcher: one small single-threaded process per slot that clones jobs.
//!
//! ```text
//! Setup -> Ready -> ( [Prepare ->] Start -> Started [-> Scratch] -> Ended )*  until end of file
//! ```
//! Most of a launch does not depend on the job, so it is done before there is one: `Prepare` makes
//! a *spare*, a process that waits inside its namespaces and takes the next `Start` itself. A spare
//! that is discarded or dies costs nothing: the launcher takes the `Start` and clones then.
//!
//! It owns nothing but its socket and two directories. A message it does not understand ends it:
//! the slot then reports `LauncherLost` and starts another.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::MsgFlags;

use crate::child::{self, JOB_ID, Origin, SharedSteps};
use crate::layers::Layers;
use crate::request::{self, FD_FLOOR, Job};
use crate::running::Running;
use crate::seccomp::{self, Compiled};
use crate::stage::Stage;
use crate::sys::{self, RawUsage};
use crate::wire::{
    self, Bounding, Ended, MESSAGE_BYTES_MAX, Reply, Request, Setup, Shape, WireError,
};

/// Namespaces whose removal is slow enough to keep an end waiting.
const SLOW_TO_REMOVE: [&str; 2] = ["mnt", "net"];

/// Entry of the hidden mode `__sandbox-launcher`. Never returns.
pub fn launcher_main() -> ! {
    let code = match serve() {
        Ok(()) | Err(WireError::Closed) => 0,
        Err(_) => 1,
    };
    std::process::exit(code)
}

struct Launcher {
    socket: OwnedFd,
    empty: OwnedFd,
    with_scratch: OwnedFd,
    layers: Layers,
    filters: &'static Compiled,
    steps: SharedSteps,
    /// Control group of the next job, if it has one of its own.
    leaf: Option<OwnedFd>,
    buffer: Vec<u8>,
}

type Failure = (Stage, i32);

fn serve() -> Result<(), WireError> {
    sys::close_from(3).map_err(WireError::Os)?;
    sys::prctl(libc::PR_SET_PDEATHSIG, kill_signal()).map_err(WireError::Os)?;
    let socket = sys::duplicate_above(std::io::stdin().as_fd(), FD_FLOOR).map_err(WireError::Os)?;
    let null = File::open("/dev/null").map_err(|_| WireError::Garbage("no /dev/null"))?;
    sys::replace_stdio(null.as_fd(), 0).map_err(WireError::Os)?;
    drop(null);
    let mut launcher = set_up(socket)?;
    loop {
        let flags = MsgFlags::empty();
        let (request, fds) =
            wire::receive::<Request>(launcher.socket.as_fd(), &mut launcher.buffer, flags)?;
        match request {
            Request::Prepare(shape) => launcher.spare(shape, fds)?,
            Request::Start(start) => launcher.job((start, fds))?,
            // There was a spare when this was sent.
            Request::Discard => {}
            Request::Setup(_) => return Err(WireError::Garbage("second Setup")),
        }
    }
}

fn kill_signal() -> libc::c_ulong {
    libc::c_ulong::from(libc::SIGKILL.unsigned_abs())
}

/// First message: identity and layers. The answer says whether jobs can be started.
fn set_up(socket: OwnedFd) -> Result<Launcher, WireError> {
    let mut buffer = Vec::new();
    let (request, fds) = wire::receive::<Request>(socket.as_fd(), &mut buffer, MsgFlags::empty())?;
    let Request::Setup(setup) = request else {
        return Err(WireError::Garbage("no Setup"));
    };
    let [empty, with_scratch] =
        <[OwnedFd; 2]>::try_from(fds).map_err(|_| WireError::Garbage("Setup needs two roots"))?;
    let above = |fd: OwnedFd| sys::duplicate_above(fd.as_fd(), FD_FLOOR).map_err(WireError::Os);
    let (empty, with_scratch) = (above(empty)?, above(with_scratch)?);
    if let Err(errno) = drop_privileges(&setup) {
        let refused = Reply::Refused {
            stage: Stage::Identity,
            errno,
        };
        wire::send(socket.as_fd(), &refused, &[])?;
        return Err(WireError::Os(errno));
    }
    sys::change_directory(empty.as_fd()).map_err(WireError::Os)?;
    let filters = seccomp::compiled().map_err(|_| WireError::Garbage("profiles"))?;
    let steps = SharedSteps::new().map_err(WireError::Os)?;
    wire::send(socket.as_fd(), &Reply::Ready, &[])?;
    Ok(Launcher {
        socket,
        empty,
        with_scratch,
        layers: setup.layers,
        filters,
        steps,
        leaf: None,
        buffer,
    })
}

/// A launcher started by root becomes its slot's user. That clears both the death signal and the
/// dumpable mark, without which `/proc/<pid>/uid_map` of its children belongs to root.
fn drop_privileges(setup: &Setup) -> sys::Errno<()> {
    if let Some(uid) = setup.uid {
        sys::become_user(uid)?;
    }
    sys::prctl(libc::PR_SET_DUMPABLE, 1)?;
    sys::prctl(libc::PR_SET_PDEATHSIG, kill_signal())?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    Ok(())
}

impl Launcher {
    /// Makes a spare and waits until it is gone: used, discarded or dead.
    fn spare(&mut self, shape: Shape, mut fds: Vec<OwnedFd>) -> Result<(), WireError> {
        // Made here, so that the spare writes to its own copy only where a message lies.
        let mut buffer = vec![0u8; MESSAGE_BYTES_MAX];
        self.leaf = fds.pop();
        let launched = self.launch(shape, |launcher, origin| {
            let job = request::take(origin, &launcher.socket, &mut buffer);
            request::serve(origin, launcher.filters, job)
        });
        // Whatever went wrong will go wrong again, and be reported, when the job comes.
        let Ok(mut running) = launched else {
            return Ok(());
        };
        self.attend(&mut running)?;
        let used = running.deadline.is_some();
        let ended = self.bury(&running)?;
        // Below an init, what became of the one that listened is known only if init could say so.
        let killed = match (shape.init, ended.init_status, ended.siginfo) {
            (true, status, _) => !status.is_some_and(|status| libc::WIFEXITED(status)),
            (false, _, siginfo) => siginfo.is_some_and(|(code, _)| code != libc::CLD_EXITED),
        };
        // One that never came to listen cannot have taken anything along.
        let last = if shape.init {
            Stage::Init
        } else {
            Stage::Capabilities
        };
        let listened = self.steps.passed(last);
        if used {
            wire::send(self.socket.as_fd(), &Reply::Ended(Box::new(ended)), &[])
        } else if killed && listened {
            wire::send(self.socket.as_fd(), &Reply::SpareLost, &[])
        } else {
            Ok(())
        }
    }

    /// Runs one job to its end; only a broken socket is an error.
    fn job(&mut self, (start, mut fds): Job) -> Result<(), WireError> {
        let shape = Shape::of(start.profile, start.scratch.is_some());
        // Without one it is still the group of a spare that came to nothing.
        if start.bounding == Bounding::Entered && fds.len() == 5 + usize::from(start.inputs) {
            self.leaf = fds.pop();
        }
        let deadline = Running::deadline(start.limits.wall());
        let launched = self.launch(shape, |launcher, origin| {
            request::serve(origin, launcher.filters, (start, fds))
        });
        let mut running = match launched {
            Ok(running) => running,
            Err(failed) => {
                let ended = Ended {
                    siginfo: None,
                    init_status: None,
                    overdue: false,
                    usage: RawUsage::default(),
                    failed: Some(failed),
                    steps: self.steps.read(),
                };
                return wire::send(self.socket.as_fd(), &Reply::Ended(Box::new(ended)), &[]);
            }
        };
        running.deadline = Some(deadline);
        running.tell_started(&self.socket)?;
        self.attend(&mut running)?;
        let ended = self.bury(&running)?;
        wire::send(self.socket.as_fd(), &Reply::Ended(Box::new(ended)), &[])
    }

    /// Watches to the end; a job whose slot is gone is not left to itself.
    fn attend(&self, running: &mut Running) -> Result<(), WireError> {
        running.watch(&self.socket).inspect_err(|_| running.kill())
    }

    fn bury(&self, running: &Running) -> Result<Ended, WireError> {
        let waited = sys::wait_pidfd(running.pidfd.as_fd()).map_err(WireError::Os)?;
        Ok(Ended {
            siginfo: Some((waited.code, waited.status)),
            init_status: running.init_status,
            overdue: running.overdue,
            usage: waited.usage,
            failed: running.failed,
            steps: self.steps.read(),
        })
    }

    /// Steps 1 and 2: the clone, the id maps, the start byte.
    fn launch(
        &self,
        shape: Shape,
        life: impl FnOnce(&Launcher, &Origin<'_>),
    ) -> Result<Running, Failure> {
        let (ours, theirs) = status_pair().map_err(|errno| (Stage::Clone, errno))?;
        let root = if shape.scratch {
            &self.with_scratch
        } else {
            &self.empty
        };
        sys::change_directory(root.as_fd()).map_err(|e| (Stage::Root, e))?;
        let origin = Origin {
            layers: self.layers,
            tools: shape.scratch,
            init: shape.init.then_some(self.filters.init()),
            status: theirs.as_raw_fd(),
            launcher_end: ours.as_raw_fd(),
            steps: self.steps.reset(),
        };
        let group = self.leaf.as_ref().map(AsFd::as_fd);
        let cloned = child::spawn(&origin, group, |origin| life(self, origin));
        let (pid, pidfd) = cloned.map_err(|e| (Stage::Clone, e))?;
        child::mark(&origin, Stage::Clone);
        drop(theirs);
        let mut running = Running {
            pidfd,
            status: ours,
            deadline: None,
            failed: None,
            init_status: None,
            overdue: false,
            held: Vec::new(),
        };
        if let Err(failed) = self.release(pid, &running) {
            running.kill();
            return Err(failed);
        }
        child::mark(&origin, Stage::IdMap);
        if self.layers.namespaces {
            running.held = hold(pid);
        }
        Ok(running)
    }

    /// Step 2: maps, then the byte the child waits for.
    fn release(&self, pid: libc::pid_t, running: &Running) -> Result<(), Failure> {
        let own = sys::effective_uid();
        if self.layers.namespaces {
            let map = |file: &str, text: String| {
                fs::write(format!("/proc/{pid}/{file}"), text)
                    .map_err(|e| (Stage::IdMap, e.raw_os_error().unwrap_or(libc::EIO)))
            };
            map("setgroups", "deny".to_owned())?;
            map("gid_map", format!("{JOB_ID} {} 1", nix::unistd::getegid()))?;
            map("uid_map", format!("{JOB_ID} {own} 1"))?;
        }
        // The job, not its launcher, is to be chosen when the group runs out of memory.
        fs::write(format!("/proc/{pid}/oom_score_adj"), "1000").ok();
        nix::sys::socket::send(running.status.as_raw_fd(), &[1], MsgFlags::MSG_NOSIGNAL)
            .map(|_| ())
            .map_err(|e| (Stage::IdMap, e as i32))
    }
}

fn status_pair() -> Result<(OwnedFd, OwnedFd), i32> {
    let (ours, theirs) = wire::small_pair().map_err(|_| libc::EMFILE)?;
    let ours = sys::duplicate_above(ours.as_fd(), FD_FLOOR)?;
    let theirs = sys::duplicate_above(theirs.as_fd(), FD_FLOOR)?;
    Ok((ours, theirs))
}

/// The last process of a namespace waits while the kernel takes it apart, and the end of a job
/// waits with it. Held open, it is taken apart after the end has been reported.
fn hold(pid: libc::pid_t) -> Vec<OwnedFd> {
    let open = |kind: &str| File::open(Path::new("/proc").join(format!("{pid}/ns/{kind}")));
    SLOW_TO_REMOVE
        .iter()
        .filter_map(|kind| open(kind).ok().map(OwnedFd::from))
        .collect()
}
