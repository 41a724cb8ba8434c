//! Agreement: makes all honest validators commit the same sequence of block ids, never signs two
//! different things for one slot, and hands out every provable contradiction.
//!
//! ```text
//!   network, clock, storage, ledger                                (the driver: an actor, a simulator)
//!        | Input                                    ^ Effect
//!        v                                          |
//!   +-----------------------------------------------------------+
//!   | Machine::step                                             |
//!   |   pool, bodies, sync, pacing  ->  Malachite's core        |
//!   |   timers, guard, log          <-  (coroutine of effects)  |
//!   +-----------------------------------------------------------+
//! ```
//! Reading order: [`input`], [`effect`], [`machine`], then [`admission`] (which runs on the network's
//! side), then the private parts: `context` (our types in the core's clothes), `host` and `host_core`
//! (what each effect of the core becomes), `handle/` (one file per kind of input), `log`
//! (durability), `guard` (signing), `bodies`, `pool`, `sync`.
//!
//! Invariants:
//! * an output that carries our signature, and a commit, leaves only after the log batch that it
//!   names is durable;
//! * one (height, round, step) is signed for one value, across restarts;
//! * every collection has a bound;
//! * the same inputs give the same effects: no clock, no randomness, no hash order.
//!
//! It is not: a judge of blocks (a block is an id and a verdict here), a network, or a store.
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

pub mod admission;
pub mod effect;
pub mod guard;
pub mod input;
pub mod machine;
pub mod planted;
pub mod proposer;
pub mod signer;
pub mod sizes;
pub mod timers;
pub mod wal;

mod blocks;
mod bodies;
mod cache;
mod context;
mod core_record;
mod handle;
mod host;
mod host_core;
mod limits;
mod log;
mod pool;
mod replay;
mod schedule;
mod sync;
mod verifier;
mod vigil;

pub use admission::Window;
pub use effect::{Delivery, Effect, Halt, Outgoing, WalSeq};
pub use guard::{SignMark, SignPoint, Step};
pub use input::{Boot, Input, Judgement, Peer, Received};
pub use machine::Machine;
pub use signer::Signer;
pub use timers::{TimerId, TimerKind, Timing};
pub use wal::Record;
