//! Who gives way when the pool is full.
//!
//! What pays has a share of the pool, so that what is free, which is said from seats or proves an
//! offence, always finds room. Within that share whoever cannot be included goes first: a nonce whose
//! predecessor is not here promises a fee that nobody can take, so such promises could fill the pool for
//! nothing. Then goes who pays least, if the newcomer pays more.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use protocol::digest::{Address, TxId};
use protocol::units::Amount;

use super::{Entry, POOL_BYTES_MAX, POOL_TXS_MAX, Place, Pool, PoolRefusal, REPLACE_PERCENT};

/// How much of the pool what pays may fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) txs: usize,
    pub(super) bytes: usize,
    /// Transactions that wait for another nonce.
    pub(super) gapped: usize,
}

const SHARE: Share = Share {
    txs: POOL_TXS_MAX / 5 * 4,
    bytes: POOL_BYTES_MAX / 4 * 3,
    gapped: 2_048,
};

/// Fee per byte, in 2^-20 upal so that close offers differ; of equal offers the later is worth less.
pub(super) type Rank = (u128, Reverse<u64>);

/// The transactions that pay.
#[derive(Clone, Debug)]
pub(super) struct Paid {
    pub(super) share: Share,
    ranks: BTreeMap<Rank, TxId>,
    /// By arrival: those that cannot be included before one that is not here.
    pub(super) gapped: BTreeMap<u64, TxId>,
    bytes: usize,
}

impl Default for Paid {
    fn default() -> Self {
        Self {
            share: SHARE,
            ranks: BTreeMap::new(),
            gapped: BTreeMap::new(),
            bytes: 0,
        }
    }
}

impl Entry {
    fn rank(&self) -> Rank {
        let bytes = u128::try_from(self.bytes).unwrap_or(u128::MAX).max(1);
        let fee = u128::from(self.fee.0).saturating_mul(1 << 20);
        (fee.checked_div(bytes).unwrap_or(0), Reverse(self.arrival))
    }
}

/// Fees per byte are compared by their cross products, so that nothing is rounded.
fn weigh(fee: Amount, other_bytes: usize, percent: u64) -> u128 {
    let bytes = u128::try_from(other_bytes).unwrap_or(u128::MAX);
    let fee = u128::from(fee.0).saturating_mul(u128::from(percent));
    fee.saturating_mul(bytes)
}

impl Paid {
    pub(super) fn insert(&mut self, id: TxId, entry: &Entry) {
        self.ranks.insert(entry.rank(), id);
        self.bytes = self.bytes.saturating_add(entry.bytes);
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        self.ranks.remove(&entry.rank());
        self.gapped.remove(&entry.arrival);
        self.bytes = self.bytes.saturating_sub(entry.bytes);
    }

    fn fits(&self, bytes: usize, (gone, freed): (usize, usize)) -> bool {
        let txs = self.ranks.len().saturating_sub(gone);
        let all = self.bytes.saturating_add(bytes).saturating_sub(freed);
        txs < self.share.txs && all <= self.share.bytes
    }
}

impl Pool {
    /// What is free is bounded by the pool alone.
    pub(super) fn check_room(&self, bytes: usize) -> Result<(), PoolRefusal> {
        let full =
            self.entries.len() >= POOL_TXS_MAX || self.bytes.saturating_add(bytes) > POOL_BYTES_MAX;
        if full { Err(PoolRefusal::Full) } else { Ok(()) }
    }

    /// Who goes so that this one finds room; `next` is its account's next nonce.
    ///
    /// # Errors
    /// [`PoolRefusal::Full`] if nobody is worth less.
    pub(super) fn victims(&self, entry: &Entry, next: u64) -> Result<BTreeSet<TxId>, PoolRefusal> {
        let Place::Wallet { account, nonce } = entry.place else {
            return Ok(BTreeSet::new());
        };
        let mut gone = BTreeSet::new();
        let (mut freed, mut count) = (0_usize, 0_usize);
        let stuck = self.paid.gapped.values();
        // Who cannot be included itself offers nothing.
        let offer = if self.has_gap(&account, next..nonce) {
            Amount::ZERO
        } else {
            entry.fee
        };
        let worse = |id: &TxId| {
            self.entries.get(id).is_some_and(|victim| {
                let needed = weigh(victim.fee, entry.bytes, REPLACE_PERCENT.saturating_add(100));
                needed <= weigh(offer, victim.bytes, 100)
            })
        };
        let cheap = self.paid.ranks.values().take_while(|id| worse(id));
        for id in stuck.chain(cheap) {
            if self.paid.fits(entry.bytes, (count, freed)) {
                break;
            }
            let Some(victim) = self.entries.get(id) else {
                continue;
            };
            let is_own = matches!(victim.place, Place::Wallet { account: of, .. } if of == account);
            if !is_own && gone.insert(*id) {
                count = count.saturating_add(1);
                freed = freed.saturating_add(victim.bytes);
            }
        }
        if self.paid.fits(entry.bytes, (count, freed)) {
            Ok(gone)
        } else {
            Err(PoolRefusal::Full)
        }
    }

    fn has_gap(&self, account: &Address, mut nonces: Range<u64>) -> bool {
        let waiting = self.wallets.get(account).map(|wallet| &wallet.waiting);
        nonces.any(|nonce| waiting.is_none_or(|waiting| !waiting.contains_key(&nonce)))
    }

    /// Says anew which of an account's transactions wait for one that is not here.
    pub(super) fn settle_gaps(&mut self, account: &Address) {
        let Some(wallet) = self.wallets.get(account) else {
            return;
        };
        let mut reached = wallet.next;
        for (nonce, id) in &wallet.waiting {
            let Some(entry) = self.entries.get(id) else {
                continue;
            };
            if *nonce <= reached {
                self.paid.gapped.remove(&entry.arrival);
                reached = nonce.saturating_add(1);
            } else {
                self.paid.gapped.insert(entry.arrival, *id);
            }
        }
    }

    /// Only so many may wait for another nonce, the newest among them: out of order is what gossip brings
    /// for a moment, so the oldest go.
    pub(super) fn trim_gaps(&mut self) {
        while self.paid.gapped.len() > self.paid.share.gapped
            && let Some((_, id)) = self.paid.gapped.pop_first()
        {
            self.remove(&id);
        }
    }
}
