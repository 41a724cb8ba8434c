//! The machine: one input in, effects out.

use std::fmt;
use std::time::Duration;

use arc_malachitebft_core_consensus::{Params, process};
use arc_malachitebft_core_types::{ThresholdParams, ValuePayload, VoteExtensionPolicy};
use protocol::units::{Height, Round};
use protocol::vote::CommitCertificate;

use crate::admission::Window;
use crate::context::{CoreAddress, CoreError, CoreHeight, CoreInput, CoreState, Ctx, our_round};
use crate::effect::{Delivery, Effect, Halt, Outgoing};
use crate::host::{Host, Pace, Todo};
use crate::input::{Boot, Input};
use crate::limits::{CORE_QUEUE_HEIGHTS, CORE_QUEUE_PER_HEIGHT, POOL_HEIGHTS, VIGIL_QUIET_MS};
use crate::log::{Logging, Output};
use crate::pool::Held;
use crate::replay::Start;
use crate::timers::TimerKind;

/// Agreement of one node. Deterministic, synchronous, single-threaded.
pub struct Machine {
    pub(crate) core: CoreState,
    pub(crate) host: Host,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("height", &self.host.height)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// Starts at the height after the last committed one and replays the log.
    ///
    /// # Errors
    /// [`Halt::Boot`] if a set of the next two heights is missing or cannot agree on anything. Other
    /// reasons not to start come as [`Effect::Halt`].
    pub fn boot(boot: Boot) -> Result<(Self, Vec<Effect>), Halt> {
        crate::replay::boot(boot, Start::AtOnce)
    }

    /// As [`Machine::boot`], but nothing is signed before ten heights passed without our signature, or
    /// a minute without any commit: a second host with our key shows itself by then, and halts this
    /// one. Where a copy of the key cannot be, or a restart was short, that wait is not needed.
    ///
    /// # Errors
    /// As [`Machine::boot`].
    pub fn boot_after_vigil(boot: Boot) -> Result<(Self, Vec<Effect>), Halt> {
        crate::replay::boot(boot, Start::AfterVigil)
    }

    pub(crate) fn new(host: Host) -> Result<Self, Halt> {
        let set = host
            .set()
            .ok_or(Halt::Boot("no set for the next height"))?
            .clone();
        let params = Params {
            address: CoreAddress(host.key()),
            threshold_params: ThresholdParams::default(),
            // Anything else would take every proposal for valid.
            value_payload: ValuePayload::ProposalAndParts,
            enabled: host.logging() == Logging::On,
        };
        let core = CoreState::new(
            Ctx { chain: host.chain },
            CoreHeight(host.height),
            set,
            params,
            CORE_QUEUE_HEIGHTS,
            CORE_QUEUE_PER_HEIGHT,
        );
        Ok(Self { core, host })
    }

    /// Handles one input. After [`Effect::Halt`] or [`Effect::Freeze`] nothing follows.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        if self.host.is_stopped {
            return Vec::new();
        }
        match input {
            Input::Message(peer, message) => self.on_message(&peer, message),
            Input::Body(peer, id, block) => self.on_body(&peer, id, block),
            Input::Built {
                height,
                round,
                id,
                block,
            } => self.on_built(height, round, id, block),
            Input::Verdict {
                height,
                id,
                verdict,
            } => self.on_verdict(height, id, verdict),
            Input::Timeout(id) => self.on_timeout(id),
            Input::Durable(seq) => self.host.log.durable(seq),
            Input::Committed { height, set } => self.on_committed(height, set),
            Input::Status { peer, tip } => self.on_status(&peer, tip),
            Input::Synced {
                peer,
                block,
                certificate,
            } => self.on_synced(peer, block, certificate),
        }
        self.settle()
    }

    /// The height worked on.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.host.height
    }

    /// The last height at which this node only looks on, because its sign-state says that more was
    /// signed than its log explains; `None` if it signs at the height worked on.
    #[must_use]
    pub fn silent_through(&self) -> Option<Height> {
        let through = self.host.silent_through;
        (self.host.height <= through).then_some(through)
    }

    /// The round worked on.
    #[must_use]
    pub fn round(&self) -> Round {
        our_round(self.core.round()).unwrap_or_default()
    }

    /// The decision of one of the last heights.
    #[must_use]
    pub fn decided(&self, height: Height) -> Option<&CommitCertificate> {
        self.host.decided.get(&height)
    }

    /// How many signatures were computed, rather than remembered.
    #[must_use]
    pub fn verifications(&self) -> u64 {
        self.host.verifier.verifications()
    }

    /// What the network may know: whom to admit, what to serve.
    #[must_use]
    pub fn window(&self) -> Window {
        Window::new(&self.host, self.round())
    }

    /// Runs the core on one input.
    pub(crate) fn feed(&mut self, input: CoreInput) {
        if self.host.is_stopped {
            return;
        }
        let host = &mut self.host;
        let result: Result<(), CoreError> = process!(
            input: input,
            state: &mut self.core,
            metrics: &(),
            with: effect => Ok::<_, std::convert::Infallible>(host.on_effect(effect))
        );
        match result {
            Ok(()) => {}
            Err(error @ CoreError::ReplayDivergence(..)) => {
                self.host.halt(Halt::ReplayDivergence(error.to_string()));
            }
            Err(error) => self.host.halt(Halt::Core(error.to_string())),
        }
    }

    /// Does what became possible, until nothing more is, then lets out what is durable.
    pub(crate) fn settle(&mut self) -> Vec<Effect> {
        while !self.host.is_stopped {
            self.note_polkas();
            if let Some(todo) = self.host.todo.pop_front() {
                match todo {
                    Todo::Certified { id, round } => self.on_certified(id, round),
                    Todo::Rejected => self.on_rejected(),
                }
            } else if self.is_next_due() {
                self.start(self.host.height.next());
            } else {
                break;
            }
        }
        self.release();
        std::mem::take(&mut self.host.out)
    }

    /// The next height starts when this one is committed and the interval is over, or others are
    /// waiting, or this one came from a peer that has more. An unverified hint alone lifts no pace.
    fn is_next_due(&self) -> bool {
        let host = &self.host;
        host.committed == host.height
            && (host.pace.is_due
                || host.is_awaited()
                || (host.is_catching_up && host.sync.is_behind(host.height.next())))
    }

    /// Starts a height: a new epoch, an empty slate, and what was queued for it.
    pub(crate) fn start(&mut self, height: Height) {
        let host = &mut self.host;
        let Some(set) = host.schedule.get(height).cloned() else {
            return host.halt(Halt::Invariant("no set for the next height"));
        };
        host.timers.next_epoch(&mut host.out);
        host.height = height;
        host.log.switch(host.logging());
        self.core.params.enabled = host.logging() == Logging::On;
        host.pace = Pace::default();
        host.certified = None;
        host.sync.forget_request();
        host.schedule.prune(height);
        host.pool.prune(height);
        host.bodies.prune(height);
        host.decided = host.decided.split_off(&height.minus(POOL_HEIGHTS));
        let interval = host.timing.interval;
        host.set_timer(TimerKind::Pace, Round::ZERO, interval);
        if host.vigil.is_some() {
            let quiet = Duration::from_millis(VIGIL_QUIET_MS);
            host.set_timer(TimerKind::Vigil, Round::ZERO, quiet);
        }
        let policy = VoteExtensionPolicy::Disabled;
        self.feed(CoreInput::StartHeight(
            CoreHeight(height),
            set,
            false,
            None,
            policy,
        ));
        self.judge_fresh();
        self.fetch_missing();
        self.catch_up();
    }

    fn release(&mut self) {
        while !self.host.is_stopped
            && let Some((after, output)) = self.host.log.release()
        {
            let effect = match output {
                Output::Commit(block, certificate) => Effect::Commit {
                    after,
                    block,
                    certificate,
                },
                Output::Broadcast(message, delivery) => {
                    self.offer(&message, delivery);
                    Effect::Broadcast {
                        after,
                        message,
                        delivery,
                    }
                }
            };
            self.host.out.push(effect);
        }
    }

    /// What has left may be served to peers that ask.
    fn offer(&mut self, message: &Outgoing, delivery: Delivery) {
        if delivery == Delivery::Again {
            return;
        }
        match message {
            Outgoing::Vote(vote) => {
                self.host.pool(Held::Vote(vote.clone()));
            }
            Outgoing::Proposal(proposal, _) => {
                self.host.pool(Held::Proposal(proposal.clone()));
            }
            Outgoing::Certificate(_) => {}
        }
    }
}
