//! Giving up every privilege, and every way to get one back.
//!
//! Runs in the cloned process under the rules of `child.rs`.
#![allow(unsafe_code)]

use std::ffi::{c_long, c_ulong};
use std::os::fd::RawFd;

use crate::child::{Origin, fail, last_errno, require};
use crate::stage::Stage;

const PR_MDWE_REFUSE_EXEC_GAIN: c_ulong = 1;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// Root is nobody special, ids change no capabilities, none may become ambient; all locked.
const SECUREBITS: c_ulong = 0b1110_1111;

/// Step 5b. No gain of privilege by exec, no memory that turns executable.
pub(crate) fn no_gain(origin: &Origin<'_>) {
    // SAFETY: integers.
    unsafe {
        let kept = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        require(origin.status, Stage::NoNewPrivileges, c_long::from(kept));
        let refused = libc::prctl(libc::PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
        require(origin.status, Stage::Mdwe, c_long::from(refused));
    }
}

/// Step 8a. No way to get a capability back. Outside a user namespace an unprivileged job has
/// nothing to give up, and may not touch two of the sets.
pub(crate) fn bounding_set(origin: &Origin<'_>) {
    let status = origin.status;
    // SAFETY: integers.
    unsafe {
        let ambient = libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        );
        require(status, Stage::Capabilities, c_long::from(ambient));
        if !origin.layers.namespaces {
            return;
        }
        let locked = libc::prctl(libc::PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0);
        require(status, Stage::Capabilities, c_long::from(locked));
        for capability in 0..64 {
            if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 {
                if last_errno() == libc::EINVAL && capability > 37 {
                    break;
                }
                fail(status, Stage::Capabilities);
            }
        }
    }
}

/// Step 8b. Nothing left in any set.
pub(crate) fn no_capabilities(status: RawFd) {
    let header: [u32; 2] = [CAPABILITY_VERSION_3, 0];
    let sets = [0u32; 6];
    // SAFETY: `header` and `sets` have the layouts of version 3.
    let emptied = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    require(status, Stage::Capabilities, emptied);
}
