//! The mempool's question: would this transaction apply to the next block?

use protocol::digest::{TxId, ValidatorId};
use protocol::events::Event;
use protocol::signed::Verified;
use protocol::tx::{Tx, TxBody};
use protocol::units::{Amount, TimeMs};

use crate::error::TxError;
use crate::execute::{NonceRule, execute};
use crate::roles::Sender;
use crate::state::State;
use crate::work::{BlockContext, Work};

/// In what order a pool keeps and a block takes transactions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// First of all.
    Evidence,
    /// Said from seats; free.
    Seat,
    /// By fee per byte.
    Paid,
}

impl Class {
    /// The class of a transaction.
    #[must_use]
    pub const fn of(body: &TxBody) -> Self {
        match body {
            TxBody::SubmitEvidence(_) => Self::Evidence,
            body if body.kind().is_seat_message() => Self::Seat,
            _ => Self::Paid,
        }
    }
}

/// What a pool needs to know of a transaction it takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admission {
    /// Its id.
    pub id: TxId,
    /// Who sent it.
    pub sender: Sender,
    /// Its class.
    pub class: Class,
    /// The nonce the sender's next transaction in a block must carry.
    pub next_nonce: u64,
    /// What the sender's account can spend.
    pub balance: Amount,
    /// What this one takes of it: fee, and what it moves or locks.
    pub spends: Amount,
}

impl State {
    /// The context of the next block, as far as it is known before one is built.
    #[must_use]
    pub fn next_context(&self, builder: ValidatorId, time_ms: TimeMs) -> BlockContext {
        let head = self.head();
        BlockContext {
            height: head.height.next(),
            time_ms,
            id: head.block,
            builder,
        }
    }

    /// Whether a pool may take this: every rule of a block, tried on the next height. A nonce may be
    /// up to 16 ahead; the rules then see the account as if the gap were filled.
    ///
    /// # Errors
    /// [`TxError`] with a stable code for the first rule that refuses.
    pub fn admit(&self, tx: &Verified<Tx>) -> Result<Admission, TxError> {
        self.try_next(tx).map(|(admission, _)| admission)
    }

    /// As [`Self::admit`], with the events it would cause.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub fn simulate(&self, tx: &Verified<Tx>) -> Result<Vec<Event>, TxError> {
        self.try_next(tx).map(|(_, events)| events)
    }

    fn try_next(&self, tx: &Verified<Tx>) -> Result<(Admission, Vec<Event>), TxError> {
        let context = self.next_context(ValidatorId::ZERO, self.head().time_ms);
        let mut work = Work::new(self.clone(), context);
        let outcome = execute(&mut work, tx, NonceRule::Ahead)?;
        if let Some(error) = outcome.refused {
            return Err(error);
        }
        let sender = crate::roles::resolve(self, tx.message())?;
        let account = self.account(&sender.account());
        let left = work.state.balance(&sender.account());
        let admission = Admission {
            id: outcome.id,
            sender,
            class: Class::of(&tx.message().body),
            next_nonce: account.nonce,
            balance: account.balance,
            spends: account.balance.saturating_sub(left),
        };
        Ok((admission, work.events))
    }
}
