//! What must hold after every block, computed apart from the ledger's own code.
//!
//! ```text
//!   books    every movement replayed on a map of our own: conservation, at every block     (M)
//!   stakes   who lost stake, for what, exactly how much; what matures, and not before       (S)
//!   terms    who goes to jail, at which block, for how long                                 (S)
//!   ends     what each ended job pays, keeps, returns and burns, to the unit                (E)
//!   seats    windows, draws, answers, salts; that honest seats speak in time                (J)
//! ```
//! The watch sees each height once, with the state before and after it; every further node's root is
//! compared with the first's by the world.

mod books;
mod ends;
mod seats;
mod stakes;
mod terms;

use std::collections::BTreeMap;

use ledger::{Applied, State};
use protocol::block::Block;
use protocol::events::{Event, JailCause};

use super::shared::Facts;
use books::Books;
pub(super) use seats::Seats;
use stakes::Stakes;
use terms::Terms;

/// Which promise is broken, and how.
#[derive(Debug)]
pub(super) struct Broken(pub(super) &'static str, pub(super) String);

pub(super) type Checked = Result<(), Broken>;

/// Says that a promise is broken unless the condition holds.
pub(super) fn must(holds: bool, oracle: &'static str, text: impl FnOnce() -> String) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(Broken(oracle, text()))
    }
}

/// One block, as the oracles see it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) world: &'a Facts,
    pub(super) before: &'a State,
    pub(super) block: &'a Block,
    pub(super) applied: &'a Applied,
}

impl Seen<'_> {
    pub(super) const fn after(&self) -> &State {
        &self.applied.state
    }
}

/// What is counted about an event: its name, or the word that tells its sorts apart.
fn name_of(event: &Event) -> &'static str {
    match event {
        Event::Failed { code, .. } => code.name(),
        Event::Slashed { offence, .. } => offence.name(),
        Event::Jailed { cause, .. } => match cause {
            JailCause::WrongResult => "jailed_wrong",
            JailCause::Absence => "jailed_absence",
        },
        event => event.name(),
    }
}

/// All of the oracles' memory.
#[derive(Debug)]
pub(super) struct Watch {
    books: Books,
    stakes: Stakes,
    terms: Terms,
    pub(super) seats: Seats,
    /// Events by name; ends, fines and refusals to promise anything among them.
    pub(super) tally: BTreeMap<&'static str, u64>,
}

impl Watch {
    pub(super) fn new(genesis: &State) -> Self {
        Self {
            books: Books::open(genesis),
            stakes: Stakes::default(),
            terms: Terms::default(),
            seats: Seats::default(),
            tally: BTreeMap::new(),
        }
    }

    /// A height that no node had committed before.
    pub(super) fn committed(&mut self, seen: &Seen<'_>) -> Checked {
        for event in &seen.applied.events {
            self.count(name_of(event), 1);
        }
        self.lies(seen)?;
        let state = seen.after();
        state
            .check_invariants()
            .map_err(|breach| Broken("I1-I7", breach.to_string()))?;
        must(
            state.pools().burned >= seen.before.pools().burned,
            "I8",
            || "burned fell".to_owned(),
        )?;
        self.books.follow(seen)?;
        self.stakes.follow(seen)?;
        self.terms.follow(seen)?;
        ends::follow(seen)?;
        self.seats.follow(seen)
    }

    pub(super) fn count(&mut self, name: &'static str, times: u64) {
        *self.tally.entry(name).or_default() += times;
    }

    /// A report that is a lie has no effect, and its author pays for it.
    fn lies(&mut self, seen: &Seen<'_>) -> Checked {
        for outcome in &seen.applied.outcomes {
            let Some(fee) = seen.world.fee_of_lie(&outcome.id) else {
                continue;
            };
            self.count("lies_refused", 1);
            must(
                outcome.refused.is_some() && outcome.fee == fee,
                "S7",
                || format!("a forged report is taken or goes free: {outcome:?}"),
            )?;
        }
        Ok(())
    }

    /// The workload is over: nothing may be left open.
    pub(super) fn ended(&self, world: &Facts, state: &State) -> Checked {
        let live = state.live_jobs();
        must(live.is_empty(), "J4", || {
            format!("jobs {live:?} have not ended")
        })?;
        for (id, row) in state.validators.iter() {
            must(row.seat_locked.0 == 0, "J4", || {
                format!("{id} still locks {} for seats", row.seat_locked)
            })?;
        }
        self.stakes.ended(world, state)
    }
}
