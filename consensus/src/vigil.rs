//! The wait before the first signature of a process, in which a second host with our key would show.
//!
//! ```text
//! boot --silent--> ten heights without our signature, or a minute without any --> sign
//!            `---- a message of our key that this host did not sign --> halt
//! ```
//! Without the second way out a cluster that starts all at once would wait for itself for ever.

use std::collections::BTreeSet;

use protocol::units::Height;

use crate::context::{CoreInput, CoreProposal, CoreVote};
use crate::guard::SignPoint;
use crate::host::Mode;
use crate::machine::Machine;
use crate::pool::Held;
use crate::wal::Record;

/// Heights decided by others, live, before this node joins in.
const COMMITS: u32 = 10;

/// What waits for the end of the silence.
#[derive(Debug)]
pub(crate) struct Vigil {
    left: u32,
    /// The height of the boot, its log, and what that says was signed: this key may be locked there.
    height: Height,
    log: Vec<Record>,
    own: BTreeSet<SignPoint>,
}

impl Vigil {
    pub(crate) const fn new(height: Height, log: Vec<Record>, own: BTreeSet<SignPoint>) -> Self {
        let left = COMMITS;
        Self {
            left,
            height,
            log,
            own,
        }
    }
}

impl Machine {
    /// A height was committed. Those that peers bring from the past say nothing about the present.
    pub(crate) fn count_for_vigil(&mut self) {
        let host = &mut self.host;
        let Some(vigil) = host.vigil.as_mut().filter(|_| !host.is_catching_up) else {
            return;
        };
        vigil.left = vigil.left.saturating_sub(1);
        if vigil.left == 0 {
            // The next height begins with a voice.
            host.vigil = None;
        }
    }

    /// Nothing was committed for a minute: nobody else is there, or all are waiting. The height begins
    /// again, as it would at a start, with what has been heard in the meantime.
    pub(crate) fn end_vigil(&mut self) {
        let Some(vigil) = self.host.vigil.take() else {
            return;
        };
        let height = self.host.height;
        if self.host.is_decided() || self.host.is_silent() {
            return;
        }
        let (log, own) = if vigil.height == height {
            (vigil.log, vigil.own)
        } else {
            (Vec::new(), BTreeSet::new())
        };
        self.host.bodies.renew(height);
        self.host.mode = Mode::Replay { own, build: None };
        let heard = self.host.pool.at(height);
        self.replay(&log);
        for held in heard {
            match held {
                Held::Vote(vote) => self.feed(CoreInput::Vote(CoreVote::signed(&vote))),
                Held::Proposal(proposal) => {
                    self.feed(CoreInput::Proposal(CoreProposal::signed(&proposal)));
                }
            }
        }
    }
}
