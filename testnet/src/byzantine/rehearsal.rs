//! Makes profiles by name.

use std::sync::Arc;

use actors::tamper::{Profiles, Tamper};
use protocol::keys::SecretKey;

use super::{
    NAMES, double_proposal, double_vote, flood, forged_evidence, invalid_proposal, seats,
    wrong_result,
};

/// The profiles of one node.
#[derive(Clone, Default)]
pub struct Rehearsal {
    /// The operator's key, on local chains a public one; some lies have to be paid for.
    pub operator: Option<Arc<SecretKey>>,
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rehearsal")
    }
}

impl Profiles for Rehearsal {
    fn names(&self) -> Vec<&'static str> {
        NAMES.to_vec()
    }

    fn make(&self, name: &str) -> Option<Arc<dyn Tamper>> {
        Some(match name {
            "double-vote" => Arc::new(double_vote::DoubleVote),
            "double-proposal" => Arc::new(double_proposal::DoubleProposal),
            "wrong-result" => Arc::new(wrong_result::WrongResult),
            "wrong-juror" => Arc::new(wrong_result::WrongJuror),
            "no-show" => Arc::new(seats::NoShow),
            "withhold-reveal" => Arc::new(seats::WithholdReveal),
            "bad-reveal" => Arc::new(seats::BadReveal),
            "forged-evidence" => {
                Arc::new(forged_evidence::ForgedEvidence::new(self.operator.clone()?))
            }
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
        let operator = SecretKey::from_bytes(&[1; 32]).unwrap();
        let rehearsal = Rehearsal {
            operator: Some(Arc::new(operator)),
        };
        for name in NAMES {
            assert_eq!(rehearsal.make(name).unwrap().name(), *name);
        }
        assert!(rehearsal.make("honest").is_none());
    }
}
