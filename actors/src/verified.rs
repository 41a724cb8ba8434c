//! Transactions whose signature this process has checked already, by the hash of their bytes.
//!
//! A transaction is verified when it enters the pool; when it comes back in a proposed block, its
//! bytes are looked up here instead of being verified again. Successes only, a bounded number of
//! them, first in first out.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::digest::{ChainId, Digest, sha256};
use protocol::signed::{Signed, Verified};
use protocol::tx::Tx;

/// A little more than the pool holds.
const ENTRIES_MAX: usize = 24_000;

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<Digest, Arc<Verified<Tx>>>,
    order: VecDeque<Digest>,
}

/// See the module; clones share one memory.
#[derive(Clone, Debug, Default)]
pub struct VerifiedTxs {
    inner: Arc<Mutex<Inner>>,
}

impl VerifiedTxs {
    /// Remembers a transaction by its bytes.
    pub fn insert(&self, bytes: &[u8], tx: Arc<Verified<Tx>>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let key = sha256(bytes);
        if inner.known.insert(key, tx).is_none() {
            inner.order.push_back(key);
        }
        while inner.order.len() > ENTRIES_MAX {
            if let Some(oldest) = inner.order.pop_front() {
                inner.known.remove(&oldest);
            }
        }
    }

    /// The transaction of these bytes, verified now or before.
    pub fn verify(&self, bytes: &[u8], chain: &ChainId) -> Option<Verified<Tx>> {
        let known = {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.known.get(&sha256(bytes)).cloned()
        };
        match known {
            Some(tx) => Some(Verified::clone(&tx)),
            None => Signed::<Tx>::from_bytes(bytes).ok()?.verify(chain).ok(),
        }
    }
}
