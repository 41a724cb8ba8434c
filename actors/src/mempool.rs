//! The mempool: the one gate into a block, for users and for our own actors alike.

pub mod actor;
pub mod pool;

use protocol::digest::TxId;

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
