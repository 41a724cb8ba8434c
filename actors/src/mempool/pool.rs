//! The pool of transactions that wait for a block: what is held, what gives way, what goes first.
//!
//! ```text
//! wallet   signer -> nonce -> tx     nonces in order, the better paid signer first
//! seat     (job, attempt, seat, kind) -> tx      free, before anything paid
//! evidence evidence, by arrival                  free, before everything
//! ```
//! Pure: it knows no clock and no ledger; what an account can spend is told to it.
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

mod room;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use protocol::digest::{Address, ChainId, Digest, TxId};
use protocol::job::SeatRef;
use protocol::keys::PublicKey;
use protocol::limits::{BLOCK_EVIDENCE_BYTES_MAX, NONCE_AHEAD_MAX};
use protocol::signed::Verified;
use protocol::tx::{KeyKind, Tx, TxBody, TxKind};
use protocol::units::{Amount, Height};

use crate::mempool::cart::{Candidate, Cart};
pub use crate::mempool::refusal::PoolRefusal;
use crate::mempool::refusal::check_validity;
use room::Paid;

/// Transactions of one signer.
pub const SIGNER_TXS_MAX: usize = 64;
/// Transactions in all.
pub const POOL_TXS_MAX: usize = 20_000;
/// Bytes in all.
pub const POOL_BYTES_MAX: usize = 32 << 20;
/// An equal nonce replaces if it pays so many per cent more.
const REPLACE_PERCENT: u64 = 10;
const _: () = assert!(POOL_TXS_MAX > SIGNER_TXS_MAX);

/// What an account can do, by the newest snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Its next nonce.
    pub nonce: u64,
    /// What it holds.
    pub balance: Amount,
}

#[derive(Clone, Debug)]
struct Entry {
    tx: Arc<Verified<Tx>>,
    bytes: usize,
    fee: Amount,
    spend: Amount,
    valid_until: Height,
    arrival: u64,
    place: Place,
}

/// Which queue an entry stands in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    Wallet {
        account: Address,
        nonce: u64,
    },
    Seat {
        seat: SeatRef,
        kind: TxKind,
        signer: PublicKey,
    },
    /// By what the two messages are: one offence may be reported once at a time.
    Evidence {
        pair: Digest,
        signer: PublicKey,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Pool {
    chain: ChainId,
    entries: BTreeMap<TxId, Entry>,
    /// Of what is free.
    places: BTreeSet<Place>,
    wallets: BTreeMap<Address, Wallet>,
    sessions: BTreeMap<PublicKey, usize>,
    paid: Paid,
    bytes: usize,
    arrivals: u64,
}

#[derive(Clone, Debug, Default)]
struct Wallet {
    next: u64,
    waiting: BTreeMap<u64, TxId>,
    spend: Amount,
}

impl Pool {
    /// Empty.
    #[must_use]
    pub fn new(chain: ChainId) -> Self {
        Self {
            chain,
            entries: BTreeMap::new(),
            places: BTreeSet::new(),
            wallets: BTreeMap::new(),
            sessions: BTreeMap::new(),
            paid: Paid::default(),
            bytes: 0,
            arrivals: 0,
        }
    }

    /// Whether it waits here.
    #[must_use]
    pub fn contains(&self, id: &TxId) -> bool {
        self.entries.contains_key(id)
    }

    /// A waiting transaction.
    #[must_use]
    pub fn get(&self, id: &TxId) -> Option<Arc<Verified<Tx>>> {
        self.entries.get(id).map(|entry| entry.tx.clone())
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The nonce that a client should use next, counting what waits.
    #[must_use]
    pub fn next_nonce(&self, account: &Address, view: AccountView) -> u64 {
        let Some(wallet) = self.wallets.get(account) else {
            return view.nonce;
        };
        let mut next = view.nonce;
        while wallet.waiting.contains_key(&next) {
            next = next.saturating_add(1);
        }
        next
    }

    /// Takes a transaction that the ledger would take by itself. `next` is the next height.
    ///
    /// # Errors
    /// [`PoolRefusal`], after which nothing has changed.
    pub fn insert(
        &mut self,
        tx: Arc<Verified<Tx>>,
        view: AccountView,
        next: Height,
    ) -> Result<TxId, PoolRefusal> {
        let id = tx.tx_id(&self.chain);
        check_validity(tx.message(), next)?;
        let entry = self.entry(tx);
        let replaced = match entry.place {
            Place::Wallet { account, nonce } => self.check_wallet(&account, nonce, &entry, view)?,
            Place::Seat { signer, .. } | Place::Evidence { signer, .. } => {
                if self.places.contains(&entry.place) {
                    return Err(PoolRefusal::SeatTaken);
                }
                self.check_session(&signer)?;
                None
            }
        };
        let gone = match (replaced, entry.place) {
            (Some(replaced), _) => [replaced].into(),
            (None, Place::Wallet { .. }) => self.victims(&entry, view.nonce)?,
            (None, _) => self.check_room(entry.bytes).map(|()| BTreeSet::new())?,
        };
        gone.iter().for_each(|id| self.remove(id));
        if let Place::Wallet { account, .. } = entry.place {
            self.wallets.entry(account).or_default().next = view.nonce;
        }
        self.link(id, entry);
        self.trim_gaps();
        Ok(id)
    }

    /// Forgets a transaction.
    pub fn remove(&mut self, id: &TxId) {
        let Some(entry) = self.entries.remove(id) else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        match entry.place {
            Place::Wallet { account, nonce } => {
                self.paid.remove(&entry);
                if let Some(wallet) = self.wallets.get_mut(&account) {
                    wallet.waiting.remove(&nonce);
                    wallet.spend = wallet.spend.saturating_sub(entry.spend);
                    if wallet.waiting.is_empty() {
                        self.wallets.remove(&account);
                    } else if nonce >= wallet.next {
                        self.settle_gaps(&account);
                    }
                }
            }
            Place::Seat { signer, .. } | Place::Evidence { signer, .. } => {
                self.places.remove(&entry.place);
                if let Some(count) = self.sessions.get_mut(&signer) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.sessions.remove(&signer);
                    }
                }
            }
        }
    }

    /// Brings the pool up to a new height: what expired or was overtaken goes.
    pub fn advance(&mut self, next: Height, view: impl Fn(&Address) -> AccountView) {
        let mut gone: BTreeSet<TxId> = BTreeSet::new();
        for (id, entry) in &self.entries {
            if entry.valid_until < next {
                gone.insert(*id);
            }
        }
        let mut moved: Vec<Address> = Vec::new();
        for (account, wallet) in &mut self.wallets {
            let before = std::mem::replace(&mut wallet.next, view(account).nonce);
            if wallet.next != before {
                moved.push(*account);
                gone.extend(wallet.waiting.range(..wallet.next).map(|(_, id)| *id));
            }
        }
        for id in gone {
            self.remove(&id);
        }
        for account in moved {
            self.settle_gaps(&account);
        }
    }

    /// What a block should hold: evidence, then seat messages, then by fee per byte and arrival with
    /// nonces in order.
    #[must_use]
    pub fn select(&self, bytes_max: usize) -> Vec<Arc<Verified<Tx>>> {
        let mut cart = Cart {
            taken: Vec::new(),
            left: bytes_max,
        };
        let mut evidence_left = BLOCK_EVIDENCE_BYTES_MAX;
        let mut free: Vec<&Entry> = self.entries.values().collect();
        free.retain(|entry| !matches!(entry.place, Place::Wallet { .. }));
        free.sort_by_key(|entry| (matches!(entry.place, Place::Seat { .. }), entry.arrival));
        for entry in free {
            if matches!(entry.place, Place::Evidence { .. }) {
                let Some(left) = evidence_left.checked_sub(entry.bytes) else {
                    continue;
                };
                evidence_left = left;
            }
            cart.take(&entry.tx, entry.bytes);
        }
        self.select_wallets(&mut cart);
        cart.taken
    }

    fn select_wallets(&self, cart: &mut Cart) {
        let head = |wallet: &Wallet, nonce: u64| {
            let entry = self.entries.get(wallet.waiting.get(&nonce)?)?;
            Some(Candidate {
                fee: entry.fee,
                bytes: entry.bytes,
                arrival: entry.arrival,
            })
        };
        let mut heads: BinaryHeap<(Candidate, u64, Address)> = self
            .wallets
            .iter()
            .filter_map(|(account, wallet)| {
                Some((head(wallet, wallet.next)?, wallet.next, *account))
            })
            .collect();
        while let Some((_, nonce, account)) = heads.pop() {
            let Some(wallet) = self.wallets.get(&account) else {
                continue;
            };
            let entry = wallet
                .waiting
                .get(&nonce)
                .and_then(|id| self.entries.get(id));
            if !entry.is_some_and(|entry| cart.take(&entry.tx, entry.bytes)) {
                continue;
            }
            let following = nonce.saturating_add(1);
            if let Some(candidate) = head(wallet, following) {
                heads.push((candidate, following, account));
            }
        }
    }

    fn entry(&self, tx: Arc<Verified<Tx>>) -> Entry {
        let message = tx.message();
        let place = match (message.key_kind, message.body.seat(), &message.body) {
            (KeyKind::Session, Some(seat), body) => Place::Seat {
                seat,
                kind: body.kind(),
                signer: message.signer,
            },
            (KeyKind::Session, None, TxBody::SubmitEvidence(evidence)) => {
                let pair = [evidence.a.as_slice(), evidence.b.as_slice()].concat();
                Place::Evidence {
                    pair: protocol::digest::sha256(&pair),
                    signer: message.signer,
                }
            }
            _ => Place::Wallet {
                account: message.signer.address(),
                nonce: message.nonce,
            },
        };
        Entry {
            bytes: tx.byte_len(),
            fee: message.fee,
            spend: spend_of(message),
            valid_until: message.valid_until,
            arrival: self.arrivals,
            place,
            tx,
        }
    }

    fn check_wallet(
        &self,
        account: &Address,
        nonce: u64,
        entry: &Entry,
        view: AccountView,
    ) -> Result<Option<TxId>, PoolRefusal> {
        let expected = view.nonce;
        if nonce < expected {
            return Err(PoolRefusal::NonceStale {
                expected,
                found: nonce,
            });
        }
        if nonce > expected.saturating_add(NONCE_AHEAD_MAX) {
            return Err(PoolRefusal::NonceAhead {
                expected,
                found: nonce,
            });
        }
        let wallet = self.wallets.get(account);
        let replaced = wallet
            .and_then(|wallet| wallet.waiting.get(&nonce))
            .copied();
        let before = replaced.and_then(|id| self.entries.get(&id));
        if let Some(before) = before {
            let needed = before
                .fee
                .saturating_add(before.fee.share(REPLACE_PERCENT, 100));
            if entry.fee < needed || entry.fee == before.fee {
                return Err(PoolRefusal::ReplaceFee {
                    needed,
                    offered: entry.fee,
                });
            }
        } else if wallet.is_some_and(|wallet| wallet.waiting.len() >= SIGNER_TXS_MAX) {
            return Err(PoolRefusal::SignerFull);
        }
        let waiting = wallet.map_or(Amount::ZERO, |wallet| wallet.spend);
        let waiting = waiting.saturating_sub(before.map_or(Amount::ZERO, |before| before.spend));
        let spent = waiting.saturating_add(entry.spend);
        if spent > view.balance {
            return Err(PoolRefusal::Overspent {
                spent,
                balance: view.balance,
            });
        }
        Ok(replaced)
    }

    fn check_session(&self, signer: &PublicKey) -> Result<(), PoolRefusal> {
        match self.sessions.get(signer) {
            Some(count) if *count >= SIGNER_TXS_MAX => Err(PoolRefusal::SignerFull),
            _ => Ok(()),
        }
    }

    fn link(&mut self, id: TxId, entry: Entry) {
        self.arrivals = self.arrivals.saturating_add(1);
        self.bytes = self.bytes.saturating_add(entry.bytes);
        match entry.place {
            Place::Wallet { account, nonce } => {
                self.paid.insert(id, &entry);
                let wallet = self.wallets.entry(account).or_default();
                wallet.waiting.insert(nonce, id);
                wallet.spend = wallet.spend.saturating_add(entry.spend);
                self.entries.insert(id, entry);
                self.settle_gaps(&account);
            }
            Place::Seat { signer, .. } | Place::Evidence { signer, .. } => {
                self.places.insert(entry.place);
                let count = self.sessions.entry(signer).or_default();
                *count = count.saturating_add(1);
                self.entries.insert(id, entry);
            }
        }
    }
}

/// What the signer's balance loses if it is applied.
fn spend_of(tx: &Tx) -> Amount {
    let moved = match &tx.body {
        TxBody::Transfer(transfer) => transfer.amount,
        TxBody::RegisterValidator(register) => register.self_bond,
        TxBody::Bond(bond) => bond.amount,
        TxBody::SubmitJob(submit) if submit.sponsor.is_none() => submit.spec.max_price,
        _ => Amount::ZERO,
    };
    moved.saturating_add(tx.fee)
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
