//! The descriptors a job was started with.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::limits::INPUTS_MAX;
use crate::sys;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The inputs of this job, from descriptor 3 up, as owned values. A second call gives none, and
/// so does a call outside a job in which nothing above 2 is open.
///
/// Call it first in a job's `main`, before anything opens a file.
#[must_use]
pub fn inherited() -> Vec<OwnedFd> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        Vec::new()
    } else {
        sys::take_inherited(3, INPUTS_MAX)
    }
}
