//! A job or a spare, as its launcher sees it: what it says and how it ends.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::MsgFlags;

use crate::child::{self, STATUS_BYTES};
use crate::clock;
use crate::stage::Stage;
use crate::sys;
use crate::wire::{self, Reply, WireError};

/// If the slot hangs, the launcher kills the job itself this long after its deadline.
const BACKUP_GRACE: Duration = Duration::from_secs(1);

/// A process between its clone and its end.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pidfd: OwnedFd,
    pub(crate) status: OwnedFd,
    /// Once there is a job.
    pub(crate) deadline: Option<Instant>,
    pub(crate) failed: Option<(Stage, i32)>,
    pub(crate) init_status: Option<i32>,
    /// It was killed here, long after its deadline: the slot had not come to it.
    pub(crate) overdue: bool,
    /// Namespaces held open past the end of the process, so that nobody waits for their removal.
    pub(crate) held: Vec<OwnedFd>,
}

/// What there is to do.
struct Ready {
    ended: bool,
    slot_gone: bool,
    said: bool,
}

impl Running {
    /// The moment the launcher acts by itself.
    pub(crate) fn deadline(wall: Duration) -> Instant {
        clock::now() + wall + BACKUP_GRACE
    }

    /// Ends the process, and waits until it has ended.
    pub(crate) fn kill(&self) {
        sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL).ok();
        sys::wait_pidfd(self.pidfd.as_fd()).ok();
    }

    /// Waits for the end, passing on what the process says; kills it if the slot does not.
    ///
    /// # Errors
    /// When the slot is gone or cannot be told.
    pub(crate) fn watch(&mut self, slot: &OwnedFd) -> Result<(), WireError> {
        let mut listening = true;
        loop {
            let ready = self.wait(slot, listening)?;
            if ready.slot_gone {
                return Err(WireError::Closed);
            }
            if ready.ended {
                return self.drain(slot);
            }
            if ready.said {
                listening = self.hear(slot)?;
            }
            let late = self.deadline.is_some_and(|at| at <= clock::now());
            if late && !self.overdue {
                // Noted before the kill: from outside it looks like any other.
                self.overdue = true;
                sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL).ok();
            }
        }
    }

    fn wait(&self, slot: &OwnedFd, listening: bool) -> Result<Ready, WireError> {
        let timeout = match self.deadline {
            Some(at) if !self.overdue => round_up(at.saturating_duration_since(clock::now())),
            _ => PollTimeout::NONE,
        };
        let mut fds = vec![
            PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN),
            // Messages are the spare's; only the end of the slot is the launcher's business.
            PollFd::new(slot.as_fd(), PollFlags::from_bits_retain(libc::POLLRDHUP)),
        ];
        if listening {
            fds.push(PollFd::new(self.status.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |index: usize| {
            let events = fds.get(index).and_then(PollFd::revents);
            events.is_some_and(|events| !events.is_empty())
        };
        Ok(Ready {
            ended: ready(0),
            slot_gone: ready(1),
            said: ready(2),
        })
    }

    fn drain(&mut self, slot: &OwnedFd) -> Result<(), WireError> {
        while self.hear(slot)? {}
        Ok(())
    }

    /// One message of the process. `false` once there will be no more for now.
    fn hear(&mut self, slot: &OwnedFd) -> Result<bool, WireError> {
        let mut bytes = [0u8; STATUS_BYTES];
        let flags = MsgFlags::MSG_DONTWAIT;
        let (tag, stage, value, mut fds) =
            match wire::receive_bytes(self.status.as_fd(), &mut bytes, flags) {
                Ok((STATUS_BYTES, fds)) => {
                    let [tag, stage, _, _, a, b, c, d] = bytes;
                    (tag, stage, i32::from_ne_bytes([a, b, c, d]), fds)
                }
                Ok(_) | Err(WireError::Closed | WireError::WouldBlock) => return Ok(false),
                Err(error) => return Err(error),
            };
        match tag {
            child::STATUS_TAKEN => {
                let wall = Duration::from_millis(u64::try_from(value).unwrap_or(0));
                self.deadline = Some(Self::deadline(wall));
                self.tell_started(slot)?;
            }
            child::STATUS_FAILED => {
                self.failed = Stage::from_code(stage).map(|stage| (stage, value));
            }
            child::STATUS_INIT => self.init_status = Some(value),
            child::STATUS_SCRATCH => {
                if let Some(directory) = fds.pop() {
                    wire::send(slot.as_fd(), &Reply::Scratch, &[directory.as_fd()])?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Tells the slot that its job has a process.
    pub(crate) fn tell_started(&self, slot: &OwnedFd) -> Result<(), WireError> {
        wire::send(slot.as_fd(), &Reply::Started, &[self.pidfd.as_fd()])
    }
}

fn round_up(left: Duration) -> PollTimeout {
    let millis = i32::try_from(left.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}
