//! Goal: the oracles can fail. Each fault that is planted breaks one within 2,000 seeds.
//!
//! `cargo test -p testnet --features planted --test mutations`; docs/simulator.md lists the first
//! seeds.
#![allow(missing_docs, reason = "tests")]

mod agreement;
mod ledger;
