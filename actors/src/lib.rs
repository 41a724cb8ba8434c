//! The shells of Palisade: actors that perform what the pure crates decide.
//!
//! ```text
//!            network's lanes          API
//!                  |                   |
//!   consensus <----+----> mempool <----+----- signed transactions of our own actors
//!       | committed events                                   ^
//!       +--> staking  escrow  jobs  execution  evidence -----+
//! ```
//! Signed messages go up to consensus; committed events come down to the actors; nobody edits
//! anybody else's state. Each domain actor is a folder: `actor.rs` (mailbox and order of work),
//! `workflow.rs` (a pure reducer that decides), `effects.rs` (the only place that acts), `tests.rs`.
//!
//! Which part runs where:
//!
//! | thread | what |
//! |---|---|
//! | arbiter 1 | consensus |
//! | arbiter 2 | mempool, network |
//! | arbiter 3 | staking, escrow, jobs, execution, evidence |
//! | `clock` | all timers |
//! | `slot-N` | one model run each |
//! | network's own | its loop, and one task per lane |
//! | storage's three | see that crate |
//!
//! Reading order: [`mailbox`], [`catalogue`], `agreement`, [`mempool`], then a domain ([`escrow`] is
//! the smallest), [`wiring`], [`handle`].
//!
//! Invariants: handlers are synchronous and never wait; every mailbox is bounded and every drop
//! counted; effects of a height happen only after its block is durable; an actor changes the world
//! by signed transactions alone; the first fault stops the node and nothing is handled after it.
//!
//! It is not: a place for rules. What a block may hold is `ledger`'s business, what is agreed on
//! `consensus`'s, and what a message looks like `protocol`'s.
#![forbid(unsafe_code)]

pub mod agreement;
pub mod audit;
pub mod blobs;
pub mod catalogue;
pub mod clock;
mod duties;
pub mod engine;
pub mod escrow;
pub mod evidence;
pub mod execution;
pub mod feed;
pub mod handle;
pub mod jobs;
pub mod mailbox;
pub mod mempool;
pub mod network;
pub mod observer;
pub mod planted;
pub mod seat;
pub mod snapshot;
pub mod staking;
pub mod supervisor;
pub mod tamper;
pub mod verified;
mod wire;
pub mod wiring;
