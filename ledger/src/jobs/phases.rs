//! The end of a block: what is due happens, in the order of (deadline, job).

use protocol::digest::JobId;
use protocol::events::{Event, FailCode, Level};
use protocol::limits::{EXPIRIES_PER_BLOCK, TRANSITIONS_PER_BLOCK};

use super::{JobHead, JobTrace, Phase, committee, finish, quorum, tally};
use crate::escrow;
use crate::execution::{Seat, SeatState};
use crate::layout::CohortKey;
use crate::money::{Breach, Reason};
use crate::work::Work;

/// Performs what is due: deadlines and expiries first, and with what they leave of the budget, freezing.
/// Jobs that wait can therefore delay no deadline, but for the quarter that expiries are sure of. Lists
/// are frozen after every slash and jail of this block.
pub(crate) fn end_block(work: &mut Work) -> Result<(), Breach> {
    let height = work.block.height;
    // Chosen before anything happens, so that a job has one transition a block.
    let mut expired = work.state.expired_jobs(height, TRANSITIONS_PER_BLOCK);
    let sure = expired.len().min(EXPIRIES_PER_BLOCK);
    let due = work
        .state
        .due_jobs(height, TRANSITIONS_PER_BLOCK.saturating_sub(sure));
    let left = TRANSITIONS_PER_BLOCK.saturating_sub(due.len());
    expired.truncate(left);
    let left = left.saturating_sub(expired.len());
    let to_freeze = work.state.waiting_jobs(height, left);
    for job in due {
        match work.job(job)?.phase {
            Phase::Frozen => committee::assign(work, job)?,
            Phase::Commit(level) => close_commits(work, job, level)?,
            Phase::Reveal(Level::Committee) => close_reveals(work, job)?,
            Phase::Reveal(Level::WholeSet) => tally::tally(work, job)?,
            _ => return Err(Breach(format!("job {job} is due after its end"))),
        }
    }
    for job in expired {
        committee::expire(work, job)?;
    }
    for job in to_freeze {
        committee::freeze(work, job)?;
    }
    retire(work)
}

/// Replaces records that were kept long enough by a trace.
fn retire(work: &mut Work) -> Result<(), Breach> {
    for job in work
        .state
        .retiring_jobs(work.block.height, TRANSITIONS_PER_BLOCK)
    {
        let head = work.job(job)?;
        let trace = JobTrace {
            version: 1,
            phase: head.phase,
            result_root: head.answer.map(|answer| answer.result_root),
            amounts: head.amounts,
        };
        work.state.retire_job(job, &head, trace);
    }
    Ok(())
}

fn close_commits(work: &mut Work, job: JobId, level: Level) -> Result<(), Breach> {
    let head = work.job(job)?;
    let seats = work.state.seats_of(job, &head, level);
    let count = |wanted: fn(&SeatState) -> bool| {
        let count = seats.iter().filter(|(_, seat)| wanted(&seat.state)).count();
        u16::try_from(count).unwrap_or(u16::MAX)
    };
    let commits = count(|state| matches!(state, SeatState::Committed(_)));
    if level == Level::WholeSet {
        return if commits == 0 {
            tally::tally(work, job)
        } else {
            open_reveals(work, job, level)
        };
    }
    let quorum = quorum(head.k);
    if commits >= quorum {
        return open_reveals(work, job, level);
    }
    if count(|state| matches!(state, SeatState::Unavailable)) >= quorum {
        pay_base(work, job, &seats, |state| {
            matches!(state, SeatState::Unavailable)
        })?;
        return fail(work, job, FailCode::InputUnavailable);
    }
    let declines = count(|state| matches!(state, SeatState::Declined(_)));
    if declines >= quorum {
        let base = work.state.params().seat_base;
        for _ in 0..declines {
            escrow::burn(work, job, base, Reason::DeclinedPay)?;
        }
        return fail(work, job, FailCode::Declined);
    }
    pay_base(work, job, &seats, |state| {
        matches!(state, SeatState::Committed(_))
    })?;
    work.emit(Event::Expired { job });
    finish::finish(work, job, Phase::Expired, None)
}

fn fail(work: &mut Work, job: JobId, code: FailCode) -> Result<(), Breach> {
    work.emit(Event::Failed { job, code });
    finish::finish(work, job, Phase::Failed(code), None)
}

/// Pays the base reward to each seat in such a state, in seat order.
pub(super) fn pay_base(
    work: &mut Work,
    job: JobId,
    seats: &[(u16, Seat)],
    wanted: fn(&SeatState) -> bool,
) -> Result<(), Breach> {
    let base = work.state.params().seat_base;
    for (number, seat) in seats.iter().filter(|(_, seat)| wanted(&seat.state)) {
        let operator = work.operator_of(&seat.validator)?;
        escrow::pay_seat(work, job, *number, operator, base)?;
    }
    Ok(())
}

fn open_reveals(work: &mut Work, job: JobId, level: Level) -> Result<(), Breach> {
    let closes = work.block.height.plus(work.state.params().reveal_blocks);
    let attempt = work.job(job)?.attempt;
    work.move_job(job, Phase::Reveal(level), closes)?;
    work.emit(Event::RevealWindow {
        job,
        attempt,
        level,
        closes,
    });
    Ok(())
}

/// Unanimous and enough: settled. Any conflict: the whole set decides. Else there is no result.
fn close_reveals(work: &mut Work, job: JobId) -> Result<(), Breach> {
    let head = work.job(job)?;
    let seats = work.state.seats_of(job, &head, Level::Committee);
    let answers: Vec<_> = seats.iter().filter_map(|(_, seat)| seat.answer()).collect();
    let first = answers.first().copied();
    if answers.iter().any(|answer| Some(*answer) != first) {
        let jurors = committee::escalate(work, job)?;
        return if jurors.is_empty() {
            tally::tally(work, job)
        } else {
            committee::open_commits(work, job, Level::WholeSet)
        };
    }
    match first {
        Some(answer) if answers.len() >= usize::from(quorum(head.k)) => {
            tally::settle(work, job, &seats, answer)
        }
        _ => {
            pay_base(work, job, &seats, |state| {
                matches!(state, SeatState::Revealed(_))
            })?;
            fail(work, job, FailCode::NoQuorum)
        }
    }
}

/// The (model, engine) of a job.
pub(super) fn cohort_key(work: &Work, job: JobId) -> Result<CohortKey, Breach> {
    let request = work.request(job)?;
    Ok((request.spec.model_root, request.spec.engine))
}

/// A seat spoke: if nobody is left to speak, the phase ends with this block.
pub(crate) fn hurry(work: &mut Work, job: JobId) -> Result<(), Breach> {
    let head: JobHead = work.job(job)?;
    let (level, waiting): (Level, fn(&SeatState) -> bool) = match head.phase {
        Phase::Commit(level) => (level, |state| matches!(state, SeatState::Open)),
        Phase::Reveal(level) => (level, |state| matches!(state, SeatState::Committed(_))),
        _ => return Ok(()),
    };
    let seats = work.state.seats_of(job, &head, level);
    if seats.iter().any(|(_, seat)| waiting(&seat.state)) {
        return Ok(());
    }
    // An overdue job keeps its place in the queue.
    work.move_job(job, head.phase, head.deadline.min(work.block.height))
}
