//! From `clone3` to `execveat`: steps 3 to 12 of the set-up, each with its stage.
//!
//! Everything here runs in the freshly cloned process and calls the kernel directly: no
//! allocation, no formatting, no locks, no drop glue. What needs memory is laid out by
//! `request.rs` between the two halves, in a process of one thread.
//!
//! ```text
//! prepare   wait for maps -> identity -> parent death -> session, name, priority -> empty root
//!           -> NO_NEW_PRIVS, MDWE, bounding set -> init     all of it before a job is known
//! become    scratch -> rlimits -> Landlock -> no capabilities -> descriptors -> seccomp
//!           -> execveat
//! ```
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use seccompiler::sock_filter;

use crate::init;
use crate::layers::Layers;
use crate::plan::Plan;
use crate::privilege;
use crate::root;
use crate::stage::Stage;
use crate::sys;
use crate::wire::Steps;

/// First byte of a message on the status socket.
pub(crate) const STATUS_FAILED: u8 = 1;
pub(crate) const STATUS_INIT: u8 = 2;
pub(crate) const STATUS_SCRATCH: u8 = 3;
/// The spare has taken a job; the value is its wall-clock limit in milliseconds.
pub(crate) const STATUS_TAKEN: u8 = 4;
/// Tag, stage, two zero bytes, then errno or wait status in native order.
pub(crate) const STATUS_BYTES: usize = 8;

/// User and group id of every job inside its user namespace.
pub(crate) const JOB_ID: libc::uid_t = 1000;

/// Sends a status message; if nobody listens any more there is nobody to tell.
pub(crate) fn report(status: RawFd, tag: u8, stage: u8, value: i32) {
    let [a, b, c, d] = value.to_ne_bytes();
    let message: [u8; STATUS_BYTES] = [tag, stage, 0, 0, a, b, c, d];
    // SAFETY: a live buffer of the stated length.
    unsafe { libc::write(status, message.as_ptr().cast(), message.len()) };
}

pub(crate) fn last_errno() -> i32 {
    // SAFETY: the address of this thread's errno is always valid.
    unsafe { *libc::__errno_location() }
}

/// Ends the process with no clean-up.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: does not return and runs no handlers.
    unsafe { libc::_exit(code) }
}

pub(crate) fn fail(status: RawFd, stage: Stage) -> ! {
    report(status, STATUS_FAILED, stage.code(), last_errno());
    exit_now(126)
}

pub(crate) fn require(status: RawFd, stage: Stage, answer: c_long) -> c_long {
    if answer < 0 {
        fail(status, stage)
    } else {
        answer
    }
}

const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Flags of `clone3` that lie above the 32 bits of `clone`.
const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// When each stage was passed, by its code less one.
pub(crate) type Times = [AtomicU64; Stage::ALL.len()];

/// One page that a launcher shares with the processes it clones: when each passed which stage.
#[derive(Debug)]
pub(crate) struct SharedSteps {
    page: &'static Times,
}

impl SharedSteps {
    /// The page. It is never unmapped: a launcher has one.
    pub(crate) fn new() -> sys::Errno<Self> {
        let bytes = size_of::<Times>();
        // SAFETY: a fresh anonymous mapping, zeroed by the kernel, page-aligned and at least as
        // large as the array, which is valid for all bytes; nothing else refers to it.
        let page = unsafe {
            let start = libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if start == libc::MAP_FAILED {
                return Err(sys::errno());
            }
            &*start.cast::<Times>()
        };
        Ok(SharedSteps { page })
    }

    /// The page with nothing passed yet.
    pub(crate) fn reset(&self) -> &Times {
        for step in self.page {
            step.store(0, Ordering::Relaxed);
        }
        self.page
    }

    /// Whether one stage has been passed.
    pub(crate) fn passed(&self, stage: Stage) -> bool {
        let step = self.page.get(usize::from(stage.code()) - 1);
        step.is_some_and(|step| step.load(Ordering::Relaxed) > 0)
    }

    /// What has been passed.
    pub(crate) fn read(&self) -> Steps {
        self.page
            .each_ref()
            .map(|step| step.load(Ordering::Relaxed))
    }
}

/// What a new process knows from the start.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) layers: Layers,
    /// Whether the root is the one for tools.
    pub(crate) tools: bool,
    /// Filter of pid 1, if the program runs under init.
    pub(crate) init: Option<&'a [sock_filter]>,
    /// Child's end of the status socket, and the launcher's, to be closed here.
    pub(crate) status: RawFd,
    pub(crate) launcher_end: RawFd,
    /// When each stage was passed, in memory shared with the launcher.
    pub(crate) steps: &'a Times,
}

/// Notes that a stage has been passed.
pub(crate) fn mark(origin: &Origin<'_>, stage: Stage) {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let nanos = time
        .tv_sec
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec);
    if let Some(step) = origin.steps.get(usize::from(stage.code()) - 1) {
        step.store(nanos.cast_unsigned(), Ordering::Relaxed);
    }
}

/// Step 1. `clone3` where it exists, else `clone`; both give a pidfd. The new process prepares
/// itself and then lives `life`.
pub(crate) fn spawn(
    origin: &Origin<'_>,
    group: Option<BorrowedFd<'_>>,
    life: impl FnOnce(&Origin<'_>),
) -> sys::Errno<(libc::pid_t, OwnedFd)> {
    let namespaces = if origin.layers.namespaces {
        NAMESPACES
    } else {
        0
    };
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
    // the child runs on a copy of this frame, in a process of one thread, and never leaves this
    // function. std offers no clone.
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
        let _never_returns = Ends;
        prepare(origin);
        life(origin);
        exit_now(125);
    }
    let pid = sys::check(pid)?;
    Ok((
        libc::pid_t::try_from(pid).map_err(|_| libc::EOVERFLOW)?,
        sys::own(pidfd),
    ))
}

/// Ends the process when dropped: a panic in a cloned process must not unwind into the launcher.
struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        exit_now(125);
    }
}

/// The steps that need to know nothing about the job. Runs in the new process only, and goes on in
/// its child if there is an init.
pub(crate) fn prepare(origin: &Origin<'_>) {
    wait_for_maps(origin);
    if origin.layers.namespaces {
        identity(origin.status);
    }
    mark(origin, Stage::Identity);
    parent_death(origin);
    mark(origin, Stage::ParentDeath);
    session(origin);
    if origin.layers.namespaces {
        root::enter(origin);
    }
    privilege::no_gain(origin);
    privilege::bounding_set(origin);
    mark(origin, Stage::Capabilities);
    if let Some(filter) = origin.init {
        init::split(filter, origin.status);
        mark(origin, Stage::Init);
    }
}

/// Becomes the job. Does not return.
pub(crate) fn become_job(origin: &Origin<'_>, plan: &Plan<'_>) -> ! {
    if let (true, Some(options)) = (origin.layers.namespaces, plan.scratch) {
        root::leave_old(origin, plan);
        root::scratch(origin, plan, options);
        mark(origin, Stage::Scratch);
    }
    limits(origin, plan);
    mark(origin, Stage::Rlimit);
    landlock(origin, plan);
    privilege::no_capabilities(origin.status);
    mark(origin, Stage::Landlock);
    let (program, status) = descriptors(origin, plan);
    mark(origin, Stage::Descriptors);
    if origin.layers.seccomp {
        install_filter(plan.filter, status);
        mark(origin, Stage::Seccomp);
    }
    execute(plan, program, status)
}

/// Step 3a. One byte says the id maps are written; end of file means the launcher is gone.
fn wait_for_maps(origin: &Origin<'_>) {
    let mut byte = 0u8;
    // SAFETY: the launcher's end is a stray copy here; the buffer is one live byte.
    let got = unsafe {
        libc::close(origin.launcher_end);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::read(origin.status, (&raw mut byte).cast(), 1)
    };
    if got != 1 {
        exit_now(125);
    }
}

/// Step 3b. Unmapped ids make tmpfs fail with EOVERFLOW, so this comes before everything else.
fn identity(status: RawFd) {
    // SAFETY: integers only; raw calls, since libc's wrappers synchronise threads.
    unsafe {
        let id = c_long::from(JOB_ID);
        require(
            status,
            Stage::Identity,
            libc::syscall(libc::SYS_setresgid, id, id, id),
        );
        require(
            status,
            Stage::Identity,
            libc::syscall(libc::SYS_setresuid, id, id, id),
        );
    }
}

/// Step 3c. `getppid` is 0 in a new pid namespace, so a launcher that died before the signal was
/// armed shows as a hang-up of the status socket instead.
fn parent_death(origin: &Origin<'_>) {
    let mut poll = libc::pollfd {
        fd: origin.status,
        events: 0,
        revents: 0,
    };
    // SAFETY: integers, and one live pollfd.
    unsafe {
        let armed = libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        require(origin.status, Stage::ParentDeath, c_long::from(armed));
        let ready = libc::poll(&raw mut poll, 1, 0);
        require(origin.status, Stage::ParentDeath, c_long::from(ready));
    }
    if poll.revents & libc::POLLHUP != 0 {
        exit_now(125);
    }
}

/// Jobs run behind the node.
const NICENESS: c_long = 5;

/// Step 4. No terminal, a name that says nothing, private files, behind the node in the queue.
fn session(origin: &Origin<'_>) {
    // SAFETY: integers and a static string.
    unsafe {
        require(origin.status, Stage::Session, c_long::from(libc::setsid()));
        if origin.layers.namespaces {
            let named = libc::sethostname(c"job".as_ptr(), 3);
            require(origin.status, Stage::Hostname, c_long::from(named));
        }
        libc::umask(0o077);
        // The raw call answers 20 minus the niceness. Whoever is nicer already stays so: lowering
        // takes a privilege.
        let inherited = libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0);
        if inherited > 20 - NICENESS {
            let nice = libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, NICENESS);
            require(origin.status, Stage::Priority, nice);
        }
    }
}

/// Step 6b. The job's own limits.
fn limits(origin: &Origin<'_>, plan: &Plan<'_>) {
    for (resource, limit) in plan.rlimits {
        // SAFETY: a live rlimit value.
        let set = unsafe { libc::setrlimit(*resource, limit) };
        require(origin.status, Stage::Rlimit, c_long::from(set));
    }
}

/// Step 7. After every mount, because a Landlock domain may not change them.
fn landlock(origin: &Origin<'_>, plan: &Plan<'_>) {
    if !origin.layers.landlock {
        return;
    }
    // SAFETY: a descriptor and flags.
    let restricted = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, plan.ruleset, 0) };
    require(origin.status, Stage::Landlock, restricted);
}

/// Step 9. Streams and inputs under fixed numbers, program and status right above them and closed
/// on exec, nothing else. All sources lie above all targets.
fn descriptors(origin: &Origin<'_>, plan: &Plan<'_>) -> (RawFd, RawFd) {
    let mut next: RawFd = 0;
    // SAFETY: the child owns its whole descriptor table and nothing here is used again by number.
    unsafe {
        for (from, to) in plan.moves {
            require(
                origin.status,
                Stage::Descriptors,
                c_long::from(libc::dup2(*from, *to)),
            );
            next = *to + 1;
        }
        let program = libc::dup3(plan.program, next, libc::O_CLOEXEC);
        require(origin.status, Stage::Descriptors, c_long::from(program));
        let status = libc::dup3(origin.status, next + 1, libc::O_CLOEXEC);
        require(origin.status, Stage::Descriptors, c_long::from(status));
        let closed = libc::syscall(libc::SYS_close_range, status + 1, c_int::MAX, 0);
        require(status, Stage::Descriptors, closed);
        (program, status)
    }
}

/// Step 11. Adds one filter to this thread.
pub(crate) fn install_filter(filter: &[sock_filter], status: RawFd) {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: the kernel copies `len` instructions from live memory of identical layout.
    let installed = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    require(status, Stage::Seccomp, installed);
}

/// Step 12. Only the descriptor names the program: the root holds no file.
fn execute(plan: &Plan<'_>, program: RawFd, status: RawFd) -> ! {
    // SAFETY: both vectors are null-terminated arrays of strings that live in `plan`.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            plan.argv.as_ptr(),
            plan.envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    fail(status, Stage::Exec)
}
