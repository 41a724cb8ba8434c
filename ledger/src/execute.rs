//! One transaction: who sent it, whether it may be in a block at all, and what it does.

use protocol::digest::TxId;
use protocol::events::Event;
use protocol::limits::{NONCE_AHEAD_MAX, VALID_UNTIL_BLOCKS_MAX};
use protocol::signed::{Signed, Verified};
use protocol::tx::{KeyKind, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, Height};

use crate::error::TxError;
use crate::money::{Breach, Compartment, Reason};
use crate::roles::{self, Sender};
use crate::state::State;
use crate::work::Work;
use crate::{account, evidence, execution, jobs, staking};

/// How strictly a nonce is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NonceRule {
    /// In a block: the next one exactly.
    Next,
    /// In a pool: also a few ahead.
    Ahead,
}

/// The rules whose breach makes a block invalid: nobody honest would have included it.
pub(crate) fn check(
    state: &State,
    tx: &Signed<Tx>,
    height: Height,
    nonces: NonceRule,
) -> Result<Sender, TxError> {
    let message = &tx.message;
    if message.version != TX_VERSION {
        return Err(TxError::Version {
            found: message.version,
        });
    }
    let sender = roles::resolve(state, message)?;
    let (valid_until, latest) = (message.valid_until, height.plus(VALID_UNTIL_BLOCKS_MAX));
    if valid_until < height {
        return Err(TxError::Expired {
            valid_until,
            height,
        });
    }
    if valid_until > latest {
        return Err(TxError::TooFarAhead {
            valid_until,
            latest,
        });
    }
    match sender {
        Sender::Session { .. } => check_session(message)?,
        Sender::Wallet(address) => {
            let account = state.account(&address);
            check_nonce(message.nonce, account.nonce, nonces)?;
            let needed = tx.fee_min();
            if message.fee < needed {
                return Err(TxError::FeeTooLow {
                    fee: message.fee,
                    needed,
                });
            }
            if account.balance < message.fee {
                let (balance, needed) = (account.balance, message.fee);
                return Err(TxError::InsufficientBalance { balance, needed });
            }
        }
    }
    Ok(sender)
}

const fn check_session(tx: &Tx) -> Result<(), TxError> {
    if tx.nonce != 0 {
        return Err(TxError::SessionNonce { nonce: tx.nonce });
    }
    if tx.fee.0 != 0 {
        return Err(TxError::SessionFee { fee: tx.fee });
    }
    Ok(())
}

const fn check_nonce(nonce: u64, expected: u64, rule: NonceRule) -> Result<(), TxError> {
    if nonce < expected {
        return Err(TxError::StaleNonce { nonce, expected });
    }
    let ahead = match rule {
        NonceRule::Next => 0,
        NonceRule::Ahead => NONCE_AHEAD_MAX,
    };
    if nonce > expected.saturating_add(ahead) {
        return Err(TxError::NonceGap { nonce, expected });
    }
    Ok(())
}

/// What became of a transaction in a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TxOutcome {
    /// Which.
    pub id: TxId,
    /// What it paid.
    pub fee: Amount,
    /// Why it had no effect, if it had none.
    pub refused: Option<TxError>,
}

/// Applies a transaction. A paid one that does not apply pays its fee and has no effect; a free one
/// that does not apply is an error, as is any that [`check`] refuses.
pub(crate) fn execute(
    work: &mut Work,
    tx: &Verified<Tx>,
    nonces: NonceRule,
) -> Result<TxOutcome, TxError> {
    let message = tx.message();
    let sender = check(&work.state, tx, work.block.height, nonces)?;
    let id = tx.tx_id(&work.state.chain_id());
    if let Sender::Wallet(address) = sender {
        let mut row = work.state.account(&address);
        row.nonce = message.nonce.checked_add(1).ok_or(TxError::Overflow)?;
        work.state.accounts.put(address, row);
    }
    keep_anchor(work, sender, message)?;
    let evidence = matches!(message.body, TxBody::SubmitEvidence(_));
    if !evidence {
        take_fee(work, sender, message.fee, id)?;
    }
    let mark = work.mark();
    match effect(work, sender, message, id) {
        // Valid evidence gets its fee back: it is never taken.
        Ok(()) if evidence => Ok(TxOutcome {
            id,
            fee: Amount::ZERO,
            refused: None,
        }),
        Ok(()) => Ok(TxOutcome {
            id,
            fee: message.fee,
            refused: None,
        }),
        Err(TxError::Breach(breach)) => Err(TxError::Breach(breach)),
        Err(error) if message.key_kind == KeyKind::Session => Err(error),
        Err(error) => {
            work.return_to(mark);
            if evidence {
                take_fee(work, sender, message.fee, id)?;
            }
            Ok(TxOutcome {
                id,
                fee: message.fee,
                refused: Some(error),
            })
        }
    }
}

fn keep_anchor(work: &mut Work, sender: Sender, tx: &Tx) -> Result<(), Breach> {
    let Some(anchor) = tx.anchor else {
        return Ok(());
    };
    let validator = match sender {
        Sender::Session { validator, .. } => Some(validator),
        // Only the one that is still in: which of the exited an operator had last is not in the state.
        Sender::Wallet(address) => work
            .state
            .operated(&address)
            .filter(|(_, row)| row.exit.is_none())
            .map(|(id, _)| id),
    };
    match validator {
        Some(id) => work.with_validator(id, |row| row.anchor = Some(anchor)),
        None => Ok(()),
    }
}

/// Half burned, half to the builder, an odd unit to the pool.
fn take_fee(work: &mut Work, sender: Sender, fee: Amount, tx: TxId) -> Result<(), Breach> {
    let from = Compartment::Balance(sender.account());
    let half = fee.share(1, 2);
    if half == Amount::ZERO {
        return Ok(());
    }
    let dust = fee.saturating_sub(half).saturating_sub(half);
    let builder = work
        .state
        .validators
        .get(&work.block.builder)
        .map(|row| row.operator);
    let to = builder.map_or(Compartment::FeePool, Compartment::Balance);
    work.move_units(from, Compartment::Burned, half, Reason::Fee)?;
    work.move_units(from, to, half, Reason::Fee)?;
    work.move_units(from, Compartment::FeePool, dust, Reason::Fee)?;
    work.emit(Event::Burned {
        amount: half,
        job: None,
        tx: Some(tx),
    });
    Ok(())
}

fn effect(work: &mut Work, sender: Sender, tx: &Tx, id: TxId) -> Result<(), TxError> {
    let account = sender.account();
    let validator = match sender {
        Sender::Session { validator, .. } => Ok(validator),
        Sender::Wallet(_) => Err(TxError::WrongKey {
            kind: tx.body.kind().name(),
        }),
    };
    match &tx.body {
        TxBody::Transfer(body) => account::transfer(work, account, body, id),
        TxBody::RegisterValidator(body) => staking::register(work, account, tx.nonce, body),
        TxBody::Bond(body) => staking::bond(work, account, body),
        TxBody::Unbond(body) => staking::unbond(work, account, body),
        TxBody::Unjail(body) => staking::unjail(work, account, body),
        TxBody::SubmitJob(body) => jobs::submit(work, account, tx.nonce, body, id),
        TxBody::CancelJob(body) => jobs::cancel(work, account, body),
        TxBody::CommitResult(body) => execution::commit(work, validator?, body, id),
        TxBody::RevealResult(body) => execution::reveal(work, validator?, body, id),
        TxBody::Decline(body) => execution::decline(work, validator?, body),
        TxBody::InputUnavailable(body) => execution::unavailable(work, validator?, body),
        TxBody::SubmitEvidence(body) => evidence::submit(work, sender, body),
    }
}
