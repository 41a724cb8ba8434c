//! A block in the making: what still fits, and who goes first.

use std::cmp::Ordering;
use std::sync::Arc;

use protocol::signed::Verified;
use protocol::tx::Tx;
use protocol::units::Amount;

/// What a body's encoding adds to each transaction: the length in front of it.
const LENGTH_PREFIX_BYTES: usize = 8;

/// A block in the making.
pub(super) struct Cart {
    pub(super) taken: Vec<Arc<Verified<Tx>>>,
    pub(super) left: usize,
}

impl Cart {
    pub(super) fn take(&mut self, tx: &Arc<Verified<Tx>>, bytes: usize) -> bool {
        let bytes = bytes.saturating_add(LENGTH_PREFIX_BYTES);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                self.taken.push(tx.clone());
                true
            }
            None => false,
        }
    }
}

/// What competes for a place: more fee per byte first, then who came first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) fee: Amount,
    pub(super) bytes: usize,
    pub(super) arrival: u64,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        // Fee per byte compared without division: f/b < g/c is f·c < g·b.
        let weigh = |fee: Amount, bytes: usize| {
            u128::from(fee.0).saturating_mul(u128::try_from(bytes).unwrap_or(u128::MAX))
        };
        weigh(self.fee, other.bytes)
            .cmp(&weigh(other.fee, self.bytes))
            .then_with(|| other.arrival.cmp(&self.arrival))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
