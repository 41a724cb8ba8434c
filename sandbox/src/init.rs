//! Pid 1 of a native job: reaps, reports how the program ended, and takes the namespace with it.
//!
//! Runs in the cloned process under the rules of `child.rs`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};
use std::os::fd::RawFd;
use std::ptr;

use seccompiler::sock_filter;

use crate::child::{self, STATUS_INIT};
use crate::privilege;
use crate::stage::Stage;

/// Step 10. Returns in the child, which goes on to take a job and become the program; pid 1 stays
/// here. It knows nothing of the job, so it is made before there is one. The child goes on only
/// once pid 1 has locked itself up: from then on it cannot fail, and take a job along.
///
/// A program that were pid 1 itself would not die of signals it does not handle, and its
/// `abort` would show as SIGSEGV.
pub(crate) fn split(filter: &[sock_filter], status: RawFd) {
    let mut gate: [RawFd; 2] = [-1; 2];
    // SAFETY: two live integers for the pipe; a plain fork by raw call: no stack, no thread area,
    // exit signal SIGCHLD.
    let program = unsafe {
        let made = libc::pipe2(gate.as_mut_ptr(), libc::O_CLOEXEC);
        child::require(status, Stage::Init, c_long::from(made));
        libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)
    };
    child::require(status, Stage::Init, program);
    let [passage, lock] = gate;
    if program > 0 {
        reap(filter, status, lock, program);
    }
    let mut byte = 0u8;
    // SAFETY: own descriptors and one live byte.
    let opened = unsafe {
        libc::close(lock);
        let got = libc::read(passage, (&raw mut byte).cast(), 1);
        libc::close(passage);
        got == 1
    };
    if !opened {
        child::exit_now(125);
    }
}

fn reap(filter: &[sock_filter], status: RawFd, lock: RawFd, program: c_long) -> ! {
    keep_only(status, lock);
    privilege::no_capabilities(status);
    child::install_filter(filter, status);
    // SAFETY: one live byte; the filter lets a write through.
    unsafe { libc::write(lock, [1u8].as_ptr().cast(), 1) };
    loop {
        let mut raw: c_int = 0;
        // SAFETY: a live int; no rusage wanted.
        let pid = unsafe {
            libc::syscall(
                libc::SYS_wait4,
                -1,
                &raw mut raw,
                libc::__WALL,
                ptr::null_mut::<libc::rusage>(),
            )
        };
        if pid == program {
            child::report(status, STATUS_INIT, 0, raw);
            child::exit_now(0);
        }
        // Only ECHILD is possible here, and it means the program vanished without a status.
        if pid < 0 {
            child::exit_now(124);
        }
    }
}

/// Closes all but two descriptors, so that the ends of all others are decided by the program alone.
fn keep_only(one: RawFd, other: RawFd) {
    let (low, high) = if one < other {
        (one, other)
    } else {
        (other, one)
    };
    let ranges = [(0, low - 1), (low + 1, high - 1), (high + 1, c_int::MAX)];
    for (from, to) in ranges {
        if from <= to {
            // SAFETY: integers; nothing here is used again by number but the two.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
    }
}
