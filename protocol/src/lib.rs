//! The vocabulary of Palisade: every type that is signed, hashed, stored or sent, and nothing that decides.
//!
//! ```text
//!   units digest keys text          numbers, hashes, keys and how people write them
//!        \    |    /
//!      codec  signed                canonical bytes; Signed<T> outside, Verified<T> inside
//!        /    |    \
//!   vote block validators envelope  agreement: what validators sign and how it travels
//!   tx job evidence events          money and work: what clients and validators ask of the ledger
//!   genesis params limits           what a chain is made of
//!   manifest result                 what a model is, and what it answered
//! ```
//!
//! Reading order: [`units`], [`digest`], [`keys`], [`signed`], then by interest.
//!
//! Invariants: bytes are big-endian and canonical (each value has exactly one encoding); every hash
//! carries its own tag; every decoder knows its limit before it reads.
//!
//! It is not: a place for rules (`ledger`), for agreement (`consensus`) or for any effect.
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

pub mod block;
pub mod codec;
pub mod digest;
pub mod draw;
pub mod engine;
pub mod envelope;
pub mod events;
pub mod evidence;
pub mod genesis;
pub mod job;
pub mod keys;
pub mod limits;
pub mod manifest;
pub mod params;
pub mod result;
pub mod signed;
pub mod text;
pub mod tx;
pub mod units;
pub mod validators;
pub mod vote;
