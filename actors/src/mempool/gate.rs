//! What the mempool decides: what is taken, what waits for the next block, what a block is offered.
//! Pure; [`super::actor`] performs what follows from it.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic,
        clippy::as_conversions
    )
)]

use std::sync::Arc;

use ledger::State;
use protocol::digest::{Address, ChainId, TxId};
use protocol::signed::Verified;
use protocol::tx::Tx;
use protocol::units::Height;

use crate::mempool::Admission;
use crate::mempool::early::Early;
use crate::mempool::pool::{AccountView, Pool};

/// Who offers a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client, through this node's API.
    Api,
    /// One of this node's own actors.
    Actor,
    /// A peer.
    Peer,
}

impl Source {
    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Actor => "actor",
            Self::Peer => "peer",
        }
    }
}

/// What became of one offer.
#[derive(Clone, Debug)]
pub struct Offered {
    /// The answer.
    pub admission: Admission,
    /// Who offered it.
    pub source: Source,
    /// The transaction, if it is new and waits now.
    pub taken: Option<Arc<Verified<Tx>>>,
}

/// See the module. Ephemeral.
#[derive(Debug)]
pub struct Gate {
    pool: Pool,
    early: Early<Source>,
    chain: ChainId,
}

impl Gate {
    /// Nothing waits.
    #[must_use]
    pub fn new(chain: ChainId) -> Self {
        Self {
            pool: Pool::new(chain),
            early: Early::new(),
            chain,
        }
    }

    /// What waits.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Offers a transaction on the newest state; what is too early is kept for the next block.
    pub fn offer(&mut self, state: &State, tx: Verified<Tx>, source: Source) -> Offered {
        self.offer_since(state.height(), state, tx, source)
    }

    /// A block was committed: what it held is gone, what was too early is offered again.
    pub fn included(&mut self, ids: &[TxId], state: &State) -> Vec<Offered> {
        // First what the new nonces say: then nobody seems to wait for what has just been included.
        self.pool
            .advance(state.height().next(), |address| view_of(state, address));
        self.forget(ids);
        let again = self.early.take(state.height());
        again
            .into_iter()
            .map(|(came, tx, source)| self.offer_since(came, state, tx, source))
            .collect()
    }

    /// Forgets what does not apply any more.
    pub fn forget(&mut self, ids: &[TxId]) {
        for id in ids {
            self.pool.remove(id);
        }
    }

    fn offer_since(
        &mut self,
        came: Height,
        state: &State,
        tx: Verified<Tx>,
        source: Source,
    ) -> Offered {
        let tx = Arc::new(tx);
        let admission = self.admit(state, &tx);
        let taken = match &admission {
            Admission::Admitted(_) => Some(tx),
            Admission::Known(_) => None,
            Admission::Refused { code, .. } => {
                if Early::<Source>::is_early(tx.message(), code) {
                    self.early.keep(came, Arc::unwrap_or_clone(tx), source);
                }
                None
            }
        };
        Offered {
            admission,
            source,
            taken,
        }
    }

    fn admit(&mut self, state: &State, tx: &Arc<Verified<Tx>>) -> Admission {
        let id = tx.tx_id(&self.chain);
        if self.pool.contains(&id) {
            return Admission::Known(id);
        }
        let allowed = match state.admit(tx) {
            Ok(allowed) => allowed,
            Err(error) => {
                return Admission::Refused {
                    code: error.code(),
                    detail: error.to_string(),
                };
            }
        };
        let view = AccountView {
            nonce: allowed.next_nonce,
            balance: allowed.balance,
        };
        match self.pool.insert(tx.clone(), view, state.height().next()) {
            Ok(id) => Admission::Admitted(id),
            Err(refusal) => Admission::Refused {
                code: refusal.code(),
                detail: refusal.to_string(),
            },
        }
    }
}

/// What an account can do, by this state.
#[must_use]
pub fn view_of(state: &State, address: &Address) -> AccountView {
    let account = state.account(address);
    AccountView {
        nonce: account.nonce,
        balance: account.balance,
    }
}
