//! The end of a job: what is left goes back, bonds are freed, and each seat enters its holder's record.

use protocol::digest::JobId;
use protocol::events::Level;

use super::{Answer, JobHead, Phase, quorum};
use crate::escrow;
use crate::execution::{Seat, SeatState};
use crate::money::Breach;
use crate::planted::{self, Bug};
use crate::staking::{SeatRecord, judge_absence, record_seat};
use crate::work::Work;

/// Ends a job. Whatever was to be paid has been paid.
pub(super) fn finish(
    work: &mut Work,
    job: JobId,
    phase: Phase,
    answer: Option<Answer>,
) -> Result<(), Breach> {
    let head = work.job(job)?;
    if !(planted::is(Bug::RefundForgotten) && phase == Phase::Expired) {
        escrow::refund(work, job, head.payer)?;
    }
    free_bonds(work, job, &head)?;
    record_seats(work, job, &head)?;
    work.state.snapshots.remove(&job);
    let mut account = work.state.account(&head.client);
    account.live_jobs = account.live_jobs.saturating_sub(1);
    work.state.accounts.put(head.client, account);
    work.with_job(job, |head| head.answer = answer)?;
    work.move_job(job, phase, work.block.height)
}

fn free_bonds(work: &mut Work, job: JobId, head: &JobHead) -> Result<(), Breach> {
    for (_, seat) in work.state.seats_of(job, head, Level::Committee) {
        work.with_validator(seat.validator, |row| {
            row.seat_locked = row.seat_locked.saturating_sub(seat.bond);
        })?;
    }
    Ok(())
}

/// Declining together is no fault of anyone: only fewer than a quorum are misses. Whether an input was
/// there to be had nobody can prove, and its client could hide it from some seats and not from others:
/// a seat without it never counts.
fn record_seats(work: &mut Work, job: JobId, head: &JobHead) -> Result<(), Breach> {
    let committee = work.state.seats_of(job, head, Level::Committee);
    let jurors = work.state.seats_of(job, head, Level::WholeSet);
    let declines = committee
        .iter()
        .filter(|(_, seat)| matches!(seat.state, SeatState::Declined(_)))
        .count();
    let declined_together = declines >= usize::from(quorum(head.k));
    let revealed = |seat: &Seat| match head.phase {
        Phase::Reveal(level) => level == seat.level || seat.level == Level::Committee,
        Phase::Commit(Level::WholeSet) => seat.level == Level::Committee,
        _ => false,
    };
    for (_, seat) in committee.iter().chain(&jurors) {
        let record = match &seat.state {
            SeatState::NoShow | SeatState::Unavailable => None,
            SeatState::Declined(_) if declined_together => None,
            SeatState::Open | SeatState::Declined(_) => Some(SeatRecord::Missed),
            SeatState::Committed(_) if revealed(seat) => Some(SeatRecord::Missed),
            SeatState::Committed(_) | SeatState::Revealed(_) => Some(SeatRecord::Served),
        };
        if let Some(record) = record {
            record_seat(work, seat.validator, record)?;
            judge_absence(work, seat.validator)?;
        }
    }
    Ok(())
}
