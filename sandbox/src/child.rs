//! From `clone3` to `execveat`: steps 3 to 12 of the set-up, each with its stage.
//!
//! Everything here runs in the freshly cloned process and calls the kernel directly: no
//! allocation, no formatting, no locks, no drop glue, no return. Whatever needs memory was made
//! by `plan.rs` before the clone.
//!
//! ```text
//! wait for maps -> identity -> parent death -> session, name, priority -> empty root -> rlimits,
//! NO_NEW_PRIVS, MDWE -> Landlock -> capabilities -> descriptors -> init -> seccomp -> execveat
//! ```
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_long, c_ulong};
use std::os::fd::RawFd;
use std::ptr;

use seccompiler::sock_filter;

use crate::init;
use crate::plan::Plan;
use crate::stage::Stage;

/// First byte of a message on the status socket.
pub(crate) const STATUS_FAILED: u8 = 1;
pub(crate) const STATUS_INIT: u8 = 2;
pub(crate) const STATUS_SCRATCH: u8 = 3;
/// Tag, stage, two zero bytes, then errno or wait status in native order.
pub(crate) const STATUS_BYTES: usize = 8;

/// User and group id of every job inside its user namespace.
pub(crate) const JOB_ID: libc::uid_t = 1000;

const OPEN_TREE_CLONE: c_long = 1;
const MOVE_MOUNT_F_EMPTY_PATH: c_long = 4;
const MOUNT_ATTR_RDONLY: u64 = 1;
const MOUNT_ATTR_NOSUID: u64 = 2;
const MOUNT_ATTR_NODEV: u64 = 4;
const MOUNT_ATTR_NOEXEC: u64 = 8;
const PR_MDWE_REFUSE_EXEC_GAIN: c_ulong = 1;
const LANDLOCK_RULE_PATH_BENEATH: c_long = 1;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// Root is nobody special, ids change no capabilities, none may become ambient; all locked.
const SECUREBITS: c_ulong = 0b1110_1111;

/// Sends a status message; if nobody listens any more there is nobody to tell.
pub(crate) fn report(status: RawFd, tag: u8, stage: u8, value: i32) {
    let [a, b, c, d] = value.to_ne_bytes();
    let message: [u8; STATUS_BYTES] = [tag, stage, 0, 0, a, b, c, d];
    // SAFETY: a live buffer of the stated length.
    unsafe { libc::write(status, message.as_ptr().cast(), message.len()) };
}

fn last_errno() -> i32 {
    // SAFETY: the address of this thread's errno is always valid.
    unsafe { *libc::__errno_location() }
}

/// Ends the process with no clean-up.
pub(crate) fn exit_now(code: c_int) -> ! {
    // SAFETY: does not return and runs no handlers.
    unsafe { libc::_exit(code) }
}

fn fail(status: RawFd, stage: Stage) -> ! {
    report(status, STATUS_FAILED, stage.code(), last_errno());
    exit_now(126)
}

fn require(status: RawFd, stage: Stage, answer: c_long) -> c_long {
    if answer < 0 {
        fail(status, stage)
    } else {
        answer
    }
}

/// Becomes the job. Runs in the new process only.
pub(crate) fn enter(plan: &Plan<'_>) -> ! {
    wait_for_maps(plan);
    if plan.layers.namespaces {
        identity(plan.status);
    }
    parent_death(plan);
    session(plan);
    if plan.layers.namespaces {
        empty_root(plan);
    }
    limits(plan);
    landlock(plan);
    capabilities(plan);
    let (program, status) = descriptors(plan);
    if let Some(filter) = plan.init {
        init::split(filter, status);
    }
    if plan.layers.seccomp {
        for filter in plan.filters {
            install_filter(filter, status);
        }
    }
    execute(plan, program, status)
}

/// Step 3a. One byte says the id maps are written; end of file means the launcher is gone.
fn wait_for_maps(plan: &Plan<'_>) {
    let mut byte = 0u8;
    // SAFETY: the launcher's end is a stray copy here; the buffer is one live byte.
    let got = unsafe {
        libc::close(plan.launcher_end);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::read(plan.status, (&raw mut byte).cast(), 1)
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
fn parent_death(plan: &Plan<'_>) {
    let mut poll = libc::pollfd {
        fd: plan.status,
        events: 0,
        revents: 0,
    };
    // SAFETY: integers, and one live pollfd.
    unsafe {
        let armed = libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        require(plan.status, Stage::ParentDeath, c_long::from(armed));
        let ready = libc::poll(&raw mut poll, 1, 0);
        require(plan.status, Stage::ParentDeath, c_long::from(ready));
    }
    if poll.revents & libc::POLLHUP != 0 {
        exit_now(125);
    }
}

/// Jobs run behind the node.
const NICENESS: c_long = 5;

/// Step 4. No terminal, a name that says nothing, private files, behind the node in the queue.
fn session(plan: &Plan<'_>) {
    // SAFETY: integers and a static string.
    unsafe {
        require(plan.status, Stage::Session, c_long::from(libc::setsid()));
        if plan.layers.namespaces {
            let named = libc::sethostname(c"job".as_ptr(), 3);
            require(plan.status, Stage::Hostname, c_long::from(named));
        }
        libc::umask(0o077);
        // The raw call answers 20 minus the niceness. Whoever is nicer already stays so: lowering
        // takes a privilege.
        let inherited = libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0);
        if inherited > 20 - NICENESS {
            let nice = libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, NICENESS);
            require(plan.status, Stage::Priority, nice);
        }
    }
}

/// Step 5. The current directory is the host's empty directory, as the launcher left it. Its
/// detached copy becomes the root; attributes are only ever added, since a user namespace may
/// not drop one the mount already has.
fn empty_root(plan: &Plan<'_>) {
    let status = plan.status;
    let here = c".".as_ptr();
    let none = c"".as_ptr();
    let attributes: [u64; 4] = [
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        0,
        0,
        0,
    ];
    // SAFETY: static strings, null where the kernel allows it, and `attributes` has the layout of
    // `struct mount_attr` (four u64) with its exact size.
    unsafe {
        let private = libc::mount(
            ptr::null(),
            c"/".as_ptr(),
            ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            ptr::null(),
        );
        require(status, Stage::MountPrivate, c_long::from(private));
        let flags = OPEN_TREE_CLONE | c_long::from(libc::O_CLOEXEC);
        let tree = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, here, flags);
        require(status, Stage::Root, tree);
        let set = libc::syscall(
            libc::SYS_mount_setattr,
            tree,
            none,
            libc::AT_EMPTY_PATH,
            attributes.as_ptr(),
            size_of_val(&attributes),
        );
        require(status, Stage::Root, set);
        let moved = libc::syscall(
            libc::SYS_move_mount,
            tree,
            none,
            libc::AT_FDCWD,
            here,
            MOVE_MOUNT_F_EMPTY_PATH,
        );
        require(status, Stage::Root, moved);
        require(status, Stage::Root, libc::syscall(libc::SYS_fchdir, tree));
        if let Some(options) = plan.scratch {
            scratch(plan, options);
        }
        require(
            status,
            Stage::Pivot,
            libc::syscall(libc::SYS_pivot_root, here, here),
        );
        require(
            status,
            Stage::Pivot,
            c_long::from(libc::umount2(here, libc::MNT_DETACH)),
        );
        require(
            status,
            Stage::Pivot,
            c_long::from(libc::chdir(c"/".as_ptr())),
        );
    }
}

/// Step 5, scratch: a bounded tmpfs whose directory also goes to the launcher, and its rule.
fn scratch(plan: &Plan<'_>, options: &CStr) {
    let status = plan.status;
    let path = c"scratch".as_ptr();
    // SAFETY: NUL-terminated strings prepared before the clone.
    let directory = unsafe {
        let mounted = libc::mount(
            c"tmpfs".as_ptr(),
            path,
            c"tmpfs".as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
            options.as_ptr().cast(),
        );
        require(status, Stage::Scratch, c_long::from(mounted));
        let flags = libc::O_DIRECTORY | libc::O_RDONLY | libc::O_CLOEXEC;
        libc::open(path, flags)
    };
    require(status, Stage::Scratch, c_long::from(directory));
    if plan.layers.landlock {
        allow_scratch(plan, directory);
    }
    require(status, Stage::Scratch, send_directory(status, directory));
}

fn allow_scratch(plan: &Plan<'_>, directory: RawFd) {
    /// `struct landlock_path_beneath_attr`, packed by the kernel's definition.
    #[repr(C, packed)]
    struct PathBeneath {
        allowed_access: u64,
        parent: RawFd,
    }
    let rule = PathBeneath {
        allowed_access: plan.scratch_rights,
        parent: directory,
    };
    // SAFETY: `rule` is live and laid out as the kernel expects for this rule type.
    let added = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            plan.ruleset,
            LANDLOCK_RULE_PATH_BENEATH,
            &raw const rule,
            0,
        )
    };
    require(plan.status, Stage::Landlock, added);
}

/// Sends a descriptor over the status socket from memory on the stack.
fn send_directory(status: RawFd, directory: RawFd) -> c_long {
    #[repr(C, align(8))]
    struct Control([u8; 32]);
    let mut control = Control([0; 32]);
    let mut body: [u8; STATUS_BYTES] = [STATUS_SCRATCH, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: all buffers live on this frame; `control` is aligned for cmsghdr and larger than
    // CMSG_SPACE(4), so the first header and its data lie within it.
    unsafe {
        let mut slice = libc::iovec {
            iov_base: body.as_mut_ptr().cast(),
            iov_len: body.len(),
        };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut slice;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as usize;
        libc::CMSG_DATA(header)
            .cast::<RawFd>()
            .write_unaligned(directory);
        libc::syscall(
            libc::SYS_sendmsg,
            status,
            &raw const message,
            libc::MSG_NOSIGNAL,
        )
    }
}

/// Step 6. Limits, no gain of privilege by exec, no memory that turns executable.
fn limits(plan: &Plan<'_>) {
    // SAFETY: live rlimit values; integers otherwise.
    unsafe {
        for (resource, limit) in plan.rlimits {
            let set = libc::setrlimit(*resource, limit);
            require(plan.status, Stage::Rlimit, c_long::from(set));
        }
        let kept = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        require(plan.status, Stage::NoNewPrivileges, c_long::from(kept));
        let refused = libc::prctl(libc::PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
        require(plan.status, Stage::Mdwe, c_long::from(refused));
    }
}

/// Step 7. After the pivot, because a Landlock domain may not change mounts.
fn landlock(plan: &Plan<'_>) {
    if !plan.layers.landlock {
        return;
    }
    // SAFETY: a descriptor and flags.
    let restricted = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, plan.ruleset, 0) };
    require(plan.status, Stage::Landlock, restricted);
}

/// Step 8. Nothing left in any set, and no way to get anything back. Outside a user namespace an
/// unprivileged job has nothing to give up, and may not touch two of the sets.
fn capabilities(plan: &Plan<'_>) {
    let owned = plan.layers.namespaces;
    let header: [u32; 2] = [CAPABILITY_VERSION_3, 0];
    let sets = [0u32; 6];
    // SAFETY: `header` and `sets` have the layouts of version 3; integers otherwise.
    unsafe {
        let ambient = libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        );
        require(plan.status, Stage::Capabilities, c_long::from(ambient));
        if owned {
            let locked = libc::prctl(libc::PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0);
            require(plan.status, Stage::Capabilities, c_long::from(locked));
            for capability in 0..64 {
                if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 {
                    if last_errno() == libc::EINVAL && capability > 37 {
                        break;
                    }
                    fail(plan.status, Stage::Capabilities);
                }
            }
        }
        let emptied = libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr());
        require(plan.status, Stage::Capabilities, emptied);
    }
}

/// Step 9. Streams and inputs under fixed numbers, program and status right above them and closed
/// on exec, nothing else. All sources lie above all targets.
fn descriptors(plan: &Plan<'_>) -> (RawFd, RawFd) {
    let mut next: RawFd = 0;
    // SAFETY: the child owns its whole descriptor table and nothing here is used again by number.
    unsafe {
        for (from, to) in plan.moves {
            require(
                plan.status,
                Stage::Descriptors,
                c_long::from(libc::dup2(*from, *to)),
            );
            next = *to + 1;
        }
        let program = libc::dup3(plan.program, next, libc::O_CLOEXEC);
        require(plan.status, Stage::Descriptors, c_long::from(program));
        let status = libc::dup3(plan.status, next + 1, libc::O_CLOEXEC);
        require(plan.status, Stage::Descriptors, c_long::from(status));
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
