//! What an execution does with its seats: run, commit, reveal, or decline in time. Pure.
//!
//! ```text
//!  Run -> Running -Ended-> Marking -Marked-> Committing -Committed-> Sealed -RevealWindow-> Revealing -> gone
//!            |  two blocks before the deadline, or the host failed
//!            `-> Declining -Declined-> gone
//!
//!  bound, and the host failed: Failed -next height-> jobs, which hands it over again
//! ```
//! Intents may be repeated: each signed message has the same bytes, so the mempool knows it. After a
//! restart a seat runs again; the model is deterministic and the salt derived, so the same commit
//! comes out and can be revealed. An output too long for a reveal is on disk before the reveal names
//! it: from then on nobody runs it again here.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic,
        clippy::as_conversions
    )
)]

use std::collections::BTreeMap;

use protocol::digest::{ChainId, Digest, JobId, ValidatorId};
use protocol::events::Event;
use protocol::job::{CommitPreimage, DeclineReason, JobSpec, SeatRef};
use protocol::limits::INLINE_OUTPUT_BYTES_MAX;
use protocol::tx::TxBody;
use protocol::units::Height;

use super::seat::{Seat, Stage};
use crate::seat::SeatResult;

/// A run that is not over so many blocks before its commit deadline is cancelled, so that its
/// Decline is in time.
pub const CANCEL_BLOCKS: u64 = 2;

/// A seat to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which seat.
    pub seat: SeatRef,
    /// What to run.
    pub spec: JobSpec,
    /// The last height that takes a commit.
    pub commit_closes: Height,
    /// What the chain already holds of this seat: after a restart, or when the model came late.
    pub committed: Option<Digest>,
    /// The last height that takes a reveal, if that window is open.
    pub reveal_closes: Option<Height>,
}

/// What the reducer hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// From jobs: model and input are here.
    Run(Order),
    /// From jobs: the job is over.
    Cancel(JobId),
    /// From a slot: the run is over. The salt is the one of this seat.
    Ended {
        /// Which seat.
        seat: SeatRef,
        /// The result, or why there is none.
        end: Result<SeatResult, DeclineReason>,
        /// Derived from the session key.
        salt: Digest,
    },
    /// From storage: the commit is durable, or another one was made for this seat before.
    Marked {
        /// Which seat.
        seat: SeatRef,
        /// Whether it may be sent.
        allowed: bool,
    },
    /// From storage: the seat's output is durable.
    Stored(SeatRef),
    /// From consensus: the events of a height, in order.
    Committed {
        /// The height.
        height: Height,
        /// Those of this domain.
        events: Vec<Event>,
    },
}

/// What the shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Start the run.
    Start(Order),
    /// Kill the run.
    Stop(SeatRef),
    /// Make the commit durable.
    Mark {
        /// Which seat.
        seat: SeatRef,
        /// The commit.
        commit: Digest,
    },
    /// Sign and send; the bytes are the same each time.
    Submit {
        /// What is said.
        body: TxBody,
        /// The last height that may include it.
        valid_until: Height,
    },
    /// Store an output too long for a reveal, under its SHA-256. Asked for until it is durable.
    PutBlob {
        /// Whose output.
        seat: SeatRef,
        /// The output.
        bytes: Vec<u8>,
    },
    /// Tell jobs that the slot is free.
    Finished {
        /// Which seat.
        seat: SeatRef,
        /// How the run ended, for the audit log.
        digest: Option<Digest>,
    },
    /// The run of a bound seat failed: jobs queues it anew.
    Again(Order),
    /// The height is dealt with.
    Note(Height),
}

/// See the module. Derivable: a restart gets its seats from jobs again.
#[derive(Clone, Debug)]
pub struct Execution {
    chain: ChainId,
    /// Nobody sits for a validator that is not registered, so no seat is served before it is known.
    validator: Option<ValidatorId>,
    seats: BTreeMap<SeatRef, Seat>,
    height: Height,
}

impl Execution {
    /// No seats; `height` is the last one dealt with.
    #[must_use]
    pub const fn new(chain: ChainId, height: Height) -> Self {
        Self {
            chain,
            validator: None,
            seats: BTreeMap::new(),
            height,
        }
    }

    /// Learns which validator is ours; it may be registered while the node runs.
    pub const fn know(&mut self, validator: Option<ValidatorId>) {
        self.validator = validator;
    }

    /// Ours, if it is known.
    #[must_use]
    pub const fn validator(&self) -> Option<ValidatorId> {
        self.validator
    }

    /// The seats being served.
    pub fn seats(&self) -> impl Iterator<Item = SeatRef> {
        self.seats.keys().copied()
    }

    /// One step.
    pub fn step(&mut self, input: Input) -> Vec<Intent> {
        match input {
            Input::Run(order) => self.run(order),
            Input::Cancel(job) => self.cancel(job),
            Input::Ended { seat, end, salt } => self.ended(seat, end, salt),
            Input::Marked { seat, allowed } => self.marked(seat, allowed),
            Input::Stored(seat) => self.stored(&seat),
            Input::Committed { height, events } => self.committed(height, &events),
        }
    }

    fn run(&mut self, order: Order) -> Vec<Intent> {
        if self.seats.contains_key(&order.seat) {
            return Vec::new();
        }
        let start = Intent::Start(order.clone());
        let seat = Seat {
            order,
            stage: Stage::Running,
            opened: None,
            result: None,
            unstored: false,
        };
        self.seats.insert(seat.order.seat, seat);
        vec![start]
    }

    fn cancel(&mut self, job: JobId) -> Vec<Intent> {
        let gone: Vec<SeatRef> = self
            .seats
            .keys()
            .filter(|seat| seat.job == job)
            .copied()
            .collect();
        gone.into_iter()
            .flat_map(|seat| self.forget(&seat))
            .collect()
    }

    /// Drops a seat; a run still going is killed, and its end will find nobody.
    fn forget(&mut self, seat: &SeatRef) -> Vec<Intent> {
        match self.seats.remove(seat) {
            Some(Seat {
                stage: Stage::Running,
                ..
            }) => {
                vec![
                    Intent::Stop(*seat),
                    Intent::Finished {
                        seat: *seat,
                        digest: None,
                    },
                ]
            }
            _ => Vec::new(),
        }
    }

    fn ended(
        &mut self,
        seat_ref: SeatRef,
        end: Result<SeatResult, DeclineReason>,
        salt: Digest,
    ) -> Vec<Intent> {
        let (chain, height) = (self.chain, self.height);
        let Some(seat) = self.seats.get_mut(&seat_ref) else {
            return Vec::new();
        };
        if seat.stage != Stage::Running {
            return Vec::new();
        }
        // Nobody to speak for any more, but the slot is free all the same.
        let Some(validator) = self.validator else {
            self.seats.remove(&seat_ref);
            return vec![Intent::Finished {
                seat: seat_ref,
                digest: None,
            }];
        };
        let digest = end.as_ref().ok().map(|result| result.result_root);
        let mut intents = vec![Intent::Finished {
            seat: seat_ref,
            digest,
        }];
        match end {
            Ok(result) => {
                let opened = CommitPreimage {
                    chain,
                    seat: seat_ref,
                    validator,
                    salt,
                    outcome: result.outcome,
                    result_root: result.result_root,
                    work_digest: Digest::ZERO,
                    fuel: result.fuel,
                };
                seat.unstored = result.output.len() > INLINE_OUTPUT_BYTES_MAX;
                seat.opened = Some(opened);
                seat.result = Some(result);
                intents.extend(seat.found(opened.hash(), height));
            }
            Err(reason) if seat.order.committed.is_none() => {
                seat.stage = Stage::Declining(reason);
                intents.extend(seat.say(height));
            }
            // A bound seat cannot give up: it has to reveal, so the run is tried once a height.
            Err(_) => seat.stage = Stage::Failed,
        }
        intents
    }

    fn marked(&mut self, seat_ref: SeatRef, allowed: bool) -> Vec<Intent> {
        let Some(seat) = self.seats.get_mut(&seat_ref) else {
            return Vec::new();
        };
        if seat.stage != Stage::Marking {
            return Vec::new();
        }
        if !allowed {
            self.seats.remove(&seat_ref);
            return Vec::new();
        }
        seat.stage = Stage::Committing;
        seat.say(self.height)
    }

    fn stored(&mut self, seat: &SeatRef) -> Vec<Intent> {
        match self.seats.get_mut(seat) {
            Some(seat) if seat.unstored => {
                seat.unstored = false;
                seat.say(self.height)
            }
            _ => Vec::new(),
        }
    }

    fn committed(&mut self, height: Height, events: &[Event]) -> Vec<Intent> {
        if height <= self.height {
            return Vec::new();
        }
        self.height = height;
        let mut intents = Vec::new();
        for event in events {
            intents.extend(self.event(event));
        }
        let due: Vec<SeatRef> = self.seats.keys().copied().collect();
        for seat in due {
            intents.extend(self.tick(seat, height));
        }
        intents.push(Intent::Note(height));
        intents
    }

    fn event(&mut self, event: &Event) -> Vec<Intent> {
        match event {
            Event::Committed {
                validator, commit, ..
            } if Some(*validator) == self.validator => {
                if let Some(seat) = event.seat().and_then(|seat| self.seats.get_mut(&seat)) {
                    seat.order.committed = Some(*commit);
                    match seat.stage {
                        Stage::Committing => seat.stage = Stage::Sealed,
                        // Sent before a restart, taken after it: bound after all.
                        Stage::Declining(_) => seat.stage = Stage::Failed,
                        _ => {}
                    }
                }
                Vec::new()
            }
            Event::Declined { validator, .. } | Event::Revealed { validator, .. }
                if Some(*validator) == self.validator =>
            {
                event
                    .seat()
                    .map(|seat| self.forget(&seat))
                    .unwrap_or_default()
            }
            Event::RevealWindow {
                job,
                attempt,
                closes,
                ..
            } => {
                self.open_reveal(*job, *attempt, *closes);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn open_reveal(&mut self, job: JobId, attempt: u32, closes: Height) {
        for (seat, state) in &mut self.seats {
            if seat.job == job && seat.attempt == attempt {
                state.order.reveal_closes = Some(closes);
            }
        }
    }

    /// What is due for one seat after a height: give up in time, say again, or end.
    fn tick(&mut self, seat_ref: SeatRef, height: Height) -> Vec<Intent> {
        let Some(seat) = self.seats.get_mut(&seat_ref) else {
            return Vec::new();
        };
        let order = &seat.order;
        let missed_commit = order.committed.is_none()
            && (height >= order.commit_closes || order.reveal_closes.is_some());
        let missed_reveal = order.reveal_closes.is_some_and(|closes| height >= closes);
        if missed_commit || missed_reveal {
            return self.forget(&seat_ref);
        }
        if seat.stage == Stage::Failed {
            let again = Intent::Again(order.clone());
            self.seats.remove(&seat_ref);
            return vec![again];
        }
        let late = height.plus(CANCEL_BLOCKS) >= order.commit_closes;
        if seat.stage == Stage::Running && late && order.committed.is_none() {
            seat.stage = Stage::Declining(DeclineReason::HostTimeout);
            let mut intents = vec![
                Intent::Stop(seat_ref),
                Intent::Finished {
                    seat: seat_ref,
                    digest: None,
                },
            ];
            intents.extend(seat.say(height));
            return intents;
        }
        seat.say(height)
    }
}
