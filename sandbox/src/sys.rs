//! Safe faces of the system calls that neither std nor nix offers.
//!
//! Everything here is called from ordinary code. What runs between `clone3` and `execveat` is in
//! `child.rs` and calls libc directly.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::wire::{Decode, Encode};

/// Result of a call whose failure is one errno.
pub(crate) type Errno<T> = Result<T, i32>;

pub(crate) fn errno() -> i32 {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

/// Turns a `-1 with errno` answer into a `Result`.
pub(crate) fn check(answer: libc::c_long) -> Errno<libc::c_long> {
    if answer < 0 { Err(errno()) } else { Ok(answer) }
}

/// The low half of an answer that the kernel keeps within an `int` (a descriptor, a pid).
fn int(answer: libc::c_long) -> Errno<i32> {
    i32::try_from(answer).map_err(|_| libc::EOVERFLOW)
}

pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: every caller passes a descriptor the kernel has just handed to this process, owned
    // by nobody else. std and nix have no wrapper for the calls that produce these.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Sends `signal` to the process behind a pidfd; a process already gone is not an error.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Errno<()> {
    // SAFETY: plain integers and a null siginfo; nix 0.31 lacks this call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    match check(answer) {
        Ok(_) | Err(libc::ESRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// How a child ended, with what it consumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waited {
    pub(crate) code: i32,
    pub(crate) status: i32,
    pub(crate) usage: RawUsage,
}

/// The part of `struct rusage` that a report carries.
#[derive(Debug, Clone, Copy, Default, Encode, Decode)]
pub(crate) struct RawUsage {
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
    pub(crate) peak_kib: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
}

fn natural(value: libc::c_long) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn microseconds(time: libc::timeval) -> u64 {
    natural(time.tv_sec)
        .saturating_mul(1_000_000)
        .saturating_add(natural(time.tv_usec))
}

impl RawUsage {
    fn from_rusage(usage: &libc::rusage) -> Self {
        RawUsage {
            user_us: microseconds(usage.ru_utime),
            system_us: microseconds(usage.ru_stime),
            peak_kib: natural(usage.ru_maxrss),
            minor_faults: natural(usage.ru_minflt),
            major_faults: natural(usage.ru_majflt),
            voluntary_switches: natural(usage.ru_nvcsw),
            involuntary_switches: natural(usage.ru_nivcsw),
        }
    }
}

/// Reaps the child behind `pidfd`. The raw call also returns `rusage`, which libc's does not.
pub(crate) fn wait_pidfd(pidfd: BorrowedFd<'_>) -> Errno<Waited> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to live buffers of the right type, and all-zero bytes are
        // valid for both, so reading them afterwards is sound whatever the kernel wrote.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                pidfd.as_raw_fd(),
                info.as_mut_ptr(),
                libc::WEXITED,
                usage.as_mut_ptr(),
            )
        };
        match check(answer) {
            Ok(_) => break,
            Err(libc::EINTR) => continue,
            Err(errno) => return Err(errno),
        }
    }
    // SAFETY: initialised (zeroed, then filled by a successful waitid for a child event, for
    // which `si_status` is the active union member).
    let (info, status, usage) = unsafe {
        let info = info.assume_init();
        (info, info.si_status(), usage.assume_init())
    };
    Ok(Waited {
        code: info.si_code,
        status,
        usage: RawUsage::from_rusage(&usage),
    })
}

/// Closes every descriptor from `first` up.
pub(crate) fn close_from(first: u32) -> Errno<()> {
    // SAFETY: integers only. Callers are at the very start of a process that has opened nothing
    // yet, so no owner of a closed descriptor exists.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(|_| ())
}

/// Highest Landlock ABI this kernel offers; 0 when there is none.
pub(crate) fn landlock_abi() -> u32 {
    // SAFETY: a null attribute with the version flag only asks for the version.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<u8>(),
            0usize,
            1u32,
        )
    };
    u32::try_from(answer).unwrap_or(0)
}

/// Whether the kernel can kill a whole process from a seccomp filter.
pub(crate) fn seccomp_kill_process_available() -> bool {
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads one u32 behind a valid pointer.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0u32,
            &raw const action,
        )
    };
    answer == 0
}

/// `prctl` with integer arguments only.
pub(crate) fn prctl(option: i32, value: libc::c_ulong) -> Errno<i32> {
    // SAFETY: callers pass options whose arguments are integers; nothing is dereferenced.
    int(check(libc::c_long::from(unsafe {
        libc::prctl(option, value, 0, 0, 0)
    }))?)
}

/// An anonymous memory file, never executable where the kernel can say so.
pub(crate) fn memfd(name: &str) -> Errno<OwnedFd> {
    const MFD_NOEXEC_SEAL: libc::c_uint = 8;
    let name = CString::new(name).map_err(|_| libc::EINVAL)?;
    let base = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    for flags in [base | MFD_NOEXEC_SEAL, base] {
        // SAFETY: a valid C string and integer flags.
        let answer = unsafe { libc::memfd_create(name.as_ptr(), flags) };
        match check(libc::c_long::from(answer)) {
            Ok(_) => return Ok(own(answer)),
            Err(libc::EINVAL) => continue,
            Err(errno) => return Err(errno),
        }
    }
    Err(libc::EINVAL)
}

/// A copy of a descriptor under a number of at least `floor`.
pub(crate) fn duplicate_above(fd: BorrowedFd<'_>, floor: i32) -> Errno<OwnedFd> {
    // SAFETY: fcntl on an open descriptor with an integer argument.
    let answer = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, floor) };
    check(libc::c_long::from(answer)).map(|_| own(answer))
}

/// Opens a regular file strictly beneath `directory`: no `..`, no links, no waiting on a FIFO.
pub(crate) fn open_beneath(directory: BorrowedFd<'_>, name: &str) -> Errno<OwnedFd> {
    let name = CString::new(name).map_err(|_| libc::EINVAL)?;
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let how: [u64; 3] = [
        u64::from(flags.unsigned_abs()),
        0,
        libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS,
    ];
    // SAFETY: `how` has the layout of `struct open_how` (three u64) and its exact size is passed.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            directory.as_raw_fd(),
            name.as_ptr(),
            how.as_ptr(),
            size_of_val(&how),
        )
    };
    Ok(own(int(check(answer)?)?))
}

/// Changes to the directory behind `fd`, for the child to inherit as its first directory.
pub(crate) fn change_directory(fd: BorrowedFd<'_>) -> Errno<()> {
    // SAFETY: a borrowed, open descriptor.
    check(libc::c_long::from(unsafe { libc::fchdir(fd.as_raw_fd()) })).map(|_| ())
}

/// Puts an open descriptor under the number of standard input, output or error.
pub(crate) fn replace_stdio(source: BorrowedFd<'_>, number: i32) -> Errno<()> {
    assert!(
        (0..=2).contains(&number),
        "only standard streams are replaced"
    );
    // SAFETY: std never owns 0, 1 or 2 through an `OwnedFd`, so no owner is surprised.
    check(libc::c_long::from(unsafe {
        libc::dup2(source.as_raw_fd(), number)
    }))
    .map(|_| ())
}

/// Gives up root for `id`: no groups, all three user and group ids.
pub(crate) fn become_user(id: u32) -> Errno<()> {
    // SAFETY: integers and an empty group list. The process is single-threaded, so the raw calls
    // change all of it; nix would do the same through the same libc functions.
    unsafe {
        check(libc::c_long::from(libc::setgroups(0, ptr::null())))?;
        check(libc::c_long::from(libc::setresgid(id, id, id)))?;
        check(libc::c_long::from(libc::setresuid(id, id, id)))?;
    }
    Ok(())
}

/// Descriptors from `first` up that this process was started with, as owned values.
///
/// A descriptor already closed is left out. Each number must be taken at most once per process:
/// [`crate::inherited`] guards that.
pub(crate) fn take_inherited(first: i32, count: usize) -> Vec<OwnedFd> {
    (first..)
        .take(count)
        .filter(|fd| {
            let mut stat = MaybeUninit::<libc::stat>::uninit();
            // SAFETY: a live buffer of the right type, never read: only the answer counts. The
            // runner's filter lets this call through, but neither `fcntl` nor the `newfstatat`
            // that libc makes of its own `fstat`.
            unsafe { libc::syscall(libc::SYS_fstat, *fd, stat.as_mut_ptr()) == 0 }
        })
        .map(own)
        .collect()
}

/// Effective user id of this process.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

/// Seals a memory file against every change.
pub(crate) fn seal_memfd(fd: &impl AsFd) -> Errno<()> {
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: fcntl with an integer argument.
    let answer = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_ADD_SEALS, seals) };
    check(libc::c_long::from(answer)).map(|_| ())
}

/// The seals on a descriptor, or `None` where it has none (not a memory file).
pub(crate) fn seals(fd: BorrowedFd<'_>) -> Option<i32> {
    // SAFETY: fcntl without arguments.
    let answer = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
    (answer >= 0).then_some(answer)
}

/// File status flags (access mode among them).
pub(crate) fn status_flags(fd: BorrowedFd<'_>) -> Errno<i32> {
    // SAFETY: fcntl without arguments.
    int(check(libc::c_long::from(unsafe {
        libc::fcntl(fd.as_raw_fd(), libc::F_GETFL)
    }))?)
}

/// One argument of an attempted system call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg<'a> {
    /// An integer, or an address that is meant to be wrong.
    Int(i64),
    /// A NUL-terminated string.
    Text(&'a std::ffi::CStr),
    /// Bytes the kernel may read.
    Bytes(&'a [u8]),
}

/// Tries one raw system call and gives the kernel's answer; the attack suite lives on this.
///
/// Only the suite's own table reaches it, and the table contains no call that unmaps, remaps or
/// writes memory of this process.
pub(crate) fn attempt(number: i64, arguments: &[Arg<'_>]) -> Errno<i64> {
    let mut raw = [0i64; 6];
    for (slot, argument) in raw.iter_mut().zip(arguments) {
        *slot = match argument {
            Arg::Int(value) => *value,
            Arg::Text(text) => text.as_ptr().expose_provenance().cast_signed() as i64,
            Arg::Bytes(bytes) => bytes.as_ptr().expose_provenance().cast_signed() as i64,
        };
    }
    // SAFETY: arguments are integers or live buffers, and the calling table holds only calls
    // that do not write through them; a sandbox in order refuses every one of them anyway.
    let answer = unsafe { libc::syscall(number, raw[0], raw[1], raw[2], raw[3], raw[4], raw[5]) };
    check(answer)
}

/// The same through the 32-bit entry (`int 0x80`), which a filter must refuse by architecture.
#[cfg(target_arch = "x86_64")]
pub(crate) fn attempt_int80(number: u32) -> Errno<i64> {
    let answer: u64;
    // SAFETY: `getpid` and the like take no pointers; rbx is not touched, and the registers the
    // 32-bit entry clobbers are declared.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("rax") u64::from(number) => answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let answer = answer.cast_signed();
    if answer < 0 {
        Err(i32::try_from(-answer).unwrap_or(libc::EIO))
    } else {
        Ok(answer)
    }
}

/// Ignores every signal that can be ignored; the attack suite's deaf job.
pub(crate) fn ignore_signals() {
    for signal in 1..=64 {
        // SAFETY: no handler is installed, so no code of ours runs at a signal. SIGKILL and SIGSTOP
        // answer with an error, which is the point of them.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// CPU time of this process so far.
pub(crate) fn own_cpu() -> std::time::Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    std::time::Duration::from_secs(natural(time.tv_sec))
        + std::time::Duration::from_nanos(natural(time.tv_nsec))
}

/// Runs `work` in a forked child that nobody waits for, and gives its pid.
pub(crate) fn in_fork(work: impl FnOnce() -> u8) -> Errno<i32> {
    // SAFETY: the probe process has one thread, so the child may run ordinary code; it leaves by
    // `_exit` and never returns into the parent's frames.
    let pid = unsafe { libc::fork() };
    check(libc::c_long::from(pid))?;
    if pid == 0 {
        let code = work();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(code)) }
    }
    Ok(pid)
}

/// Runs `work` in a forked child and gives its raw wait status.
///
/// For the attack suite inside a job: each attempt dies alone. The caller is single-threaded.
pub(crate) fn in_forked_child(work: impl FnOnce() -> u8) -> Errno<i32> {
    let pid = in_fork(work)?;
    let mut status = 0;
    loop {
        // SAFETY: `status` is a live int.
        let answer = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        match check(libc::c_long::from(answer)) {
            Ok(_) => return Ok(status),
            Err(libc::EINTR) => continue,
            Err(errno) => return Err(errno),
        }
    }
}

/// Forks once; the child sleeps until killed. Answers the child's pid.
pub(crate) fn fork_idle() -> Errno<i32> {
    // SAFETY: single-threaded caller; the child only sleeps in the kernel.
    let pid = unsafe { libc::fork() };
    check(libc::c_long::from(pid))?;
    if pid == 0 {
        loop {
            // SAFETY: waits for a signal, touches nothing.
            unsafe { libc::pause() };
        }
    }
    Ok(pid)
}

/// Sets an option of the allocator; says whether it took it.
pub(crate) fn allocator_option(option: i32, value: i32) -> bool {
    // SAFETY: plain integers; mallopt(3) takes the allocator's own lock.
    unsafe { libc::mallopt(option, value) == 1 }
}

/// Gives free pages of all heaps back; says whether there were any.
pub(crate) fn trim_heaps() -> bool {
    // SAFETY: a plain integer; malloc_trim(3) takes the allocator's own lock.
    unsafe { libc::malloc_trim(0) == 1 }
}

/// Bytes of buffers that the allocator has mapped by themselves.
#[cfg(test)]
pub(crate) fn mapped_bytes() -> usize {
    // SAFETY: no arguments; mallinfo2(3) fills a plain structure.
    unsafe { libc::mallinfo2() }.hblkhd
}
