//! Every movement of money, replayed on a map of our own.

use std::collections::BTreeMap;

use ledger::State;
use ledger::money::{Compartment, Move};
use protocol::units::Amount;

use super::{Broken, Checked, Seen, must};

#[derive(Debug)]
pub(super) struct Books {
    held: BTreeMap<Compartment, u64>,
    supply: u64,
}

/// What a state says that every compartment holds; empty ones are left out.
fn read(state: &State) -> BTreeMap<Compartment, u64> {
    let pools = state.pools();
    let accounts = state.accounts.iter();
    let validators = state.validators.iter();
    let unbonding = state.unbonding.iter();
    let jobs = state.jobs.iter();
    let all = accounts
        .map(|(address, row)| (Compartment::Balance(*address), row.balance))
        .chain(validators.map(|(id, row)| (Compartment::Bonded(*id), row.bonded)))
        .chain(unbonding.map(|((id, n), row)| (Compartment::Unbonding(*id, *n), row.amount)))
        .chain(jobs.map(|(job, head)| (Compartment::Escrow(*job), head.amounts.held)))
        .chain([
            (Compartment::FeePool, pools.fee_pool),
            (Compartment::Burned, pools.burned),
        ]);
    all.filter(|(_, amount)| *amount != Amount::ZERO)
        .map(|(place, amount)| (place, amount.0))
        .collect()
}

impl Books {
    pub(super) fn open(genesis: &State) -> Self {
        let held = read(genesis);
        let supply = held.values().sum();
        Self { held, supply }
    }

    pub(super) fn follow(&mut self, seen: &Seen<'_>) -> Checked {
        for movement in &seen.applied.moves {
            self.apply(movement)?;
        }
        let found = read(seen.after());
        if found != self.held {
            let differs = |place: &&Compartment| found.get(place) != self.held.get(place);
            let place = found.keys().chain(self.held.keys()).find(differs);
            let text = place.map(|place| {
                let (state, books) = (found.get(place), self.held.get(place));
                format!("{place:?} holds {state:?}, its movements give {books:?}")
            });
            return Err(Broken("M1", text.unwrap_or_default()));
        }
        let total: u64 = found.values().sum();
        must(total == self.supply, "M2", || {
            format!("{total} upal in all, {} at genesis", self.supply)
        })
    }

    fn apply(&mut self, movement: &Move) -> Checked {
        let Move {
            from, to, amount, ..
        } = movement;
        let left = self.held.get(from).copied().unwrap_or(0);
        let Some(rest) = left.checked_sub(amount.0) else {
            return Err(Broken("M3", format!("{movement:?} takes more than {left}")));
        };
        if rest == 0 {
            self.held.remove(from);
        } else {
            self.held.insert(*from, rest);
        }
        if amount.0 > 0 {
            *self.held.entry(*to).or_default() += amount.0;
        }
        must(*from != Compartment::Burned, "I8", || {
            format!("{movement:?} leads out of what is burned")
        })
    }
}
