//! Local nets of real processes, broken on purpose, and judged by what anybody can read.
//!
//! ```text
//!   cli ─ cmd/…            palisade testnet up|down|status|wait|assert|submit|run|byzantine|fault
//!   demo/…                 palisade demo: eight facts
//!        │
//!   claim                  who may make or remove a net
//!   net ─ view ─ expect    a net by name; what it is like; what must hold
//!        │
//!   supervisor             one process that holds the nodes' processes
//!   setup ─ manifest       what is written before anything starts
//!   byzantine/…, flooder   those who misbehave
//!   sim/…                  no processes at all: schedules by the hundred, from a seed each
//! ```
//! Reading order: [`manifest`], [`setup`], [`supervisor`], [`net`], [`expect`], [`demo`]; apart from
//! these, [`sim`].
//!
//! Invariants: a net ends whole, however it ends; nothing is judged by inside knowledge; every wait has
//! a condition and a limit.
//!
//! It is not: a way to run a network for others (every key is public).
#![forbid(unsafe_code)]

pub mod admin;
pub mod byzantine;
pub mod claim;
pub mod cli;
pub mod client;
pub mod clock;
mod cmd;
#[cfg(feature = "byzantine")]
pub mod demo;
pub mod error;
pub mod expect;
pub mod files;
#[cfg(feature = "byzantine")]
pub mod flooder;
pub mod histogram;
pub mod home;
#[cfg(not(feature = "byzantine"))]
mod left_out;
mod lock;
pub mod log_line;
pub mod manifest;
pub mod models;
pub mod net;
pub mod palisade;
pub mod plan;
pub mod ports;
pub mod setup;
pub mod sim;
pub mod slot;
pub mod supervisor;
mod terminal;
pub mod view;
