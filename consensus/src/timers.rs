//! Timers, fenced by epochs.
//!
//! The core's timeouts carry kind and round but no height. An epoch that rises with every height and
//! every start tells a timer of this height from a late one of another.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::digest::BlockId;
use protocol::params::Params;
use protocol::units::Round;

use crate::effect::Effect;
use crate::planted::{self, Bug};

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TimerKind {
    /// No proposal came.
    Propose,
    /// Prevotes do not agree.
    Prevote,
    /// Precommits do not agree.
    Precommit,
    /// Nothing happens: send own votes again.
    Rebroadcast,
    /// The earliest start of the next height.
    Pace,
    /// This block of the future may now be voted for.
    Early(BlockId),
    /// A block did not arrive: ask somebody else.
    Body,
    /// A peer did not answer with a decided block.
    Sync,
    /// Nothing is committed, so no second host with our key is at work.
    Vigil,
}

/// One timer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimerId {
    /// Rises with every height and every start.
    pub epoch: u64,
    /// What for.
    pub kind: TimerKind,
    /// Which round; zero for those without.
    pub round: Round,
}

/// The durations of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// How long round 0 waits for a proposal.
    pub propose: Duration,
    /// How much longer each further round waits.
    pub propose_step: Duration,
    /// How long round 0 waits for votes that agree.
    pub vote: Duration,
    /// How much longer each further round waits.
    pub vote_step: Duration,
    /// How long silence lasts before own votes are sent again.
    pub rebroadcast: Duration,
    /// No timeout grows beyond this.
    pub cap: Duration,
    /// From the start of one height to the start of the next.
    pub interval: Duration,
}

impl From<&Params> for Timing {
    fn from(params: &Params) -> Self {
        Self {
            propose: Duration::from_millis(params.propose_timeout_ms.0),
            propose_step: Duration::from_millis(params.propose_timeout_step_ms.0),
            vote: Duration::from_millis(params.vote_timeout_ms.0),
            vote_step: Duration::from_millis(params.vote_timeout_step_ms.0),
            rebroadcast: Duration::from_millis(params.rebroadcast_timeout_ms.0),
            cap: Duration::from_millis(params.timeout_max_ms.0),
            interval: Duration::from_millis(params.block_interval_ms.0),
        }
    }
}

impl Timing {
    /// How long a timeout of this kind lasts in this round.
    pub(crate) fn of(&self, kind: TimerKind, round: Round) -> Duration {
        let (base, step) = match kind {
            TimerKind::Propose => (self.propose, self.propose_step),
            TimerKind::Prevote | TimerKind::Precommit => (self.vote, self.vote_step),
            _ => (self.rebroadcast, Duration::ZERO),
        };
        base.saturating_add(step.saturating_mul(round.0))
            .min(self.cap)
    }
}

/// The timers that are running.
#[derive(Debug)]
pub(crate) struct Timers {
    epoch: u64,
    running: BTreeSet<(TimerKind, Round)>,
}

impl Timers {
    pub(crate) const fn new(epoch: u64) -> Self {
        Self {
            epoch,
            running: BTreeSet::new(),
        }
    }

    const fn id(&self, kind: TimerKind, round: Round) -> TimerId {
        TimerId {
            epoch: self.epoch,
            kind,
            round,
        }
    }

    /// Begins a new epoch: every timer of the old one is void.
    pub(crate) fn next_epoch(&mut self, out: &mut Vec<Effect>) {
        for (kind, round) in std::mem::take(&mut self.running) {
            out.push(Effect::CancelTimer(self.id(kind, round)));
        }
        self.epoch = self.epoch.saturating_add(1);
    }

    pub(crate) fn set(
        &mut self,
        kind: TimerKind,
        round: Round,
        after: Duration,
        out: &mut Vec<Effect>,
    ) {
        self.running.insert((kind, round));
        out.push(Effect::SetTimer(self.id(kind, round), after));
    }

    pub(crate) fn cancel(&mut self, kind: TimerKind, round: Round, out: &mut Vec<Effect>) {
        if self.running.remove(&(kind, round)) {
            out.push(Effect::CancelTimer(self.id(kind, round)));
        }
    }

    /// Cancels the core's timers, which know nothing of ours.
    pub(crate) fn cancel_core(&mut self, out: &mut Vec<Effect>) {
        let core: Vec<_> = self
            .running
            .iter()
            .copied()
            .filter(|(kind, _)| *kind <= TimerKind::Rebroadcast)
            .collect();
        for (kind, round) in core {
            self.cancel(kind, round, out);
        }
    }

    pub(crate) fn is_running(&self, kind: TimerKind, round: Round) -> bool {
        self.running.contains(&(kind, round))
    }

    /// Whether this timer is still meant; it is over now.
    pub(crate) fn fired(&mut self, id: TimerId) -> bool {
        let is_ours = id.epoch == self.epoch || planted::is(Bug::UnfencedTimers);
        is_ours && self.running.remove(&(id.kind, id.round))
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::Digest;

    use super::*;

    /// A proposer that signs two blocks cannot have the later one voted for at the earlier's time.
    #[test]
    fn two_early_blocks_of_one_round_share_no_timer() {
        let (one, other) = ([1, 2].map(|byte| BlockId(Digest([byte; 32])))).into();
        let (mut timers, mut out) = (Timers::new(7), Vec::new());
        for (block, after) in [(one, 1), (other, 9)] {
            let after = Duration::from_millis(after);
            timers.set(TimerKind::Early(block), Round(0), after, &mut out);
        }
        assert!(timers.fired(timers.id(TimerKind::Early(one), Round(0))));
        assert!(timers.is_running(TimerKind::Early(other), Round(0)));
    }

    #[test]
    fn a_timer_of_the_last_height_is_ignored() {
        let mut timers = Timers::new(7);
        let mut out = Vec::new();
        timers.set(
            TimerKind::Propose,
            Round(0),
            Duration::from_millis(1),
            &mut out,
        );
        let Some(Effect::SetTimer(old, _)) = out.first().cloned() else {
            panic!("no timer")
        };
        timers.next_epoch(&mut out);
        timers.set(
            TimerKind::Propose,
            Round(0),
            Duration::from_millis(1),
            &mut out,
        );
        assert!(!timers.fired(old), "same kind and round, another height");
        assert!(timers.fired(TimerId { epoch: 8, ..old }));
        assert!(!timers.fired(TimerId { epoch: 8, ..old }), "fires once");
    }

    #[test]
    fn timeouts_grow_to_the_cap() {
        let timing = Timing::from(&Params::local());
        assert_eq!(
            timing.of(TimerKind::Propose, Round(2)),
            Duration::from_millis(700)
        );
        assert_eq!(timing.of(TimerKind::Prevote, Round(u32::MAX)), timing.cap);
    }
}
