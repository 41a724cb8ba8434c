//! Rehearsed misdeeds, one a file: each changes what an unmodified node would send.
//!
//! A node takes them only on a local chain's admin socket, and only if it was built with the feature
//! `byzantine`: without it there is nothing here but an empty list.

#[cfg(feature = "byzantine")]
mod double_proposal;
#[cfg(feature = "byzantine")]
mod double_vote;
#[cfg(feature = "byzantine")]
mod flood;
#[cfg(feature = "byzantine")]
mod forged_evidence;
#[cfg(feature = "byzantine")]
mod invalid_proposal;
#[cfg(feature = "byzantine")]
mod rehearsal;
#[cfg(feature = "byzantine")]
mod seats;
#[cfg(feature = "byzantine")]
mod wrong_result;

#[cfg(feature = "byzantine")]
pub use self::{
    flood::{RATE, pace, transfer},
    forged_evidence::FORGED_EVIDENCE_FEE,
    rehearsal::Rehearsal,
};

/// The profiles there are (testnet.md).
#[cfg(feature = "byzantine")]
pub const NAMES: &[&str] = &[
    "double-vote",
    "double-proposal",
    "wrong-result",
    "wrong-juror",
    "no-show",
    "withhold-reveal",
    "bad-reveal",
    "forged-evidence",
    "invalid-proposal",
    "flood",
];

/// An operator's build knows of none.
#[cfg(not(feature = "byzantine"))]
pub const NAMES: &[&str] = &[];
