//! Which seats a validator has to serve, read from the state. Pure.
//!
//! Jobs and execution both take an order's facts from here when they begin with a seat, and jobs again
//! at every height while the seat waits: commits and windows are execution's events, of which jobs
//! hears nothing, and execution knows only the seats it has.
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

use ledger::State;
use ledger::execution::{Output, SeatState};
use ledger::jobs::{JobHead, Phase};
use protocol::digest::{JobId, ValidatorId};
use protocol::events::Event;
use protocol::job::SeatRef;
use protocol::limits::DRAW_DELAY_BLOCKS;

use crate::execution::workflow::Order;
use crate::jobs::ahead::Expected;
use crate::jobs::workflow::Artifact;

/// A seat of ours, as of one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The state does not know it: it is drawn at a later height, or long forgotten.
    Unknown,
    /// It has nothing more to say: it spoke, gave up, or its window is over.
    Over,
    /// It has, on these terms.
    Open(Box<Order>),
}

/// Where one seat of this validator stands.
#[must_use]
pub fn standing(state: &State, own: ValidatorId, seat: &SeatRef) -> Standing {
    if state.seats.get(seat).is_none() {
        return Standing::Unknown;
    }
    let found = orders_of(state, own, seat.job)
        .into_iter()
        .find(|order| order.seat == *seat);
    found.map_or(Standing::Over, |order| Standing::Open(Box::new(order)))
}

/// Seats that the events of a height gave this validator.
#[must_use]
pub fn seated_by(state: &State, own: ValidatorId, events: &[Event]) -> Vec<Order> {
    let drawn = events.iter().filter_map(|event| match event {
        Event::Assigned { job, .. } | Event::Escalated { job, .. } => Some(*job),
        _ => None,
    });
    drawn.flat_map(|job| orders_of(state, own, job)).collect()
}

/// Jobs whose committee may include this validator, by what a height brought: those whose list was
/// frozen, then those submitted that wait.
#[must_use]
pub fn expected_by(state: &State, own: ValidatorId, events: &[Event]) -> Vec<Expected> {
    let submitted = events.iter().filter_map(|event| match event {
        Event::Queued { job, .. } => Some(*job),
        _ => None,
    });
    let mut jobs = state.jobs_drawn_at(state.height().plus(DRAW_DELAY_BLOCKS));
    for job in submitted {
        if !jobs.contains(&job) {
            jobs.push(job);
        }
    }
    let may = jobs.into_iter().filter(|job| state.may_be_drawn(job, &own));
    may.filter_map(|job| {
        let spec = &state.requests.get(&job)?.spec;
        Some(Expected {
            job,
            model: spec.model_root,
            input: spec.input,
        })
    })
    .collect()
}

/// Every seat of this validator that is still open: what a restart takes up again.
#[must_use]
pub fn seated_now(state: &State, own: ValidatorId) -> Vec<Order> {
    let live = state.live_jobs();
    live.into_iter()
        .flat_map(|job| orders_of(state, own, job))
        .collect()
}

/// The blob that the agreed answer of a job names, if it is one.
#[must_use]
pub fn output_of(state: &State, job: JobId) -> Option<Artifact> {
    let head = state.jobs.get(&job)?;
    let answer = head.answer?;
    let reveal_of = |seat| {
        let place = SeatRef {
            job,
            attempt: head.attempt,
            seat,
        };
        match state.seats.get(&place)?.state {
            SeatState::Revealed(reveal) if reveal.result_root == answer.result_root => Some(reveal),
            _ => None,
        }
    };
    let seats = (0_u16..).zip(&head.seats).map(|(seat, _)| seat);
    match seats.filter_map(reveal_of).next()?.output {
        Output::Blob { sha256, size } => Some(Artifact::Output { sha256, size }),
        Output::Code(_) => None,
    }
}

/// Our seats of one job that still have something to say.
fn orders_of(state: &State, own: ValidatorId, job: JobId) -> Vec<Order> {
    let Some((head, request)) = state.jobs.get(&job).zip(state.requests.get(&job)) else {
        return Vec::new();
    };
    let (level, reveal_closes) = match head.phase {
        Phase::Commit(level) => (level, None),
        Phase::Reveal(level) => (level, Some(head.deadline)),
        _ => return Vec::new(),
    };
    let place = |number: u16| SeatRef {
        job,
        attempt: head.attempt,
        seat: number,
    };
    own_seats(head, own)
        .filter_map(|number| {
            let seat = state
                .seats
                .get(&place(number))
                .filter(|seat| seat.level == level)?;
            let committed = match (seat.state, reveal_closes) {
                (SeatState::Open, None) => None,
                (SeatState::Committed(commit), _) => Some(commit.commit),
                _ => return None,
            };
            Some(Order {
                seat: place(number),
                spec: request.spec.clone(),
                commit_closes: head.deadline,
                committed,
                reveal_closes,
            })
        })
        .collect()
}

fn own_seats(head: &JobHead, own: ValidatorId) -> impl Iterator<Item = u16> {
    (0_u16..)
        .zip(&head.seats)
        .filter(move |(_, holder)| holder.validator == own)
        .map(|(n, _)| n)
}
