//! Signatures that were good once need no second look.

use std::collections::{BTreeSet, VecDeque};

use protocol::digest::Digest;
use protocol::keys::{PublicKey, Signature};

use crate::limits::CACHED_SIGNATURES;

type Key = (Digest, PublicKey, Signature);

/// Remembers successes only, oldest out first: a failure must stay cheap to forget.
#[derive(Debug, Default)]
pub(crate) struct SignatureCache {
    known: BTreeSet<Key>,
    order: VecDeque<Key>,
}

impl SignatureCache {
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.known.contains(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn insert(&mut self, key: Key) {
        if !self.known.insert(key) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > CACHED_SIGNATURES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::sha256;
    use protocol::keys::SecretKey;

    use super::*;

    #[test]
    fn forgets_the_oldest() {
        let secret = SecretKey::from_bytes(&[1; 32]).unwrap();
        let key = |n: usize| {
            (
                sha256(&n.to_be_bytes()),
                secret.public(),
                Signature([0; 64]),
            )
        };
        let mut cache = SignatureCache::default();
        (0..=CACHED_SIGNATURES).for_each(|n| cache.insert(key(n)));
        assert!(!cache.contains(&key(0)));
        assert!(cache.contains(&key(1)) && cache.contains(&key(CACHED_SIGNATURES)));
    }
}
