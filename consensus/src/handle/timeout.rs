//! Timers.

use crate::context::CoreInput;
use crate::host_core::timeout_of;
use crate::machine::Machine;
use crate::timers::{TimerId, TimerKind};

impl Machine {
    pub(crate) fn on_timeout(&mut self, id: TimerId) {
        if !self.host.timers.fired(id) {
            return;
        }
        match id.kind {
            TimerKind::Propose
            | TimerKind::Prevote
            | TimerKind::Precommit
            | TimerKind::Rebroadcast => {
                if let Some(timeout) = timeout_of(id.kind, id.round) {
                    self.feed(CoreInput::TimeoutElapsed(timeout));
                }
                self.ask();
            }
            TimerKind::Pace => self.host.pace.is_due = true,
            TimerKind::Early(block) => self.release_held(block),
            TimerKind::Body => self.fetch_missing(),
            TimerKind::Vigil => self.end_vigil(),
            TimerKind::Sync => {
                self.host.sync.give_up();
                self.ask();
            }
        }
    }
}
