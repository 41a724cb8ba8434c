//! Why the pool does not take a transaction.

use protocol::limits::{NONCE_AHEAD_MAX, VALID_UNTIL_BLOCKS_MAX};
use protocol::tx::Tx;
use protocol::units::{Amount, Height};
use thiserror::Error;

use crate::mempool::pool::SIGNER_TXS_MAX;

/// Why the pool does not take a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolRefusal {
    /// No room for anything more.
    #[error("the mempool is full")]
    Full,
    /// This signer has its share.
    #[error("the signer has {SIGNER_TXS_MAX} transactions waiting")]
    SignerFull,
    /// Used already.
    #[error("nonce {found} is used, the next is {expected}")]
    NonceStale {
        /// What the account's next one is.
        expected: u64,
        /// What the transaction says.
        found: u64,
    },
    /// Too far from the next one.
    #[error("nonce {found} is more than {NONCE_AHEAD_MAX} ahead of {expected}")]
    NonceAhead {
        /// What the account's next one is.
        expected: u64,
        /// What the transaction says.
        found: u64,
    },
    /// Another transaction has this nonce, and this one does not pay enough to replace it.
    #[error("a replacement needs a fee of {needed}, offers {offered}")]
    ReplaceFee {
        /// What it must pay.
        needed: Amount,
        /// What it pays.
        offered: Amount,
    },
    /// The seat has said this already.
    #[error("the seat has said this already")]
    SeatTaken,
    /// With what waits already it spends more than the account holds.
    #[error("waiting transactions spend {spent}, the account holds {balance}")]
    Overspent {
        /// Together with what waits.
        spent: Amount,
        /// What there is.
        balance: Amount,
    },
    /// Its last height has passed.
    #[error("valid until {until}, the next height is {next}")]
    Expired {
        /// What it says.
        until: Height,
        /// Where it could go at the earliest.
        next: Height,
    },
    /// Its last height is too far away.
    #[error("valid until {until}, at most {VALID_UNTIL_BLOCKS_MAX} blocks ahead")]
    ValidTooLong {
        /// What it says.
        until: Height,
    },
}

impl PoolRefusal {
    /// The stable machine code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full => "mempool.full",
            Self::SignerFull => "mempool.signer_full",
            Self::NonceStale { .. } => "tx.stale_nonce",
            Self::NonceAhead { .. } => "tx.nonce_ahead",
            Self::ReplaceFee { .. } => "mempool.replace_fee",
            Self::SeatTaken => "mempool.seat_taken",
            Self::Overspent { .. } => "tx.insufficient_balance",
            Self::Expired { .. } => "tx.expired",
            Self::ValidTooLong { .. } => "tx.valid_too_long",
        }
    }
}

/// A transaction waits no longer than it says, and says no more than it may. `next` is the next height.
pub(super) fn check_validity(tx: &Tx, next: Height) -> Result<(), PoolRefusal> {
    if tx.valid_until < next {
        return Err(PoolRefusal::Expired {
            until: tx.valid_until,
            next,
        });
    }
    if tx.valid_until > next.plus(VALID_UNTIL_BLOCKS_MAX) {
        return Err(PoolRefusal::ValidTooLong {
            until: tx.valid_until,
        });
    }
    Ok(())
}
