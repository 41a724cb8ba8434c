//! Slashing: taking stake, and handing it out.

use protocol::digest::ValidatorId;
use protocol::units::Amount;

use crate::money::{Breach, Compartment, Reason};
use crate::planted::{self, Bug};
use crate::work::Work;

/// What a slash takes, still lying where it was until it is handed out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Purse {
    sources: Vec<(Compartment, Amount)>,
}

impl Purse {
    /// How much is left in it.
    pub(crate) fn total(&self) -> Amount {
        self.sources
            .iter()
            .fold(Amount::ZERO, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    /// Pays at most this much; returns what was paid.
    pub(crate) fn pay(
        &mut self,
        work: &mut Work,
        to: Compartment,
        amount: Amount,
        reason: Reason,
    ) -> Result<Amount, Breach> {
        let mut paid = Amount::ZERO;
        for (from, left) in &mut self.sources {
            let part = (*left).min(amount.saturating_sub(paid));
            work.move_units(*from, to, part, reason)?;
            *left = left.saturating_sub(part);
            paid = paid.saturating_add(part);
        }
        Ok(paid)
    }

    /// Burns the rest.
    pub(crate) fn burn(mut self, work: &mut Work) -> Result<Amount, Breach> {
        let rest = self.total();
        self.pay(work, Compartment::Burned, rest, Reason::SlashBurn)
    }
}

/// Takes this much from a validator's bonded and unbonding stake alike, each by its share, or all
/// there is. Seat bonds shrink with the stake they label.
pub(crate) fn slash(work: &mut Work, id: ValidatorId, amount: Amount) -> Result<Purse, Breach> {
    let mut sources = vec![(Compartment::Bonded(id), work.held(Compartment::Bonded(id)))];
    for ((_, number), row) in work.state.unbonding_of(&id) {
        sources.push((Compartment::Unbonding(id, *number), row.amount));
    }
    let total = Purse {
        sources: sources.clone(),
    }
    .total();
    let amount = if planted::is(Bug::SlashTwice) {
        amount.saturating_add(amount)
    } else {
        amount
    };
    let amount = amount.min(total);
    let mut left = amount;
    let mut shares = Vec::new();
    for (from, held) in &sources {
        let share = held.share(amount.0, total.0).min(left);
        left = left.saturating_sub(share);
        shares.push((*from, *held, share));
    }
    // Floors leave less than one unit per source; the first that can gives it.
    let mut purse = Purse::default();
    for (from, held, share) in shares {
        let extra = left.min(held.saturating_sub(share));
        left = left.saturating_sub(extra);
        purse.sources.push((from, share.saturating_add(extra)));
    }
    let from_bonded = purse
        .sources
        .first()
        .map_or(Amount::ZERO, |(_, amount)| *amount);
    work.with_validator(id, |row| {
        let half = row.bonded.saturating_sub(from_bonded).share(1, 2);
        row.seat_locked = row.seat_locked.min(half);
    })?;
    Ok(purse)
}
