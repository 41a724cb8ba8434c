//! Seats: who is drawn, when each may speak, what its words lead to, and that no salt is used twice.

use std::collections::BTreeMap;

use ledger::State;
use ledger::execution::{Seat, SeatState};
use ledger::jobs::{Answer, JobHead, Phase, Snapshot};
use protocol::digest::{Digest, JobId, ValidatorId};
use protocol::draw::{committee_seed, draw};
use protocol::events::{Event, FailCode, Level};
use protocol::job::SeatRef;
use protocol::limits::DRAW_DELAY_BLOCKS;
use protocol::units::Height;

use super::{Broken, Checked, Seen, must};

/// From the block after it opened to its last block.
#[derive(Clone, Copy, Debug)]
struct Window {
    opened: Height,
    closes: Height,
}

/// What was seen of one job.
#[derive(Debug, Default)]
struct JobSeen {
    frozen: Option<(Height, Snapshot)>,
    commits: BTreeMap<Level, Window>,
    reveals: BTreeMap<Level, Window>,
}

/// See the module.
#[derive(Debug, Default)]
pub(in super::super) struct Seats {
    jobs: BTreeMap<JobId, JobSeen>,
    salts: BTreeMap<Digest, SeatRef>,
}

fn missing(job: JobId) -> Broken {
    Broken("J1", format!("job {job} leaves no record"))
}

impl Seats {
    /// An honest seat commits with this salt.
    pub(in super::super) fn salt(&mut self, seat: SeatRef, salt: Digest) -> Checked {
        let first = *self.salts.entry(salt).or_insert(seat);
        must(first == seat, "J5", || {
            format!("{first:?} and {seat:?} commit with one salt")
        })
    }

    pub(super) fn follow(&mut self, seen: &Seen<'_>) -> Checked {
        self.lists(seen)?;
        for event in &seen.applied.events {
            self.event(seen, event)?;
        }
        Ok(())
    }

    /// A list is what stands at the end of the block that freezes it, and nothing changes it later.
    fn lists(&mut self, seen: &Seen<'_>) -> Checked {
        let (state, height) = (seen.after(), seen.block.header.height);
        for (job, list) in state.snapshots.iter() {
            let known = &mut self.jobs.entry(*job).or_default().frozen;
            if let Some((_, first)) = known {
                must(first == list, "J2", || {
                    format!("the frozen list of job {job} changes")
                })?;
                continue;
            }
            let members = list.members.iter();
            let listed: Vec<_> = members.map(|m| (m.validator, m.stake)).collect();
            must(listed == state.standing(height), "J2", || {
                format!("the frozen list of job {job} is not who stands")
            })?;
            *known = Some((height, list.clone()));
        }
        Ok(())
    }

    fn event(&mut self, seen: &Seen<'_>, event: &Event) -> Checked {
        let height = seen.block.header.height;
        match event {
            Event::CommitWindow {
                job, level, closes, ..
            } => {
                let (opened, closes) = (height, *closes);
                let windows = &mut self.jobs.entry(*job).or_default().commits;
                windows.insert(*level, Window { opened, closes });
                Ok(())
            }
            Event::RevealWindow {
                job, level, closes, ..
            } => {
                let (opened, closes) = (height, *closes);
                let windows = &mut self.jobs.entry(*job).or_default().reveals;
                windows.insert(*level, Window { opened, closes });
                Ok(())
            }
            Event::Assigned {
                job,
                attempt,
                seats,
            } => self.drawn(seen, *job, *attempt, seats),
            Event::Committed { job, seat, .. } | Event::Declined { job, seat, .. } => {
                self.in_window(seen, *job, *seat, "commit")
            }
            Event::Revealed { job, seat, .. } => self.in_window(seen, *job, *seat, "reveal"),
            _ => self.end(seen, event),
        }
    }

    /// A word counts after its window opened, until it closes, and not in the block that opened it.
    fn in_window(&self, seen: &Seen<'_>, job: JobId, seat: u16, what: &str) -> Checked {
        let height = seen.block.header.height;
        let place = SeatRef {
            job,
            attempt: 0,
            seat,
        };
        let row = seen.after().seats.get(&place).ok_or_else(|| missing(job))?;
        let windows = self.jobs.get(&job).ok_or_else(|| missing(job))?;
        let (commits, reveals) = (&windows.commits, &windows.reveals);
        let window = if what == "commit" { commits } else { reveals };
        let open = window
            .get(&row.level)
            .is_some_and(|window| window.opened < height && height <= window.closes);
        let over = what == "commit" && reveals.contains_key(&row.level);
        must(open && !over, "J3", || {
            format!("seat {seat} of job {job} may {what} at height {height}, outside its window")
        })
    }

    /// The committee is what the list frozen two blocks before and the block id give.
    fn drawn(&self, seen: &Seen<'_>, job: JobId, attempt: u32, seats: &[ValidatorId]) -> Checked {
        let frozen = self.jobs.get(&job).and_then(|seen| seen.frozen.as_ref());
        let (at, list) = frozen.ok_or_else(|| missing(job))?;
        let header = &seen.block.header;
        must(at.plus(DRAW_DELAY_BLOCKS) <= header.height, "J2", || {
            format!("job {job} is frozen at {at} and drawn at {}", header.height)
        })?;
        let head = seen.after().jobs.get(&job).ok_or_else(|| missing(job))?;
        let seed = committee_seed(&seen.after().chain_id(), &header.id().0, &job, attempt);
        let members = list.members.iter().filter(|member| member.eligible);
        let members: Vec<_> = members.map(|m| (m.validator, m.stake.0)).collect();
        let expected = draw(&seed, &members, head.k);
        must(expected == seats, "J2", || {
            format!("job {job} seats {seats:?}, its frozen list gives {expected:?}")
        })
    }

    fn end(&mut self, seen: &Seen<'_>, event: &Event) -> Checked {
        let job = match event {
            Event::Settled { job, .. }
            | Event::Resolved { job, .. }
            | Event::Ambiguous { job }
            | Event::Expired { job }
            | Event::Failed { job, .. } => *job,
            _ => return Ok(()),
        };
        let state = seen.after();
        let head = state.jobs.get(&job).ok_or_else(|| missing(job))?;
        let known = self.jobs.remove(&job).unwrap_or_default();
        let expected = expected_end(state, job, head, &known);
        must(head.phase == expected, "J6", || {
            format!(
                "job {job} ends as {:?}, the rules say {expected:?}",
                head.phase
            )
        })?;
        self.answer_is_right(seen, job, head)
    }

    /// What a job answers is what honest hosts find, unless everybody who answered lies.
    fn answer_is_right(&self, seen: &Seen<'_>, job: JobId, head: &JobHead) -> Checked {
        let (Some(answer), Phase::Settled | Phase::Resolved) = (head.answer, head.phase) else {
            return Ok(());
        };
        let state = seen.after();
        let request = state.requests.get(&job).ok_or_else(|| missing(job))?;
        let right = seen.world.answer(&request.spec);
        let is_right = answer.result_root == right.result_root && answer.fuel == right.fuel;
        let honest_seat =
            |seat: &Seat| seat.answer().is_some() && seen.world.is_honest(&seat.validator);
        let seats = seats_of(state, job, head);
        must(is_right || !seats.iter().any(honest_seat), "J7", || {
            format!("job {job} ends with a wrong answer against an honest seat")
        })
    }
}

fn seats_of(state: &State, job: JobId, head: &JobHead) -> Vec<Seat> {
    let levels = [Level::Committee, Level::WholeSet];
    let of = |level| state.seats_of(job, head, level);
    levels
        .into_iter()
        .flat_map(of)
        .map(|(_, seat)| seat)
        .collect()
}

/// How a job must end, by what its seats said.
fn expected_end(state: &State, job: JobId, head: &JobHead, known: &JobSeen) -> Phase {
    let seats = seats_of(state, job, head);
    let of = |level: Level| seats.iter().filter(move |seat| seat.level == level);
    let quorum = usize::from(head.k).saturating_mul(2).div_ceil(3);
    let count = |wanted: fn(&SeatState) -> bool| {
        of(Level::Committee)
            .filter(|seat| wanted(&seat.state))
            .count()
    };
    if !known.reveals.contains_key(&Level::Committee) {
        let unavailable = count(|state| matches!(state, SeatState::Unavailable));
        let declined = count(|state| matches!(state, SeatState::Declined(_)));
        return if unavailable >= quorum {
            Phase::Failed(FailCode::InputUnavailable)
        } else if declined >= quorum {
            Phase::Failed(FailCode::Declined)
        } else {
            Phase::Expired
        };
    }
    let answers: Vec<Answer> = of(Level::Committee).filter_map(Seat::answer).collect();
    let first = answers.first().copied();
    if answers.iter().all(|answer| Some(*answer) == first) {
        return if answers.len() >= quorum {
            Phase::Settled
        } else {
            Phase::Failed(FailCode::NoQuorum)
        };
    }
    let Some(decided) = decided(&seats) else {
        return Phase::Ambiguous;
    };
    let wrong = answers.iter().filter(|answer| **answer != decided).count();
    if wrong * 2 > answers.len() {
        Phase::Failed(FailCode::CohortFrozen)
    } else {
        Phase::Resolved
    }
}

/// The answer of more than two thirds of all stake that sits.
fn decided(seats: &[Seat]) -> Option<Answer> {
    let mut weights: BTreeMap<Answer, u128> = BTreeMap::new();
    let mut total = 0;
    for seat in seats {
        total += u128::from(seat.stake.0);
        if let Some(answer) = seat.answer() {
            *weights.entry(answer).or_default() += u128::from(seat.stake.0);
        }
    }
    let found = weights
        .into_iter()
        .find(|(_, weight)| weight * 3 > total * 2);
    found.map(|(answer, _)| answer)
}
