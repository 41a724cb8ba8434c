//! Accounts: balances, nonces, transfers.

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::{Address, TxId};
use protocol::events::Event;
use protocol::tx::{ACCOUNT_FEE, Transfer};
use protocol::units::Amount;

use crate::error::TxError;
use crate::money::{Compartment, Reason};
use crate::table::Record;
use crate::work::Work;

/// One account. An address that never held anything has none and counts as empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Account {
    /// Layout version.
    pub version: u8,
    /// What it can spend.
    pub balance: Amount,
    /// The nonce its next transaction must carry.
    pub nonce: u64,
    /// Its jobs that have not ended.
    pub live_jobs: u32,
}

impl Canonical for Account {
    const BYTES_MAX: usize = 32;
}

impl Record for Account {
    type Key = Address;
    const MODULE: u8 = 1;
    const KIND: u8 = 0;
}

/// What a transfer to this address costs beside its own fee.
fn account_fee(work: &Work, to: &Address) -> Amount {
    if work.state.accounts.contains(to) {
        Amount::ZERO
    } else {
        ACCOUNT_FEE
    }
}

/// Moves balance. Transfers are the only way to a new account: whoever is paid otherwise has signed
/// or operated before.
pub(crate) fn transfer(
    work: &mut Work,
    from: Address,
    body: &Transfer,
    tx: TxId,
) -> Result<(), TxError> {
    if body.amount == Amount::ZERO {
        return Err(TxError::ZeroAmount);
    }
    let fee = account_fee(work, &body.to);
    let all = body.amount.checked_add(fee).ok_or(TxError::Overflow)?;
    need(work, from, all)?;
    if fee > Amount::ZERO {
        let burned = Compartment::Burned;
        work.move_units(Compartment::Balance(from), burned, fee, Reason::NewAccount)?;
        work.emit(Event::Burned {
            amount: fee,
            job: None,
            tx: Some(tx),
        });
    }
    work.move_units(
        Compartment::Balance(from),
        Compartment::Balance(body.to),
        body.amount,
        Reason::Transfer,
    )?;
    work.emit(Event::Transferred {
        from,
        to: body.to,
        amount: body.amount,
        tx,
    });
    Ok(())
}

/// Refuses what the account cannot pay.
pub(crate) fn need(work: &Work, address: Address, amount: Amount) -> Result<(), TxError> {
    let balance = work.state.balance(&address);
    if balance < amount {
        return Err(TxError::InsufficientBalance {
            balance,
            needed: amount,
        });
    }
    Ok(())
}
