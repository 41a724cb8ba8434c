//! The mempool: the one gate into a block, for users and for our own actors alike.

pub mod actor;
mod cart;
mod early;
pub mod gate;
pub mod pool;
mod refusal;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::digest::TxId;

/// Submissions of jobs that are remembered.
const TAKEN_MAX: usize = 4_096;

/// What became of a transaction that was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It waits for a block.
    Admitted(TxId),
    /// It waited already.
    Known(TxId),
    /// It does not apply, or there is no room.
    Refused {
        /// The stable machine code.
        code: &'static str,
        /// For people: the values that disagree.
        detail: String,
    },
}

/// The job submissions that came in through this node's API: their clients will ask here for the
/// output. Ephemeral; a client may ask any other node too.
#[derive(Clone, Debug, Default)]
pub(crate) struct TakenJobs {
    ids: Arc<Mutex<VecDeque<TxId>>>,
}

impl TakenJobs {
    pub(crate) fn insert(&self, id: TxId) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.push_back(id);
        while ids.len() > TAKEN_MAX {
            ids.pop_front();
        }
    }

    pub(crate) fn contains(&self, id: &TxId) -> bool {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }
}
