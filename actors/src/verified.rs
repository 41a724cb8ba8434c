//! Transactions whose signature this process has checked already.
//!
//! A transaction is verified when it enters the pool; when it comes back in a proposed block, its
//! bytes are looked up here instead of being verified again. Successes only, until they are included;
//! a bounded number of them, first in first out.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::digest::{ChainId, TxId};
use protocol::keys::Signature;
use protocol::signed::{Signed, Verified};
use protocol::tx::{Tx, digest_of_bytes};

/// A little more than the pool holds.
const ENTRIES_MAX: usize = 24_000;

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<TxId, Arc<Verified<Tx>>>,
    /// Those that were included are still in here.
    order: VecDeque<TxId>,
}

/// See the module; clones share one memory.
#[derive(Clone, Debug, Default)]
pub struct VerifiedTxs {
    inner: Arc<Mutex<Inner>>,
}

impl VerifiedTxs {
    /// Remembers a transaction.
    pub fn insert(&self, id: TxId, tx: Arc<Verified<Tx>>) {
        let mut inner = self.lock();
        if inner.known.insert(id, tx).is_none() {
            inner.order.push_back(id);
        }
        while inner.order.len() > ENTRIES_MAX {
            if let Some(oldest) = inner.order.pop_front() {
                inner.known.remove(&oldest);
            }
        }
    }

    /// Forgets what is in a block: it will be in no other.
    pub fn remove(&self, ids: &[TxId]) {
        let mut inner = self.lock();
        for id in ids {
            inner.known.remove(id);
        }
    }

    /// The transaction of these bytes, verified now or before. The id covers all but the signature.
    pub fn verify(&self, bytes: &[u8], chain: &ChainId) -> Option<Verified<Tx>> {
        let (tx, signature) = bytes.split_last_chunk::<{ Signature::LEN }>()?;
        let id = TxId(digest_of_bytes(tx, chain));
        let known = self.lock().known.get(&id).cloned();
        match known.filter(|known| known.signature.0 == *signature) {
            Some(known) => Some(Verified::clone(&known)),
            None => Signed::<Tx>::from_bytes(bytes).ok()?.verify(chain).ok(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
