//! Rehearsed misdeeds, one a file: each changes what an unmodified node would send.
//!
//! A node takes them only on a local chain's admin socket. The feature `byzantine` frees the flood of
//! the node's own pace; leaving the profiles out of operator builds is not there yet.

mod double_proposal;
mod double_vote;
mod flood;
mod invalid_proposal;
mod seats;
mod wrong_result;

use std::sync::Arc;

use actors::tamper::{Profiles, Tamper};
pub use flood::{RATE, pace, transfer};

/// The profiles there are (testnet.md).
pub const NAMES: [&str; 8] = [
    "double-vote",
    "double-proposal",
    "wrong-result",
    "no-show",
    "withhold-reveal",
    "bad-reveal",
    "invalid-proposal",
    "flood",
];

/// Makes profiles by name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rehearsal;

impl Profiles for Rehearsal {
    fn names(&self) -> Vec<&'static str> {
        NAMES.to_vec()
    }

    fn make(&self, name: &str) -> Option<Arc<dyn Tamper>> {
        Some(match name {
            "double-vote" => Arc::new(double_vote::DoubleVote),
            "double-proposal" => Arc::new(double_proposal::DoubleProposal),
            "wrong-result" => Arc::new(wrong_result::WrongResult),
            "no-show" => Arc::new(seats::NoShow),
            "withhold-reveal" => Arc::new(seats::WithholdReveal),
            "bad-reveal" => Arc::new(seats::BadReveal),
            "invalid-proposal" => Arc::new(invalid_proposal::InvalidProposal),
            "flood" => Arc::new(flood::Flood::default()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_profile_can_be_made_under_its_own_name() {
        for name in NAMES {
            assert_eq!(Rehearsal.make(name).unwrap().name(), name);
        }
        assert!(Rehearsal.make("honest").is_none());
    }
}
