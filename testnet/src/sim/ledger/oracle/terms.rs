//! Jail terms: whoever misses three of its last twenty seats, or gives a wrong result, goes to jail at
//! that block and for the rule's term, and nobody else does. Each holder's record is kept a second time.

use std::collections::{BTreeMap, BTreeSet};

use ledger::State;
use ledger::execution::{Seat, SeatState};
use ledger::jobs::{JobHead, Phase};
use protocol::digest::{JobId, ValidatorId};
use protocol::events::{Event, JailCause, Level};
use protocol::units::Height;

use super::{Broken, Checked, Seen, must};

/// protocol.md §7: three misses in twenty seats, three wrong results within the doubling window.
const SEATS: u32 = 20;
const MISSES: u32 = 3;
const WRONG: usize = 3;
/// Absence leaves two thirds of the stake that stood so many blocks ago.
const REFERENCE_BLOCKS: u64 = 1_000;

type Term = (ValidatorId, JailCause, Height);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// The last seats of each holder, the newest in the lowest bit; 1 is a miss.
    missed: BTreeMap<ValidatorId, u32>,
    wrong: BTreeMap<ValidatorId, Vec<Height>>,
    /// Where seats were asked to reveal.
    opened: BTreeSet<(JobId, Level)>,
}

/// Who is in jail until when, and who is out, while the jobs of a block end one after the other.
struct Block<'a> {
    seen: &'a Seen<'a>,
    until: BTreeMap<ValidatorId, Height>,
    out: BTreeSet<ValidatorId>,
    found: std::vec::IntoIter<Term>,
}

impl<'a> Block<'a> {
    /// Transactions come before the ends of jobs.
    fn after_transactions(seen: &'a Seen<'a>) -> Self {
        let rows = || seen.before.validators.iter();
        let jailed = rows().filter_map(|(id, row)| Some((*id, row.jail?.until)));
        let out = rows().filter(|(_, row)| row.exit.is_some());
        let mut block = Self {
            seen,
            until: jailed.collect(),
            out: out.map(|(id, _)| *id).collect(),
            found: terms(&seen.applied.events).into_iter(),
        };
        for event in &seen.applied.events {
            match event {
                Event::Unjailed { validator } => {
                    block.until.remove(validator);
                }
                Event::Tombstoned { validator, .. } => {
                    block.out.insert(*validator);
                }
                _ => {}
            }
        }
        block
    }

    fn height(&self) -> Height {
        self.seen.block.header.height
    }

    /// The next term that the ledger gave is this one.
    fn takes(&mut self, id: ValidatorId, cause: JailCause, until: Height) -> Checked {
        let until = self
            .until
            .get(&id)
            .map_or(until, |known| (*known).max(until));
        let (rule, found) = ((id, cause, until), self.found.next());
        self.until.insert(id, until);
        must(found == Some(rule), "S6", || {
            format!("jailed {found:?}, the rules say {rule:?}")
        })
    }

    /// Whether enough stake stands without this one. What stood in the middle of a block is not
    /// seen from outside: `None` where beginning and end of the block differ about it.
    fn may_spare(&self, id: ValidatorId) -> Option<bool> {
        let (before, height) = (self.seen.before, self.height());
        let at = height.minus(REFERENCE_BLOCKS);
        let first = || before.blocks.first().map(|(_, block)| block);
        let reference = before.blocks.get(&at).or_else(first);
        let reference = reference.map_or(0, |block| u128::from(block.active_stake.0));
        let spares = |state: &State| {
            let standing = state.standing(height).into_iter();
            let others = standing.filter(|(other, _)| *other != id);
            let rest: u128 = others.map(|(_, stake)| u128::from(stake.0)).sum();
            rest * 3 >= reference * 2
        };
        let (first, last) = (spares(before), spares(self.seen.after()));
        (first == last).then_some(first)
    }

    fn is_next(&self, id: ValidatorId) -> bool {
        let next = self.found.as_slice().first();
        next.is_some_and(|(found, cause, _)| *found == id && *cause == JailCause::Absence)
    }
}

fn terms(events: &[Event]) -> Vec<Term> {
    let term = |event: &Event| match event {
        Event::Jailed {
            validator,
            cause,
            until,
        } => Some((*validator, *cause, *until)),
        _ => None,
    };
    events.iter().filter_map(term).collect()
}

impl Terms {
    pub(super) fn follow(&mut self, seen: &Seen<'_>) -> Checked {
        for event in &seen.applied.events {
            if let Event::RevealWindow { job, level, .. } = event {
                self.opened.insert((*job, *level));
            }
        }
        let mut block = Block::after_transactions(seen);
        for (job, phase) in super::ends::ended(seen) {
            let missing = || Broken("J1", format!("job {job} leaves no record"));
            let head = seen.after().jobs.get(&job).ok_or_else(missing)?;
            if phase == Phase::Resolved {
                self.liars(&mut block, job, head)?;
            }
            self.absent(&mut block, job, head)?;
            for level in [Level::Committee, Level::WholeSet] {
                self.opened.remove(&(job, level));
            }
        }
        let more = block.found.next();
        must(more.is_none(), "S6", || {
            format!("jailed {more:?}, the rules jail nobody")
        })
    }

    /// Wrong seats of the committee: a term that doubles, and the third is the end.
    fn liars(&mut self, block: &mut Block<'_>, job: JobId, head: &JobHead) -> Checked {
        let (state, height) = (block.seen.after(), block.height());
        let params = state.params();
        let oldest = height.minus(params.jail_doubling_blocks);
        for (_, seat) in state.seats_of(job, head, Level::Committee) {
            if seat.answer().is_none() || seat.answer() == head.answer {
                continue;
            }
            let id = seat.validator;
            let times = self.wrong.entry(id).or_default();
            times.retain(|at| *at >= oldest);
            times.push(height);
            // More than three only lengthen the list.
            let count = times.len().min(WRONG);
            times.drain(..times.len() - count);
            let until = height.plus(params.jail_wrong_blocks << (count - 1));
            block.takes(id, JailCause::WrongResult, until)?;
            if count == WRONG {
                block.out.insert(id);
                let row = state.validators.get(&id);
                must(row.is_some_and(|row| row.exit.is_some()), "S6", || {
                    format!("{id} gave {WRONG} wrong results and is still in")
                })?;
            }
        }
        Ok(())
    }

    /// Every seat enters its holder's record; the third miss of twenty is one too many.
    fn absent(&mut self, block: &mut Block<'_>, job: JobId, head: &JobHead) -> Checked {
        let (state, height) = (block.seen.after(), block.height());
        let committee = state.seats_of(job, head, Level::Committee);
        let jurors = state.seats_of(job, head, Level::WholeSet);
        let declined = |seat: &Seat| matches!(seat.state, SeatState::Declined(_));
        let declines = committee.iter().filter(|(_, seat)| declined(seat)).count();
        let together = declines >= usize::from(head.k).saturating_mul(2).div_ceil(3);
        for (_, seat) in committee.iter().chain(&jurors) {
            let asked = self.opened.contains(&(job, seat.level));
            let missed = match &seat.state {
                SeatState::NoShow | SeatState::Unavailable => continue,
                SeatState::Declined(_) if together => continue,
                SeatState::Open | SeatState::Declined(_) => true,
                SeatState::Committed(_) => asked,
                SeatState::Revealed(_) => false,
            };
            let id = seat.validator;
            let record = self.missed.entry(id).or_default();
            *record = (*record << 1 | u32::from(missed)) & ((1 << SEATS) - 1);
            let is_free = !block.until.contains_key(&id) && !block.out.contains(&id);
            if record.count_ones() < MISSES || !is_free {
                continue;
            }
            if block.may_spare(id).unwrap_or_else(|| block.is_next(id)) {
                *record = 0;
                let until = height.plus(state.params().jail_absence_blocks);
                block.takes(id, JailCause::Absence, until)?;
            }
        }
        Ok(())
    }
}
