//! Jail: for wrong results, doubling; for absence, never at the cost of the chain's own quorum.

use protocol::digest::ValidatorId;
use protocol::events::{Event, JailCause};
use protocol::limits::{ABSENCE_REFERENCE_BLOCKS, MISS_WINDOW_SEATS, MISSES_TO_JAIL};
use protocol::units::{Amount, Height};

use super::actions::start_unbonding;
use super::{Exit, Jail};
use crate::money::Breach;
use crate::planted::{self, Bug};
use crate::work::Work;

/// How a seat ended, for its holder's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SeatRecord {
    /// It did its duty.
    Served,
    /// It did not commit, or not reveal, or gave up alone.
    Missed,
}

/// Adds one seat to the holder's record of the last twenty.
pub(crate) fn record_seat(
    work: &mut Work,
    id: ValidatorId,
    record: SeatRecord,
) -> Result<(), Breach> {
    let window = 1_u32
        .checked_shl(MISS_WINDOW_SEATS)
        .map_or(u32::MAX, |bit| bit.saturating_sub(1));
    work.with_validator(id, |row| {
        row.misses = row.misses.wrapping_shl(1) & window;
        if record == SeatRecord::Missed {
            row.misses |= 1;
        }
    })
}

/// Jails a validator that missed three of its last twenty seats, unless two thirds of the stake that
/// was active a thousand blocks ago could no longer vote.
pub(crate) fn judge_absence(work: &mut Work, id: ValidatorId) -> Result<(), Breach> {
    let height = work.block.height;
    let Some(row) = work.state.validators.get(&id) else {
        return Ok(());
    };
    if row.misses.count_ones() < MISSES_TO_JAIL || row.jail.is_some() || row.exit.is_some() {
        return Ok(());
    }
    if planted::is(Bug::AbsenceForgiven) {
        return Ok(());
    }
    let remaining = work
        .state
        .standing(height)
        .into_iter()
        .filter(|(other, _)| *other != id)
        .fold(Amount::ZERO, |sum, (_, stake)| sum.saturating_add(stake));
    let reference = reference_stake(work, height);
    let kept = u128::from(remaining.0).saturating_mul(3);
    if kept < u128::from(reference.0).saturating_mul(2) {
        return Ok(());
    }
    let until = height.plus(work.state.params().jail_absence_blocks);
    put_in_jail(work, id, JailCause::Absence, until)?;
    work.with_validator(id, |row| row.misses = 0)
}

fn reference_stake(work: &Work, height: Height) -> Amount {
    let at = height.minus(ABSENCE_REFERENCE_BLOCKS);
    let known = work
        .state
        .blocks
        .get(&at)
        .or_else(|| work.state.blocks.first().map(|(_, b)| b));
    known.map_or(Amount::ZERO, |block| block.active_stake)
}

/// So many wrong results within the window end a validator.
const WRONG_RESULTS_MAX: usize = 3;

/// Jails for a wrong result: the term doubles with each within the window, the third ends it all.
pub(crate) fn jail_for_wrong_result(work: &mut Work, id: ValidatorId) -> Result<(), Breach> {
    let height = work.block.height;
    let params = work.state.params();
    let oldest = height.minus(params.jail_doubling_blocks);
    let term = params.jail_wrong_blocks;
    let mut count: u32 = 0;
    work.with_validator(id, |row| {
        row.wrong_results.retain(|at| *at >= oldest);
        row.wrong_results.push(height);
        // The third ends it all; more would only lengthen the row, which has a limit.
        if row.wrong_results.len() > WRONG_RESULTS_MAX {
            row.wrong_results.remove(0);
        }
        count = u32::try_from(row.wrong_results.len()).unwrap_or(u32::MAX);
    })?;
    let doublings = if planted::is(Bug::SameTermAgain) {
        0
    } else {
        count.saturating_sub(1)
    };
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    put_in_jail(
        work,
        id,
        JailCause::WrongResult,
        height.plus(term.saturating_mul(factor)),
    )?;
    let out = work
        .state
        .validators
        .get(&id)
        .is_none_or(|row| row.exit.is_some());
    if count >= 3 && !out {
        expel(work, id, Exit::Gone)?;
    }
    Ok(())
}

fn put_in_jail(
    work: &mut Work,
    id: ValidatorId,
    cause: JailCause,
    until: Height,
) -> Result<(), Breach> {
    let mut longest = until;
    work.with_validator(id, |row| {
        longest = row.jail.map_or(until, |jail| jail.until.max(until));
        row.jail = Some(Jail {
            until: longest,
            cause,
        });
    })?;
    work.emit(Event::Jailed {
        validator: id,
        cause,
        until: longest,
    });
    Ok(())
}

/// Puts a validator out for ever; the rest of its stake unbonds.
pub(crate) fn expel(work: &mut Work, id: ValidatorId, exit: Exit) -> Result<(), Breach> {
    work.with_validator(id, |row| {
        row.exit = Some(exit);
        row.seat_locked = Amount::ZERO;
    })?;
    let rest = work.held(crate::money::Compartment::Bonded(id));
    start_unbonding(work, id, rest)
}
