//! Escrow: a job's price is locked before work begins, and every unit of it leaves with a reason.

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::{Address, JobId};
use protocol::events::Event;
use protocol::units::Amount;

use crate::jobs::JobHead;
use crate::layout::Only;
use crate::money::{Breach, Compartment, Reason};
use crate::table::Record;
use crate::work::Work;

/// Money that belongs to nobody in particular.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Pools {
    /// Layout version.
    pub version: u8,
    /// All money since genesis; minting does not exist.
    pub supply: Amount,
    /// Protocol fees and dust.
    pub fee_pool: Amount,
    /// Gone for ever; never falls (I8).
    pub burned: Amount,
}

impl Canonical for Pools {
    const BYTES_MAX: usize = 32;
}

impl Record for Pools {
    type Key = Only;
    const MODULE: u8 = 3;
    const KIND: u8 = 0;
}

/// Where a job's price went. `locked = held + paid + fee + refunded + burned` at all times (I4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Amounts {
    /// Locked at submission.
    pub locked: Amount,
    /// Still here; zero once the job has ended (I3).
    pub held: Amount,
    /// Paid to seats.
    pub paid: Amount,
    /// Kept by the protocol.
    pub fee: Amount,
    /// Given back to whoever locked it.
    pub refunded: Amount,
    /// Burned: the pay of seats that declined, or of a draw that was called off.
    pub burned: Amount,
    /// Given to whoever locked it on top, from slashes.
    pub compensated: Amount,
}

/// Locks the price. The payer was checked to have it.
pub(crate) fn lock(
    work: &mut Work,
    job: JobId,
    payer: Address,
    amount: Amount,
) -> Result<(), Breach> {
    work.move_units(
        Compartment::Balance(payer),
        Compartment::Escrow(job),
        amount,
        Reason::Lock,
    )?;
    work.with_job(job, |head| {
        head.amounts.locked = amount;
    })?;
    work.emit(Event::Locked { job, payer, amount });
    Ok(())
}

/// Pays a seat at most this much; a job that has less left pays what it has.
pub(crate) fn pay_seat(
    work: &mut Work,
    job: JobId,
    seat: u16,
    to: Address,
    amount: Amount,
) -> Result<Amount, Breach> {
    let amount = amount.min(work.held(Compartment::Escrow(job)));
    if amount == Amount::ZERO {
        return Ok(amount);
    }
    let (from, to_balance) = (Compartment::Escrow(job), Compartment::Balance(to));
    work.move_units(from, to_balance, amount, Reason::SeatPay)?;
    account_for(work, job, |head| &mut head.amounts.paid, amount)?;
    work.emit(Event::Released {
        job,
        to,
        amount,
        seat,
    });
    Ok(amount)
}

/// Keeps the protocol's two percent of what seats were paid.
pub(crate) fn keep_fee(work: &mut Work, job: JobId, paid: Amount) -> Result<Amount, Breach> {
    let fee = paid.share(2, 100).min(work.held(Compartment::Escrow(job)));
    work.move_units(
        Compartment::Escrow(job),
        Compartment::FeePool,
        fee,
        Reason::ProtocolFee,
    )?;
    account_for(work, job, |head| &mut head.amounts.fee, fee)?;
    Ok(fee)
}

/// Burns at most this much.
pub(crate) fn burn(
    work: &mut Work,
    job: JobId,
    amount: Amount,
    reason: Reason,
) -> Result<(), Breach> {
    let amount = amount.min(work.held(Compartment::Escrow(job)));
    if amount == Amount::ZERO {
        return Ok(());
    }
    work.move_units(
        Compartment::Escrow(job),
        Compartment::Burned,
        amount,
        reason,
    )?;
    account_for(work, job, |head| &mut head.amounts.burned, amount)?;
    work.emit(Event::Burned {
        amount,
        job: Some(job),
        tx: None,
    });
    Ok(())
}

/// Gives what is left back to whoever locked it.
pub(crate) fn refund(work: &mut Work, job: JobId, payer: Address) -> Result<(), Breach> {
    let amount = work.held(Compartment::Escrow(job));
    if amount == Amount::ZERO {
        return Ok(());
    }
    let (from, to) = (Compartment::Escrow(job), Compartment::Balance(payer));
    work.move_units(from, to, amount, Reason::Refund)?;
    account_for(work, job, |head| &mut head.amounts.refunded, amount)?;
    work.emit(Event::Refunded {
        job,
        to: payer,
        amount,
    });
    Ok(())
}

/// Adds to one of a job's totals.
pub(crate) fn account_for(
    work: &mut Work,
    job: JobId,
    total: impl FnOnce(&mut JobHead) -> &mut Amount,
    amount: Amount,
) -> Result<(), Breach> {
    work.with_job(job, |head| {
        let total = total(head);
        *total = total.saturating_add(amount);
    })
}
