//! Freezing a job's list, and drawing its committee from it two blocks later.
//!
//! A frozen list locks nothing: it would let a client tie up everybody's stake for a fee. The draw
//! locks the bonds of its winners alone. A winner whose stake other draws have taken meanwhile is a
//! no-show, like one that was jailed; so that this stays rare, lists are frozen only as long as the
//! stake that is free covers twice what they may still draw.

use protocol::digest::{JobId, ValidatorId};
use protocol::draw::{committee_seed, draw};
use protocol::events::{Event, Level};
use protocol::job::SeatRef;
use protocol::limits::{DRAW_DELAY_BLOCKS, QUEUE_RETRY_BLOCKS};
use protocol::units::{Amount, Height};

use super::{JobHead, JobRequest, Member, Phase, SeatHolder, Snapshot, finish};
use crate::execution::{Seat, SeatState};
use crate::money::Breach;
use crate::planted::{self, Bug};
use crate::state::State;
use crate::work::Work;

/// Ends a job whose time is over while it waits.
pub(super) fn expire(work: &mut Work, job: JobId) -> Result<(), Breach> {
    work.emit(Event::Expired { job });
    finish::finish(work, job, Phase::Expired, None)
}

/// Freezes the list of a waiting job, or lets it wait.
pub(super) fn freeze(work: &mut Work, job: JobId) -> Result<(), Breach> {
    let height = work.block.height;
    let (head, request) = (work.job(job)?, work.request(job)?);
    let draw_at = height.plus(DRAW_DELAY_BLOCKS);
    let expiry = request.spec.expiry;
    let members = members(&work.state, height, &head, request);
    let suffices = enough(&work.state, request, &members) && has_room(work, request, &members);
    if suffices && draw_at <= expiry {
        work.state.snapshots.put(
            job,
            Snapshot {
                version: 1,
                members,
            },
        );
        return work.move_job(job, Phase::Frozen, draw_at);
    }
    let retry = height.plus(QUEUE_RETRY_BLOCKS).min(expiry);
    work.move_job(job, Phase::Queued, retry)
}

/// Whom the whole set has refuted on the model and engine of a job: they get no seats of it.
fn refuted<'a>(state: &'a State, request: &JobRequest) -> &'a [ValidatorId] {
    state
        .cohorts
        .get(&(request.spec.model_root, request.spec.engine))
        .map(|cohort| cohort.refuted.as_slice())
        .unwrap_or_default()
}

fn members(state: &State, height: Height, head: &JobHead, request: &JobRequest) -> Vec<Member> {
    let refuted = refuted(state, request);
    let eligible = |id: &ValidatorId| {
        state.validators.get(id).is_some_and(|row| {
            row.operator != head.client
                && row.operator != head.payer
                && row.free_seat_bond() >= request.seat_bond
                && !refuted.contains(id)
        })
    };
    state
        .standing(height)
        .into_iter()
        .map(|(validator, stake)| Member {
            validator,
            stake,
            eligible: eligible(&validator),
        })
        .collect()
}

fn enough(state: &State, request: &JobRequest, members: &[Member]) -> bool {
    let params = state.params();
    let needed = params
        .eligible_per_seat
        .saturating_mul(u64::from(request.spec.k));
    let stake = |of: &mut dyn Iterator<Item = &Member>| {
        of.fold(0_u128, |sum, member| {
            sum.saturating_add(u128::from(member.stake.0))
        })
    };
    let count = members.iter().filter(|member| member.eligible).count();
    let eligible = stake(&mut members.iter().filter(|member| member.eligible));
    let share = stake(&mut members.iter()).saturating_mul(u128::from(params.eligible_stake_thirds));
    u64::try_from(count).unwrap_or(u64::MAX) >= needed && eligible.saturating_mul(3) >= share
}

/// Whether the free stake of those who may be drawn covers this committee, beside twice what other
/// frozen lists may still take of it.
fn has_room(work: &Work, request: &JobRequest, members: &[Member]) -> bool {
    let free = members
        .iter()
        .filter(|member| member.eligible)
        .filter_map(|member| work.state.validators.get(&member.validator))
        .fold(0_u128, |sum, row| {
            sum.saturating_add(u128::from(row.free_seat_bond().0))
        });
    let promised = work.state.promised_bonds().saturating_mul(2);
    free >= request.all_bonds().saturating_add(promised)
}

impl State {
    /// Whether the committee of a job that has none yet may include this validator: by the frozen list,
    /// or by what a list frozen now would be.
    #[must_use]
    pub fn may_be_drawn(&self, job: &JobId, validator: &ValidatorId) -> bool {
        let Some((head, request)) = self.jobs.get(job).zip(self.requests.get(job)) else {
            return false;
        };
        let listed = |members: &[Member]| {
            let mut members = members.iter();
            members.any(|member| member.validator == *validator && member.eligible)
        };
        match head.phase {
            Phase::Frozen => {
                let list = self.snapshots.get(job);
                list.is_some_and(|list| listed(&list.members))
            }
            Phase::Queued => {
                let members = members(self, self.height(), head, request);
                listed(&members) && enough(self, request, &members)
            }
            _ => false,
        }
    }
}

/// Draws the committee of a frozen job. In S1 the seed is this block's id, which its proposer can
/// grind; that is said in the documentation and ends in S2.
pub(super) fn assign(work: &mut Work, job: JobId) -> Result<(), Breach> {
    let (head, request) = (work.job(job)?, work.request(job)?);
    let (k, bond) = (request.spec.k, request.seat_bond);
    let mut snapshot = work.snapshot(job)?;
    if planted::is(Bug::LateDrawList) {
        snapshot.members = members(&work.state, work.block.height, &head, request);
    }
    let seed = committee_seed(&work.state.chain_id(), &work.block.id.0, &job, head.attempt);
    let list: Vec<(ValidatorId, u64)> = snapshot
        .members
        .iter()
        .filter(|member| member.eligible)
        .map(|member| (member.validator, member.stake.0))
        .collect();
    let winners = draw(&seed, &list, k);
    seat(work, job, &winners, Level::Committee, bond)?;
    work.emit(Event::Assigned {
        job,
        attempt: head.attempt,
        seats: winners,
    });
    open_commits(work, job, Level::Committee)
}

/// Seats everyone of the list who does not sit yet, but nobody whom the whole set has refuted on this
/// model and engine. Jurors lock no bond.
pub(super) fn escalate(work: &mut Work, job: JobId) -> Result<Vec<ValidatorId>, Breach> {
    let head = work.job(job)?;
    let snapshot = work.snapshot(job)?;
    let request = work.request(job)?;
    let refuted = refuted(&work.state, request);
    let jurors: Vec<ValidatorId> = snapshot
        .members
        .iter()
        .map(|member| member.validator)
        .filter(|id| !head.seats.iter().any(|seat| seat.validator == *id))
        .filter(|id| !refuted.contains(id))
        .collect();
    seat(work, job, &jurors, Level::WholeSet, Amount::ZERO)?;
    work.emit(Event::Escalated {
        job,
        attempt: head.attempt,
        first_seat: head.k,
        jurors: jurors.clone(),
    });
    Ok(jurors)
}

fn seat(
    work: &mut Work,
    job: JobId,
    holders: &[ValidatorId],
    level: Level,
    bond: Amount,
) -> Result<(), Breach> {
    let snapshot = work.snapshot(job)?;
    for id in holders {
        let head = work.job(job)?;
        let row = work.state.validators.get(id);
        let row = row.ok_or_else(|| Breach(format!("validator {id} is missing")))?;
        let out = row.jail.is_some() || row.exit.is_some() || row.free_seat_bond() < bond;
        let session_pk = row.session_pk;
        let number = u16::try_from(head.seats.len()).unwrap_or(u16::MAX);
        let place = SeatRef {
            job,
            attempt: head.attempt,
            seat: number,
        };
        let (state, bond) = if out {
            (SeatState::NoShow, Amount::ZERO)
        } else {
            (SeatState::Open, bond)
        };
        work.with_validator(*id, |row| {
            row.seat_locked = row.seat_locked.saturating_add(bond);
        })?;
        let stake = snapshot.stake(id);
        let record = Seat {
            version: 1,
            validator: *id,
            level,
            stake,
            bond,
            state,
        };
        work.state.seats.put(place, record);
        work.with_job(job, |head| {
            head.seats.push(SeatHolder {
                validator: *id,
                session_pk,
            })
        })?;
    }
    Ok(())
}

/// Opens the commit window of a level.
pub(super) fn open_commits(work: &mut Work, job: JobId, level: Level) -> Result<(), Breach> {
    let request = work.request(job)?;
    let blocks = work.state.params().commit_blocks(request.spec.fuel_limit);
    let closes = work.block.height.plus(blocks);
    let attempt = work.job(job)?.attempt;
    work.move_job(job, Phase::Commit(level), closes)?;
    work.emit(Event::CommitWindow {
        job,
        attempt,
        level,
        closes,
    });
    Ok(())
}
