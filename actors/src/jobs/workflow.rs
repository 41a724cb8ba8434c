//! What jobs does with the seats this validator was drawn for: fetch, queue, hand over, give up in
//! time. Pure.
//!
//! ```text
//!  Assigned -> Fetching -all here-> Ready -slot free-> Running -Finished-> gone (execution has it)
//!                 |  nobody has it: InputUnavailable     |  too late: Decline
//! ```
//! The files of a job that may draw this validator are pulled before that ([`super::ahead`]).
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

use std::collections::{BTreeMap, BTreeSet};

use protocol::digest::{Digest, JobId};
use protocol::events::Event;
use protocol::job::{DeclineReason, SeatRef};
use protocol::tx::{Decline, InputUnavailable, TxBody};
use protocol::units::Height;

use crate::execution::workflow::{CANCEL_BLOCKS, Order};
use crate::jobs::ahead::{Ahead, Expected};

/// What is fetched from peers: a manifest by its root, then the file it names; or an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Artifact {
    /// A model.
    Model(Digest),
    /// A job's input.
    Input(Digest),
    /// A job's output, which has no manifest.
    Output {
        /// SHA-256 of the blob.
        sha256: Digest,
        /// Its length in bytes.
        size: u64,
    },
}

impl Artifact {
    /// The key it is asked for by: the manifest's root, or the hash of the output.
    #[must_use]
    pub const fn root(&self) -> Digest {
        match self {
            Self::Model(root) | Self::Input(root) => *root,
            Self::Output { sha256, .. } => *sha256,
        }
    }
}

/// How much this host can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// So many runs at once.
    Slots(usize),
    /// None: the sandbox is closed, the disk is low, or the operator said so.
    Closed,
}

/// What the reducer hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This validator sits: by an event, or found in the snapshot at start.
    Seated(Box<Order>),
    /// This validator may be drawn soon.
    Expected(Expected),
    /// What the chain holds of a seat that waits, read anew; none if it has nothing more to say.
    Refreshed {
        /// Which seat.
        seat: SeatRef,
        /// Its terms now.
        order: Option<Box<Order>>,
    },
    /// A job that this node took from its client has an output that is not inline.
    Answered(Artifact),
    /// From network: all of an artifact is here, or nobody has it.
    Fetched {
        /// Which.
        artifact: Artifact,
        /// Whether it is here.
        held: bool,
    },
    /// From execution: the seat's slot is free.
    Finished(SeatRef),
    /// The host's capacity changed.
    Capacity(Capacity),
    /// From consensus.
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
    /// Get it from peers unless it is here.
    Fetch(Artifact),
    /// The same, when seats need nothing and only for as long as a seat may come of it.
    FetchAhead(Artifact),
    /// No seat came of it.
    LeaveAhead(Artifact),
    /// Hand the seat to execution.
    Run(Box<Order>),
    /// Tell execution that a job is over.
    Cancel(JobId),
    /// Sign and send.
    Submit {
        /// What is said.
        body: Box<TxBody>,
        /// The last height that may include it.
        valid_until: Height,
    },
    /// These artifacts, and no others, must stay on disk.
    Pin(BTreeSet<Artifact>),
    /// This one has come: its file must stay too.
    Keep(Artifact),
    /// The height is dealt with.
    Note(Height),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Fetching(BTreeSet<Artifact>),
    Ready,
    Running,
    /// Given up; said again until the chain has it.
    Leaving(Box<TxBody>),
}

#[derive(Clone, Debug)]
struct Duty {
    order: Order,
    stage: Stage,
    /// Asked for before the draw and not answered: that answer may be older than the seat.
    stale: BTreeSet<Artifact>,
}

/// See the module. Derivable from the snapshot.
#[derive(Clone, Debug)]
pub struct Jobs {
    duties: BTreeMap<SeatRef, Duty>,
    ahead: Ahead,
    capacity: Capacity,
    height: Height,
}

impl Jobs {
    /// No seats; `height` is the last one dealt with.
    #[must_use]
    pub const fn new(capacity: Capacity, height: Height) -> Self {
        Self {
            duties: BTreeMap::new(),
            ahead: Ahead::new(),
            capacity,
            height,
        }
    }

    /// Seats waiting for a slot or for data.
    #[must_use]
    pub fn queued(&self) -> usize {
        let waits = |duty: &&Duty| matches!(duty.stage, Stage::Fetching(_) | Stage::Ready);
        self.duties.values().filter(waits).count()
    }

    /// Seats not handed over yet, whose terms can change while they wait.
    #[must_use]
    pub fn waiting(&self) -> Vec<SeatRef> {
        let waits = |duty: &&Duty| duty.stage != Stage::Running;
        let waiting = self.duties.values().filter(waits);
        waiting.map(|duty| duty.order.seat).collect()
    }

    /// One step.
    pub fn step(&mut self, input: Input) -> Vec<Intent> {
        match input {
            Input::Seated(order) => self.seated(*order),
            Input::Expected(expected) => self.expected(&expected),
            Input::Refreshed { seat, order } => self.refreshed(&seat, order),
            Input::Answered(output) => vec![Intent::Fetch(output)],
            Input::Fetched { artifact, held } => self.fetched(artifact, held),
            Input::Finished(seat) => {
                self.duties.remove(&seat);
                self.dispatch()
            }
            Input::Capacity(capacity) => {
                self.capacity = capacity;
                self.dispatch()
            }
            Input::Committed { height, events } => self.committed(height, &events),
        }
    }

    fn seated(&mut self, order: Order) -> Vec<Intent> {
        if self.duties.contains_key(&order.seat) {
            return Vec::new();
        }
        let seat = order.seat;
        if self.capacity == Capacity::Closed && order.committed.is_none() {
            let body = Box::new(TxBody::Decline(Decline {
                seat,
                reason: DeclineReason::Unavailable,
            }));
            let said = Intent::Submit {
                body: body.clone(),
                valid_until: order.commit_closes,
            };
            self.duties.insert(
                seat,
                Duty {
                    order,
                    stage: Stage::Leaving(body),
                    stale: BTreeSet::new(),
                },
            );
            return vec![said];
        }
        let wanted = wanted(&order);
        let fetches: Vec<Intent> = wanted.iter().copied().map(Intent::Fetch).collect();
        let stale = self.ahead.asked(&wanted);
        self.duties.insert(
            seat,
            Duty {
                order,
                stage: Stage::Fetching(wanted),
                stale,
            },
        );
        let mut intents = vec![self.pin()];
        intents.extend(fetches);
        intents
    }

    /// A host that would decline the seat pulls nothing for it.
    fn expected(&mut self, expected: &Expected) -> Vec<Intent> {
        let seated = self.duties.keys().any(|seat| seat.job == expected.job);
        if seated || self.capacity == Capacity::Closed {
            return Vec::new();
        }
        let wanted = self.ahead.expect(expected).into_iter();
        wanted.map(Intent::FetchAhead).collect()
    }

    /// The draw is over, or the job: what no seat here needs is left.
    fn leave_ahead(&mut self, job: JobId) -> Vec<Intent> {
        let left = self.ahead.leave(job).into_iter();
        let seated = |artifact: &Artifact| {
            let mut duties = self.duties.values();
            duties.any(|duty| wanted(&duty.order).contains(artifact))
        };
        left.filter(|artifact| !seated(artifact))
            .map(Intent::LeaveAhead)
            .collect()
    }

    /// Between the draw and the slot, the chain may take a commit made before a restart and open
    /// the reveal: the run must start with what the chain holds, or its reveal is never sent.
    fn refreshed(&mut self, seat: &SeatRef, order: Option<Box<Order>>) -> Vec<Intent> {
        let Some(duty) = self.duties.get_mut(seat) else {
            return Vec::new();
        };
        if duty.stage == Stage::Running {
            return Vec::new();
        }
        let Some(order) = order else {
            self.duties.remove(seat);
            return vec![self.pin()];
        };
        duty.order = *order;
        // A seat bound after all cannot be given up: it has to reveal.
        if duty.order.committed.is_some() && matches!(duty.stage, Stage::Leaving(_)) {
            let wanted = wanted(&duty.order);
            let fetches = wanted.iter().copied().map(Intent::Fetch).collect();
            duty.stage = Stage::Fetching(wanted);
            return fetches;
        }
        Vec::new()
    }

    fn pin(&self) -> Intent {
        let of = |duty: &Duty| wanted(&duty.order);
        Intent::Pin(self.duties.values().flat_map(of).collect())
    }

    fn fetched(&mut self, artifact: Artifact, held: bool) -> Vec<Intent> {
        let mut intents = Vec::new();
        self.ahead.answered(&artifact);
        for duty in self.duties.values_mut() {
            let stale = duty.stale.remove(&artifact);
            let Stage::Fetching(missing) = &mut duty.stage else {
                continue;
            };
            if !missing.contains(&artifact) {
                continue;
            }
            if stale && !held {
                intents.push(Intent::Fetch(artifact));
            } else if held {
                missing.remove(&artifact);
                if missing.is_empty() {
                    duty.stage = Stage::Ready;
                }
            } else if duty.order.committed.is_none() {
                let seat = duty.order.seat;
                let body = Box::new(TxBody::InputUnavailable(InputUnavailable { seat }));
                let valid_until = duty.order.commit_closes;
                intents.push(Intent::Submit {
                    body: body.clone(),
                    valid_until,
                });
                duty.stage = Stage::Leaving(body);
            }
        }
        if held {
            intents.push(Intent::Keep(artifact));
        }
        intents.extend(self.dispatch());
        intents
    }

    /// Hands ready seats over while slots are free, the most urgent first.
    fn dispatch(&mut self) -> Vec<Intent> {
        let Capacity::Slots(slots) = self.capacity else {
            return Vec::new();
        };
        let running = self
            .duties
            .values()
            .filter(|duty| duty.stage == Stage::Running)
            .count();
        let mut ready: Vec<&mut Duty> = self
            .duties
            .values_mut()
            .filter(|duty| duty.stage == Stage::Ready)
            .collect();
        ready.sort_by_key(|duty| duty.order.commit_closes);
        let mut intents = Vec::new();
        for duty in ready.into_iter().take(slots.saturating_sub(running)) {
            duty.stage = Stage::Running;
            intents.push(Intent::Run(Box::new(duty.order.clone())));
        }
        intents
    }

    fn committed(&mut self, height: Height, events: &[Event]) -> Vec<Intent> {
        if height <= self.height {
            return Vec::new();
        }
        self.height = height;
        let mut intents = Vec::new();
        for event in events {
            if let (true, Some(job)) = (ends_job(event), event.job()) {
                intents.extend(self.job_over(job));
            }
            if let Event::Assigned { job, .. } = event {
                intents.extend(self.leave_ahead(*job));
            }
        }
        self.duties.retain(|_, duty| {
            let over = height >= duty.order.commit_closes && duty.order.committed.is_none();
            !over || duty.stage == Stage::Running
        });
        for duty in self.duties.values_mut() {
            intents.extend(duty.tick(height));
        }
        intents.extend(self.dispatch());
        intents.push(Intent::Note(height));
        intents
    }

    fn job_over(&mut self, job: JobId) -> Vec<Intent> {
        let before = self.duties.len();
        self.duties.retain(|seat, _| seat.job != job);
        let mut intents = vec![Intent::Cancel(job)];
        if self.duties.len() != before {
            intents.push(self.pin());
        }
        intents.extend(self.leave_ahead(job));
        intents
    }
}

impl Duty {
    fn tick(&mut self, height: Height) -> Vec<Intent> {
        let late = height.plus(CANCEL_BLOCKS) >= self.order.commit_closes;
        let seat = self.order.seat;
        if late && self.order.committed.is_none() {
            match self.stage {
                Stage::Fetching(_) => {
                    self.stage =
                        Stage::Leaving(Box::new(TxBody::InputUnavailable(InputUnavailable {
                            seat,
                        })));
                }
                Stage::Ready => {
                    let reason = DeclineReason::Unavailable;
                    self.stage =
                        Stage::Leaving(Box::new(TxBody::Decline(Decline { seat, reason })));
                }
                Stage::Running | Stage::Leaving(_) => {}
            }
        }
        match &self.stage {
            Stage::Leaving(body) => {
                let valid_until = self.order.commit_closes;
                vec![Intent::Submit {
                    body: body.clone(),
                    valid_until,
                }]
            }
            // A bound seat cannot give up, so what nobody had is asked for again.
            Stage::Fetching(missing) if self.order.committed.is_some() => {
                missing.iter().copied().map(Intent::Fetch).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn wanted(order: &Order) -> BTreeSet<Artifact> {
    [
        Artifact::Model(order.spec.model_root),
        Artifact::Input(order.spec.input),
    ]
    .into()
}

const fn ends_job(event: &Event) -> bool {
    matches!(
        event,
        Event::Settled { .. }
            | Event::Resolved { .. }
            | Event::Ambiguous { .. }
            | Event::Cancelled { .. }
            | Event::Expired { .. }
            | Event::Failed { .. }
    )
}
