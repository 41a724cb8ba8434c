//! The launcher: one small single-threaded process per slot that clones jobs.
//!
//! ```text
//! Setup -> Ready -> ( Start -> Started [-> Scratch] -> Ended )*  until end of file
//! ```
//! It owns nothing but its socket and two directories. A message it does not understand ends it:
//! the slot then reports `LauncherLost` and starts another.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;

use crate::child::{self, JOB_ID, STATUS_BYTES};
use crate::clock;
use crate::landlock;
use crate::layers::Layers;
use crate::plan::{self, Plan, Strings};
use crate::seccomp::{self, Compiled};
use crate::spec::Profile;
use crate::stage::Stage;
use crate::sys::{self, RawUsage};
use crate::wire::{self, Bounding, Ended, Reply, Request, Setup, Start, WireError};

/// Descriptors are kept above every fixed number of a job.
const FD_FLOOR: i32 = 64;
/// If the slot hangs, the launcher kills the job itself this long after its deadline.
const BACKUP_GRACE: Duration = Duration::from_secs(1);
const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

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
    buffer: Vec<u8>,
}

/// A job between its clone and its end.
struct Running {
    pidfd: OwnedFd,
    status: OwnedFd,
    deadline: Instant,
    failed: Option<(Stage, i32)>,
    init_status: Option<i32>,
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
        let Request::Start(start) = request else {
            return Err(WireError::Garbage("second Setup"));
        };
        launcher.job(&start, fds)?;
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
    wire::send(socket.as_fd(), &Reply::Ready, &[])?;
    Ok(Launcher {
        socket,
        empty,
        with_scratch,
        layers: setup.layers,
        filters,
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
    /// Runs one job to its end; only a broken socket is an error.
    fn job(&mut self, start: &Start, fds: Vec<OwnedFd>) -> Result<(), WireError> {
        let mut running = match self.launch(start, fds) {
            Ok(running) => running,
            Err(failed) => {
                let ended = Ended {
                    siginfo: None,
                    init_status: None,
                    usage: RawUsage::default(),
                    failed: Some(failed),
                };
                return wire::send(self.socket.as_fd(), &Reply::Ended(ended), &[]);
            }
        };
        wire::send(
            self.socket.as_fd(),
            &Reply::Started,
            &[running.pidfd.as_fd()],
        )?;
        self.watch(&mut running)?;
        let waited = sys::wait_pidfd(running.pidfd.as_fd()).map_err(WireError::Os)?;
        self.drain_status(&mut running)?;
        let ended = Ended {
            siginfo: Some((waited.code, waited.status)),
            init_status: running.init_status,
            usage: waited.usage,
            failed: running.failed,
        };
        wire::send(self.socket.as_fd(), &Reply::Ended(ended), &[])
    }

    /// Steps 1 and 2: everything that allocates, the clone, the id maps, the start byte.
    fn launch(&self, start: &Start, fds: Vec<OwnedFd>) -> Result<Running, Failure> {
        let bad = |errno: i32| (Stage::Request, errno);
        let mut fds: Vec<OwnedFd> = fds
            .into_iter()
            .map(|fd| sys::duplicate_above(fd.as_fd(), FD_FLOOR).map_err(bad))
            .collect::<Result<_, _>>()?;
        let group = match start.bounding {
            Bounding::Entered => Some(fds.pop().ok_or(bad(libc::EBADMSG))?),
            _ => None,
        };
        if fds.len() != 4 + usize::from(start.inputs) {
            return Err(bad(libc::EBADMSG));
        }
        let program = fds.remove(0);
        let ruleset = landlock::ruleset(program.as_fd()).map_err(|e| (Stage::Landlock, e))?;
        let argv = Strings::new(&start.args).map_err(bad)?;
        let envp = Strings::new(&start.env).map_err(bad)?;
        let scratch = start
            .scratch
            .map(plan::scratch_options)
            .transpose()
            .map_err(bad)?;
        let (ours, theirs) = self.status_pair().map_err(bad)?;
        let root = if scratch.is_some() {
            &self.with_scratch
        } else {
            &self.empty
        };
        sys::change_directory(root.as_fd()).map_err(|e| (Stage::Root, e))?;
        let filters = self.filters.of(start.profile, &start.limits);
        let plan = Plan {
            argv: &argv.pointers,
            envp: &envp.pointers,
            layers: self.layers,
            status: theirs.as_raw_fd(),
            launcher_end: ours.as_raw_fd(),
            scratch: scratch.as_deref(),
            scratch_rights: landlock::scratch_rights(),
            ruleset: ruleset.as_raw_fd(),
            rlimits: &plan::rlimits(start),
            moves: &plan::moves(&fds),
            program: program.as_raw_fd(),
            filters: filters.stages.each_ref().map(Vec::as_slice),
            init: (start.profile == Profile::Native).then_some(filters.init.as_slice()),
        };
        let group = group.as_ref().map(AsFd::as_fd);
        let (pid, pidfd) = clone_job(&plan, self.layers, group).map_err(|e| (Stage::Clone, e))?;
        drop(theirs);
        let deadline = clock::now() + start.limits.wall() + BACKUP_GRACE;
        let running = Running {
            pidfd,
            status: ours,
            deadline,
            failed: None,
            init_status: None,
        };
        if let Err(failed) = self.release(pid, &running) {
            sys::pidfd_send_signal(running.pidfd.as_fd(), libc::SIGKILL).ok();
            sys::wait_pidfd(running.pidfd.as_fd()).ok();
            return Err(failed);
        }
        Ok(running)
    }

    fn status_pair(&self) -> Result<(OwnedFd, OwnedFd), i32> {
        let (ours, theirs) = wire::pair().map_err(|_| libc::EMFILE)?;
        let ours = sys::duplicate_above(ours.as_fd(), FD_FLOOR)?;
        let theirs = sys::duplicate_above(theirs.as_fd(), FD_FLOOR)?;
        Ok((ours, theirs))
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

    /// Waits for the end of pid 1, passing on what it says; kills it if the slot does not.
    fn watch(&self, running: &mut Running) -> Result<(), WireError> {
        let mut status_open = true;
        let mut killed = false;
        loop {
            let left = running.deadline.saturating_duration_since(clock::now());
            let timeout = if killed {
                PollTimeout::NONE
            } else {
                round_up(left)
            };
            let status_events = if status_open {
                PollFlags::POLLIN
            } else {
                PollFlags::empty()
            };
            let mut fds = vec![
                PollFd::new(running.pidfd.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.socket.as_fd(), PollFlags::empty()),
            ];
            if status_open {
                fds.push(PollFd::new(running.status.as_fd(), status_events));
            }
            match poll(&mut fds, timeout) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<bool> = fds
                .iter()
                .map(|fd| fd.revents().is_some_and(|r| !r.is_empty()))
                .collect();
            drop(fds);
            if ready.get(1) == Some(&true) {
                return Err(WireError::Closed);
            }
            if ready.first() == Some(&true) {
                return Ok(());
            }
            if ready.get(2) == Some(&true) {
                status_open = self.read_status(running)?;
            }
            if !killed && running.deadline <= clock::now() {
                sys::pidfd_send_signal(running.pidfd.as_fd(), libc::SIGKILL).ok();
                killed = true;
            }
        }
    }

    fn drain_status(&self, running: &mut Running) -> Result<(), WireError> {
        while self.read_status(running)? {}
        Ok(())
    }

    /// One message of the child. `false` once there will be no more.
    fn read_status(&self, running: &mut Running) -> Result<bool, WireError> {
        let mut bytes = [0u8; STATUS_BYTES];
        let flags = MsgFlags::MSG_DONTWAIT;
        match wire::receive_bytes(running.status.as_fd(), &mut bytes, flags) {
            Ok((STATUS_BYTES, mut fds)) => {
                let [tag, stage, _, _, a, b, c, d] = bytes;
                let value = i32::from_ne_bytes([a, b, c, d]);
                match tag {
                    child::STATUS_FAILED => {
                        running.failed = Stage::from_code(stage).map(|stage| (stage, value));
                    }
                    child::STATUS_INIT => running.init_status = Some(value),
                    child::STATUS_SCRATCH => {
                        if let Some(directory) = fds.pop() {
                            wire::send(self.socket.as_fd(), &Reply::Scratch, &[directory.as_fd()])?;
                        }
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            }
            Ok(_) | Err(WireError::Closed | WireError::WouldBlock) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn round_up(left: Duration) -> PollTimeout {
    let millis = i32::try_from(left.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

/// Step 1. `clone3` where it exists, else `clone`; both give a pidfd.
fn clone_job(
    plan: &Plan<'_>,
    layers: Layers,
    group: Option<BorrowedFd<'_>>,
) -> sys::Errno<(libc::pid_t, OwnedFd)> {
    let namespaces = if layers.namespaces { NAMESPACES } else { 0 };
    let mut pidfd: i32 = -1;
    let into_group = if group.is_some() { INTO_CGROUP } else { 0 };
    let mut arguments = libc::clone_args {
        flags: u64::from((namespaces | libc::CLONE_PIDFD).cast_unsigned())
            | CLEAR_SIGHAND
            | into_group,
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        child_tid: 0,
        parent_tid: 0,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: group.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    // SAFETY: `arguments` is live and has its exact size. With no stack given the call is a fork:
    // the child runs on a copy of this frame, in a process of one thread, and only enters
    // `child::enter`, which never returns. std offers no clone.
    let mut pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            size_of::<libc::clone_args>(),
        )
    };
    if pid < 0 && sys::errno() == libc::ENOSYS && group.is_none() {
        let flags = namespaces | libc::CLONE_PIDFD | libc::SIGCHLD;
        // SAFETY: as above; the older call stores the pidfd through its third argument.
        pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    }
    if pid == 0 {
        child::enter(plan);
    }
    let pid = sys::check(pid)?;
    Ok((
        libc::pid_t::try_from(pid).map_err(|_| libc::EOVERFLOW)?,
        sys::own(pidfd),
    ))
}

/// Flags of `clone3` that lie above the 32 bits of `clone`.
const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const INTO_CGROUP: u64 = 0x2_0000_0000;
