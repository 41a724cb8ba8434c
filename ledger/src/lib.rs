//! The rules of Palisade, pure: `(State, Block) -> (State', Events)`, the same on every validator.
//!
//! ```text
//!                 admit / simulate (pool, API)        select (proposer)
//!                            \                         /
//!   header, transactions ->  execute: check, fee, effect   -> events, moves
//!                              account staking jobs execution evidence
//!                            end of block: queue, maturity, expiry, next set
//!                            seal: changed leaves -> root
//! ```
//!
//! Reading order: [`state`], [`block`], `execute`, then the domains [`account`], [`staking`],
//! [`escrow`], [`jobs`], [`execution`], [`evidence`]; [`money`] and [`invariants`] say why nothing is
//! lost, [`root`] and [`layout`] what is certified, [`receipt`] how a stranger checks it.
//!
//! Invariants: I1–I9 of protocol.md (see [`invariants`]); every live job stands in the queue; a state
//! is a function of genesis and the blocks alone; the root is a function of the leaves alone.
//!
//! It is not: a store (storage keeps the leaves it hands out), a verifier of consensus signatures, or
//! a holder of any clock, key or file.
#![forbid(unsafe_code)]
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

pub mod account;
pub mod admit;
pub mod block;
pub mod chain;
pub mod error;
pub mod escrow;
pub mod evidence;
mod execute;
pub mod execution;
pub mod invariants;
pub mod jobs;
pub mod layout;
pub mod money;
pub mod planted;
pub mod receipt;
pub mod roles;
pub mod root;
pub mod select;
pub mod staking;
pub mod state;
pub mod table;
mod work;

pub use admit::{Admission, Class};
pub use block::{Applied, verify_body};
pub use error::{BlockInvalid, TxError};
pub use execute::TxOutcome;
pub use money::Breach;
pub use roles::Sender;
pub use select::{Selection, select};
pub use state::{LoadError, State};
pub use table::LeafChange;
pub use work::BlockContext;
