//! Stopping a run from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::sys::eventfd::{EfdFlags, EventFd};

/// A switch that ends a run with `Outcome::Cancelled`. Clones share one switch; once thrown it
/// stays thrown, so a new run needs a new `Cancel`.
#[derive(Debug, Clone)]
pub struct Cancel {
    event: Arc<EventFd>,
}

impl Cancel {
    /// A switch not yet thrown.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let event =
            EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Cancel {
            event: Arc::new(event),
        })
    }

    /// Throws the switch. Idempotent; safe from any thread.
    pub fn cancel(&self) {
        // The only failure is a counter at its maximum, and then the switch is thrown already.
        self.event.write(1).ok();
    }
}

impl AsFd for Cancel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
