//! Pid 1 of a native job: reaps, reports how the program ended, and takes the namespace with it.
//!
//! Runs in the cloned process under the rules of `child.rs`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};
use std::os::fd::RawFd;
use std::ptr;

use seccompiler::sock_filter;

use crate::child::{self, STATUS_INIT};
use crate::stage::Stage;

/// Step 10. Returns in the child, which goes on to become the program; pid 1 stays here.
///
/// A program that were pid 1 itself would not die of signals it does not handle, and its
/// `abort` would show as SIGSEGV.
pub(crate) fn split(filter: &[sock_filter], status: RawFd) {
    // SAFETY: a plain fork by raw call: no stack, no thread area, exit signal SIGCHLD.
    let program = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if program < 0 {
        // SAFETY: this thread's errno.
        let errno = unsafe { *libc::__errno_location() };
        child::report(status, child::STATUS_FAILED, Stage::Init.code(), errno);
        child::exit_now(126);
    }
    if program > 0 {
        reap(filter, status, program);
    }
}

fn reap(filter: &[sock_filter], status: RawFd, program: c_long) -> ! {
    // SAFETY: init keeps only the status socket, so end of file on the job's streams and inputs
    // is decided by the program alone.
    unsafe { libc::syscall(libc::SYS_close_range, 0, status - 1, 0) };
    child::install_filter(filter, status);
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
