//! The deterministic simulator: agreement, money and workflows under every fault that has a name.
//!
//! ```text
//!   seed ─ plan ─ world ─┬─ node: machine + app + disk (bytes, read back by storage's recovery)
//!                        ├─ links: delay, loss, doubling, partitions      byzantine/…
//!                        └─ oracle: after every event
//! ```
//! One thread, a virtual clock, one seed: the same seed gives the same events, in every build and on
//! every machine. Layer 1 runs agreement under a small app ([`stub`]); layer 2 runs a whole ledger.
//!
//! Reading order: [`rng`], [`time`], [`plan`], [`app`], [`disk`], `node`, `world`, `oracle`,
//! `byzantine`, [`run`]; apart from them [`economics`].
//!
//! Invariants: nothing here reads a clock, an address, a hash map's order or the width of `usize`; what
//! a run did can be done again from one number.
//!
//! It is not: a model of agreement (the machine is the production one), nor of real disks and networks
//! beyond the faults it names.

pub mod app;
mod byzantine;
pub mod disk;
pub mod economics;
pub mod keys;
pub mod ledger;
mod node;
mod oracle;
pub mod plan;
pub mod rng;
pub mod run;
mod show;
pub mod stub;
pub mod time;
pub mod trace;
mod world;

pub use world::{BOUND, Counts};
