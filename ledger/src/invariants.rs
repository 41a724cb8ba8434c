//! The invariants of protocol.md §9, recounted from the leaves.
//!
//! I1 the compartments hold the supply. I2 none is negative: amounts are unsigned and moves checked.
//! I3 an ended job holds nothing. I4 what a job locked is accounted for. I5 a validator has one
//! share, its operator's. I6 unbonding entries never exceed what they began with. I7 seats lock at
//! most half of a stake. I8 burned never falls: no move leads out of it. I9 money moves by
//! `Work::move_units` alone, with source, target and reason.

use protocol::units::Amount;

use crate::money::Breach;
use crate::state::State;

fn add(sum: Amount, part: Amount) -> Result<Amount, Breach> {
    sum.checked_add(part)
        .ok_or_else(|| Breach("I1: a sum overflows".to_owned()))
}

impl State {
    /// Everything money can be in, summed.
    ///
    /// # Errors
    /// [`Breach`] if the sum does not fit.
    pub fn total_money(&self) -> Result<Amount, Breach> {
        let pools = self.pools();
        let mut sum = add(pools.fee_pool, pools.burned)?;
        for (_, row) in self.accounts.iter() {
            sum = add(sum, row.balance)?;
        }
        for (_, row) in self.validators.iter() {
            sum = add(sum, row.bonded)?;
        }
        for (_, row) in self.unbonding.iter() {
            sum = add(sum, row.amount)?;
        }
        for (_, row) in self.jobs.iter() {
            sum = add(sum, row.amounts.held)?;
        }
        Ok(sum)
    }

    /// Recounts everything.
    ///
    /// # Errors
    /// [`Breach`] naming the first invariant that does not hold.
    pub fn check_invariants(&self) -> Result<(), Breach> {
        let (total, supply) = (self.total_money()?, self.pools().supply);
        if total != supply {
            return Err(Breach(format!(
                "I1: compartments hold {total}, supply is {supply}"
            )));
        }
        self.check_jobs()?;
        self.check_stakes()
    }

    fn check_jobs(&self) -> Result<(), Breach> {
        for (job, head) in self.jobs.iter() {
            let amounts = head.amounts;
            if head.phase.is_end() && amounts.held != Amount::ZERO {
                return Err(Breach(format!(
                    "I3: ended job {job} holds {}",
                    amounts.held
                )));
            }
            let parts = [
                amounts.held,
                amounts.paid,
                amounts.fee,
                amounts.refunded,
                amounts.burned,
            ];
            let sum = parts.into_iter().try_fold(Amount::ZERO, add)?;
            if sum != amounts.locked {
                let locked = amounts.locked;
                return Err(Breach(format!(
                    "I4: job {job} locked {locked}, accounts for {sum}"
                )));
            }
        }
        Ok(())
    }

    fn check_stakes(&self) -> Result<(), Breach> {
        for ((id, number), row) in self.unbonding.iter() {
            if row.amount > row.started_with {
                return Err(Breach(format!("I6: unbonding {number} of {id} grew")));
            }
        }
        for (id, row) in self.validators.iter() {
            if row.seat_locked > row.bonded.share(1, 2) {
                let (locked, bonded) = (row.seat_locked, row.bonded);
                return Err(Breach(format!("I7: {id} locks {locked} of {bonded}")));
            }
            let entries = self.unbonding_of(id).count();
            if u32::try_from(entries).ok() != Some(row.unbonding_entries) {
                return Err(Breach(format!(
                    "I6: {id} counts its unbonding entries wrongly"
                )));
            }
        }
        Ok(())
    }
}
