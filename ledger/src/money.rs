//! Money moves from one compartment to another, for a reason, and in no other way (I9).

use protocol::digest::{Address, JobId, ValidatorId};
use protocol::units::Amount;
use thiserror::Error;

use crate::layout::Only;
use crate::work::Work;

/// Where money can be. The sum over all of these is the supply (I1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Compartment {
    /// An account's spendable balance.
    Balance(Address),
    /// A validator's stake.
    Bonded(ValidatorId),
    /// Stake on its way out, still slashable.
    Unbonding(ValidatorId, u64),
    /// What a job has left.
    Escrow(JobId),
    /// Protocol fees and dust.
    FeePool,
    /// Gone.
    Burned,
}

/// Why money moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// A transfer.
    Transfer,
    /// A transaction fee: half to the builder, half burned, dust to the pool.
    Fee,
    /// A bond.
    Bond,
    /// The start of unbonding.
    Unbond,
    /// The end of unbonding.
    Matured,
    /// The lock of a job's price.
    Lock,
    /// A seat's pay.
    SeatPay,
    /// The protocol's share of a job.
    ProtocolFee,
    /// What a job did not need.
    Refund,
    /// Pay of seats that declined, which goes to nobody.
    DeclinedPay,
    /// Pay of the seats of a draw that its client called off.
    CancelledDraw,
    /// What a new account costs.
    NewAccount,
    /// The burned part of a slash.
    SlashBurn,
    /// What a slash gives back to a client.
    SlashClient,
    /// What a slash pays a juror.
    SlashJuror,
    /// What a slash pays who reported it.
    SlashReporter,
}

/// One movement, as it is listed for auditors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// From where.
    pub from: Compartment,
    /// To where.
    pub to: Compartment,
    /// How much.
    pub amount: Amount,
    /// Why.
    pub reason: Reason,
}

/// The ledger contradicts itself: a bug, never an input. The node halts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("ledger invariant broken: {0}")]
pub struct Breach(pub String);

impl Work {
    /// Moves money, or fails without moving any.
    ///
    /// # Errors
    /// [`Breach`] if the source holds less or the target cannot hold it: rules check first.
    pub(crate) fn move_units(
        &mut self,
        from: Compartment,
        to: Compartment,
        amount: Amount,
        reason: Reason,
    ) -> Result<(), Breach> {
        if amount == Amount::ZERO || from == to {
            return Ok(());
        }
        self.change(from, |held| held.checked_sub(amount))
            .ok_or_else(|| Breach(format!("{from:?} lacks {amount} for {reason:?}")))?;
        self.change(to, |held| held.checked_add(amount))
            .ok_or_else(|| Breach(format!("{to:?} cannot take {amount} for {reason:?}")))?;
        self.moves.push(Move {
            from,
            to,
            amount,
            reason,
        });
        Ok(())
    }

    /// What a compartment holds.
    pub(crate) fn held(&self, compartment: Compartment) -> Amount {
        let state = &self.state;
        let held = match compartment {
            Compartment::Balance(address) => Some(state.balance(&address)),
            Compartment::Bonded(id) => state.validators.get(&id).map(|row| row.bonded),
            Compartment::Unbonding(id, number) => {
                state.unbonding.get(&(id, number)).map(|row| row.amount)
            }
            Compartment::Escrow(job) => state.jobs.get(&job).map(|row| row.amounts.held),
            Compartment::FeePool => state.pools.get(&Only).map(|row| row.fee_pool),
            Compartment::Burned => state.pools.get(&Only).map(|row| row.burned),
        };
        held.unwrap_or_default()
    }

    fn change(
        &mut self,
        compartment: Compartment,
        with: impl FnOnce(Amount) -> Option<Amount>,
    ) -> Option<()> {
        let new = with(self.held(compartment))?;
        let state = &mut self.state;
        match compartment {
            Compartment::Balance(address) => {
                let mut row = state.account(&address);
                row.balance = new;
                state.accounts.put(address, row);
            }
            Compartment::Bonded(id) => {
                let mut row = state.validators.get(&id)?.clone();
                row.bonded = new;
                state.validators.put(id, row);
            }
            Compartment::Unbonding(id, number) => {
                let mut row = state.unbonding.get(&(id, number))?.clone();
                row.amount = new;
                state.unbonding.put((id, number), row);
            }
            Compartment::Escrow(job) => {
                let mut row = state.jobs.get(&job)?.clone();
                row.amounts.held = new;
                state.jobs.put(job, row);
            }
            Compartment::FeePool | Compartment::Burned => {
                let mut row = state.pools.get(&Only)?.clone();
                match compartment {
                    Compartment::FeePool => row.fee_pool = new,
                    _ => row.burned = new,
                }
                state.pools.put(Only, row);
            }
        }
        Some(())
    }
}
