//! Who a signer is, and what that role may ask for.

use protocol::digest::{Address, ValidatorId};
use protocol::tx::{KeyKind, Tx, TxKind};

use crate::error::TxError;
use crate::state::State;

/// A signer, resolved against the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// The holder of an account: client, operator or anyone.
    Wallet(Address),
    /// A validator, speaking with its session key.
    Session {
        /// Which.
        validator: ValidatorId,
        /// Where its rewards go.
        operator: Address,
    },
}

impl Sender {
    /// The account that is paid and, for wallets, pays.
    #[must_use]
    pub const fn account(&self) -> Address {
        match self {
            Self::Wallet(address) => *address,
            Self::Session { operator, .. } => *operator,
        }
    }
}

/// Whether a kind of key may sign a kind of transaction.
#[must_use]
pub const fn may_sign(key: KeyKind, kind: TxKind) -> bool {
    match (key, kind) {
        (_, TxKind::SubmitEvidence) => true,
        (KeyKind::Session, kind) => kind.is_seat_message(),
        (KeyKind::Wallet, kind) => !kind.is_seat_message(),
    }
}

/// Who signed this.
///
/// # Errors
/// [`TxError::WrongKey`] for a kind this key does not sign, [`TxError::UnknownSession`] for a session
/// key that is nobody's.
pub fn resolve(state: &State, tx: &Tx) -> Result<Sender, TxError> {
    let kind = tx.body.kind();
    if !may_sign(tx.key_kind, kind) {
        return Err(TxError::WrongKey { kind: kind.name() });
    }
    match tx.key_kind {
        KeyKind::Wallet => Ok(Sender::Wallet(tx.signer.address())),
        KeyKind::Session => {
            let validator = state
                .session_holder(&tx.signer)
                .ok_or(TxError::UnknownSession)?;
            let row = state
                .validators
                .get(&validator)
                .ok_or(TxError::UnknownSession)?;
            Ok(Sender::Session {
                validator,
                operator: row.operator,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_total_and_denies_by_default() {
        for kind in TxKind::ALL {
            let wallet = may_sign(KeyKind::Wallet, kind);
            let session = may_sign(KeyKind::Session, kind);
            match kind {
                TxKind::SubmitEvidence => assert!(wallet && session),
                kind if kind.is_seat_message() => assert!(session && !wallet, "{kind:?}"),
                kind => assert!(wallet && !session, "{kind:?}"),
            }
        }
    }
}
