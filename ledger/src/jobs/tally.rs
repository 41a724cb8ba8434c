//! Money and blame at the end of a job that has answers.

use protocol::digest::{Address, JobId, ValidatorId};
use protocol::events::{Event, FailCode, Level, Offence};
use protocol::units::{Amount, Fuel, Height};

use super::phases::{cohort_key, pay_base};
use super::{Answer, Cohort, JobHead, Phase, finish};
use crate::escrow;
use crate::execution::{Seat, SeatState};
use crate::money::{Breach, Compartment, Reason};
use crate::staking::{Purse, jail_for_wrong_result, slash};
use crate::work::Work;

type Seats = Vec<(u16, Seat)>;

/// What a seat of this job earns: no more than its client agreed to.
fn reward(work: &Work, job: JobId, fuel: Fuel) -> Result<Amount, Breach> {
    let limit = work.request(job)?.spec.fuel_limit;
    Ok(work.state.params().seat_reward(fuel.min(limit)))
}

/// All revealers agree: each is paid, the protocol keeps its share, the rest goes back.
pub(super) fn settle(
    work: &mut Work,
    job: JobId,
    seats: &Seats,
    answer: Answer,
) -> Result<(), Breach> {
    let each = reward(work, job, answer.fuel)?;
    pay_right(work, job, seats, answer, each)?;
    let Answer {
        outcome,
        result_root,
        fuel,
    } = answer;
    work.emit(Event::Settled {
        job,
        outcome,
        result_root,
        fuel,
    });
    finish::finish(work, job, Phase::Settled, Some(answer))
}

/// Pays right seats from escrow and keeps the fee; returns what the job cost.
fn pay_right(
    work: &mut Work,
    job: JobId,
    seats: &Seats,
    answer: Answer,
    each: Amount,
) -> Result<Amount, Breach> {
    let mut paid = Amount::ZERO;
    for (number, seat) in seats
        .iter()
        .filter(|(_, seat)| seat.answer() == Some(answer))
    {
        let operator = work.operator_of(&seat.validator)?;
        let part = escrow::pay_seat(work, job, *number, operator, each)?;
        paid = paid.saturating_add(part);
    }
    let fee = escrow::keep_fee(work, job, paid)?;
    Ok(paid.saturating_add(fee))
}

/// The whole set has spoken, or its time is over: more than two thirds of all stake decides.
pub(super) fn tally(work: &mut Work, job: JobId) -> Result<(), Breach> {
    let head = work.job(job)?;
    let committee = work.state.seats_of(job, &head, Level::Committee);
    let jurors = work.state.seats_of(job, &head, Level::WholeSet);
    let Some(answer) = decided(&committee, &jurors) else {
        let revealed = |state: &SeatState| matches!(state, SeatState::Revealed(_));
        pay_base(work, job, &committee, revealed)?;
        pay_base(work, job, &jurors, revealed)?;
        work.emit(Event::Ambiguous { job });
        return finish::finish(work, job, Phase::Ambiguous, None);
    };
    let reveals = committee
        .iter()
        .filter(|(_, seat)| seat.answer().is_some())
        .count();
    let wrong: Vec<ValidatorId> = wrong_seats(&committee, answer)
        .map(|s| s.validator)
        .collect();
    if wrong.len().saturating_mul(2) > reveals {
        return suspect_cohort(work, job, (&committee, &jurors), answer, &wrong);
    }
    resolve(work, job, &head, (&committee, &jurors), answer)
}

/// The answer of more than two thirds of all stake that sits, if there is one. Everyone of the list
/// sits but those who were refuted before: they have no vote to withhold.
fn decided(committee: &Seats, jurors: &Seats) -> Option<Answer> {
    let mut weights: std::collections::BTreeMap<Answer, u128> = std::collections::BTreeMap::new();
    let mut total: u128 = 0;
    for (_, seat) in committee.iter().chain(jurors) {
        let stake = u128::from(seat.stake.0);
        total = total.saturating_add(stake);
        if let Some(answer) = seat.answer() {
            let weight = weights.entry(answer).or_default();
            *weight = weight.saturating_add(stake);
        }
    }
    let needed = total.saturating_mul(2);
    weights
        .into_iter()
        .find(|(_, w)| w.saturating_mul(3) > needed)
        .map(|(answer, _)| answer)
}

fn wrong_seats(seats: &Seats, answer: Answer) -> impl Iterator<Item = &Seat> {
    seats
        .iter()
        .map(|(_, seat)| seat)
        .filter(move |seat| seat.answer().is_some_and(|given| given != answer))
}

/// Most of the committee is refuted: rather our engine is wrong than all of them. Nobody is slashed,
/// and the (model, engine) rests.
fn suspect_cohort(
    work: &mut Work,
    job: JobId,
    (committee, jurors): (&Seats, &Seats),
    answer: Answer,
    wrong: &[ValidatorId],
) -> Result<(), Breach> {
    let revealed = |state: &SeatState| matches!(state, SeatState::Revealed(_));
    pay_base(work, job, committee, revealed)?;
    pay_base(work, job, jurors, revealed)?;
    let key = cohort_key(work, job)?;
    let mut cohort = work.state.cohorts.get(&key).cloned().unwrap_or(Cohort {
        version: 1,
        times: 0,
        frozen_until: Height::ZERO,
        refuted: Vec::new(),
    });
    // Jobs that were under way when it froze are the same incident, not another one.
    if work.block.height >= cohort.frozen_until {
        cohort.times = cohort.times.saturating_add(1);
        cohort.frozen_until = if cohort.times >= 3 {
            Height::MAX
        } else {
            work.block
                .height
                .plus(work.state.params().cohort_freeze_blocks)
        };
    }
    let known = |cohort: &Cohort, id: &ValidatorId| cohort.refuted.contains(id);
    for id in wrong {
        if !known(&cohort, id) && cohort.refuted.len() < protocol::limits::VALIDATORS_MAX {
            cohort.refuted.push(*id);
        }
    }
    cohort.refuted.sort();
    work.state.cohorts.put(key, cohort);
    let code = FailCode::CohortFrozen;
    work.emit(Event::Failed { job, code });
    finish::finish(work, job, Phase::Failed(code), Some(answer))
}

/// One slash, before it is handed out.
struct Penalty {
    validator: ValidatorId,
    offence: Offence,
    taken: Amount,
    purse: Purse,
    /// At most a quarter goes to the client.
    client_most: Amount,
}

/// Right committee seats are paid from escrow, right jurors from the slashes and then from escrow,
/// the client gets back what the job cost it, as far as a quarter of the slashes goes; the rest burns.
fn resolve(
    work: &mut Work,
    job: JobId,
    head: &JobHead,
    (committee, jurors): (&Seats, &Seats),
    answer: Answer,
) -> Result<(), Breach> {
    let each = reward(work, job, answer.fuel)?;
    let mut penalties = take_penalties(work, committee, jurors, answer)?;
    let mut cost = pay_right(work, job, committee, answer, each)?;
    let mut from_escrow = Amount::ZERO;
    for (number, seat) in jurors
        .iter()
        .filter(|(_, seat)| seat.answer() == Some(answer))
    {
        let operator = work.operator_of(&seat.validator)?;
        let paid = pay_juror(work, &mut penalties, operator, each)?;
        let rest = each.saturating_sub(paid);
        let part = escrow::pay_seat(work, job, *number, operator, rest)?;
        from_escrow = from_escrow.saturating_add(part);
    }
    let fee = escrow::keep_fee(work, job, from_escrow)?;
    cost = cost.saturating_add(from_escrow).saturating_add(fee);
    for penalty in penalties {
        cost = hand_out(work, job, head.payer, penalty, cost)?;
    }
    for seat in wrong_seats(committee, answer) {
        jail_for_wrong_result(work, seat.validator)?;
    }
    let Answer {
        outcome,
        result_root,
        fuel,
    } = answer;
    work.emit(Event::Resolved {
        job,
        outcome,
        result_root,
        fuel,
    });
    finish::finish(work, job, Phase::Resolved, Some(answer))
}

/// A wrong committee seat: the seat bond or five percent, whichever is more. A wrong juror: half a
/// percent. Both of the stake at the freeze.
fn take_penalties(
    work: &mut Work,
    committee: &Seats,
    jurors: &Seats,
    answer: Answer,
) -> Result<Vec<Penalty>, Breach> {
    let first = wrong_seats(committee, answer).map(|seat| {
        (
            seat,
            Offence::WrongResult,
            seat.bond.max(seat.stake.share(5, 100)),
        )
    });
    let second = wrong_seats(jurors, answer)
        .map(|seat| (seat, Offence::WrongJuror, seat.stake.share(5, 1_000)));
    let mut penalties = Vec::new();
    for (seat, offence, amount) in first.chain(second) {
        let purse = slash(work, seat.validator, amount)?;
        let taken = purse.total();
        penalties.push(Penalty {
            validator: seat.validator,
            offence,
            taken,
            purse,
            client_most: taken.share(25, 100),
        });
    }
    Ok(penalties)
}

fn pay_juror(
    work: &mut Work,
    penalties: &mut [Penalty],
    operator: Address,
    amount: Amount,
) -> Result<Amount, Breach> {
    let mut paid = Amount::ZERO;
    for penalty in penalties {
        let free = penalty.purse.total().saturating_sub(penalty.client_most);
        let part = free.min(amount.saturating_sub(paid));
        let to = Compartment::Balance(operator);
        let part = penalty.purse.pay(work, to, part, Reason::SlashJuror)?;
        paid = paid.saturating_add(part);
    }
    Ok(paid)
}

fn hand_out(
    work: &mut Work,
    job: JobId,
    payer: Address,
    mut penalty: Penalty,
    cost: Amount,
) -> Result<Amount, Breach> {
    let due = penalty.client_most.min(cost);
    let client = Compartment::Balance(payer);
    let paid = penalty.purse.pay(work, client, due, Reason::SlashClient)?;
    escrow::account_for(work, job, |head| &mut head.amounts.compensated, paid)?;
    let burned = penalty.purse.burn(work)?;
    work.emit(Event::Slashed {
        validator: penalty.validator,
        offence: penalty.offence,
        amount: penalty.taken,
        burned,
        job: Some(job),
        evidence: None,
    });
    Ok(cost.saturating_sub(paid))
}
