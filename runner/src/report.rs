//! What a runner answers: one canonical record on stdout, bounded like everything from a sandbox.

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::Digest;
use protocol::job::{DeclineReason, Outcome};
use protocol::limits::OUTPUT_BYTES_MAX;
use protocol::result::root_of_blob;
use protocol::units::Fuel;

/// The longest remark; it is for logs and is never signed.
pub const REMARK_BYTES_MAX: usize = 1_024;
/// The longest report: an output blob and 64 KiB around it, the sandbox's ceiling for stdout.
pub const REPORT_BYTES_MAX: usize = (4 << 20) + (64 << 10);
const _: () = assert!(OUTPUT_BYTES_MAX + (64 << 10) == 4_259_840 && REPORT_BYTES_MAX == 4_259_840);
const _: () = assert!(REMARK_BYTES_MAX < 64 << 10);

/// Why an engine does not run a model or an input, by the phase of our code that found it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub enum Refusal {
    /// Not a model: it does not decode, contradicts itself or cannot be built.
    BadModel,
    /// It uses an operator, domain or opset outside the list.
    UnsupportedOp,
    /// It uses an element type outside the list, or data outside the file.
    UnsupportedType,
    /// The inputs do not fit the model, or its shapes do not fit each other.
    ShapeMismatch,
    /// It asks for more nodes, nesting, tensors or bytes than allowed.
    LimitExceeded,
    /// The requested outputs are not the model's.
    OutputMismatch,
}

impl Refusal {
    /// All of them, by number.
    pub const ALL: [Self; 6] = [
        Self::BadModel,
        Self::UnsupportedOp,
        Self::UnsupportedType,
        Self::ShapeMismatch,
        Self::LimitExceeded,
        Self::OutputMismatch,
    ];

    /// The code that is signed beside [`Outcome::EngineRefused`].
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::BadModel => 1,
            Self::UnsupportedOp => 2,
            Self::UnsupportedType => 3,
            Self::ShapeMismatch => 4,
            Self::LimitExceeded => 5,
            Self::OutputMismatch => 6,
        }
    }
}

/// A model that failed while running; tract's reasons all count as one.
pub const MODEL_TRAP_CODE: u32 = 1;

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Verdict {
    /// It answered.
    Answered {
        /// The work it cost.
        fuel: Fuel,
        /// The output blob.
        blob: Vec<u8>,
    },
    /// It failed for a reason that every honest host finds.
    Failed {
        /// Which class: anything but [`Outcome::Ok`].
        outcome: Outcome,
        /// The class's code; zero where a class has only one.
        code: u32,
        /// The work it cost.
        fuel: Fuel,
    },
    /// This host could not: nothing to sign.
    Declined {
        /// Why.
        reason: DeclineReason,
    },
    /// The conformance vectors gave the digest that `protocol` expects; another one is a Decline.
    Conformed {
        /// Of all their results.
        digest: Digest,
    },
}

/// A verdict, and for the log a sentence about it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Report {
    /// Which engine ran.
    pub engine: u16,
    /// How it ended.
    pub verdict: Verdict,
    /// For people; may differ between hosts.
    pub remark: String,
}

impl Canonical for Report {
    const BYTES_MAX: usize = REPORT_BYTES_MAX;
}

impl Report {
    /// A report with its remark cut to size.
    #[must_use]
    pub fn new(engine: u16, verdict: Verdict, remark: &str) -> Self {
        let mut end = remark.len().min(REMARK_BYTES_MAX);
        while !remark.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            engine,
            verdict,
            remark: remark[..end].to_owned(),
        }
    }

    /// The outcome, result root and fuel to commit to; `None` if there is nothing to sign.
    ///
    /// The root is recomputed from the blob, so a captured runner cannot name another one.
    #[must_use]
    pub fn signable(&self) -> Option<(Outcome, Digest, Fuel)> {
        match &self.verdict {
            Verdict::Answered { fuel, blob } => root_of_blob(blob)
                .ok()
                .map(|root| (Outcome::Ok, root, *fuel)),
            Verdict::Failed {
                outcome,
                code,
                fuel,
            } => outcome.root(*code).map(|root| (*outcome, root, *fuel)),
            Verdict::Declined { .. } | Verdict::Conformed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_codes_are_one_to_six() {
        let codes: Vec<u32> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn remarks_are_cut_at_a_character() {
        let verdict = Verdict::Declined {
            reason: DeclineReason::EnginePanic,
        };
        let report = Report::new(1, verdict, &"é".repeat(REMARK_BYTES_MAX));
        assert_eq!(report.remark.len(), REMARK_BYTES_MAX);
        let odd = format!("a{}", "é".repeat(REMARK_BYTES_MAX));
        let verdict = Verdict::Declined {
            reason: DeclineReason::EnginePanic,
        };
        assert_eq!(
            Report::new(1, verdict, &odd).remark.len(),
            REMARK_BYTES_MAX - 1
        );
    }

    #[test]
    fn a_blob_that_is_no_result_is_not_signable() {
        let verdict = Verdict::Answered {
            fuel: Fuel(1),
            blob: vec![1, 2, 3],
        };
        assert_eq!(Report::new(1, verdict, "").signable(), None);
        let code = Refusal::BadModel.code();
        let failed = Verdict::Failed {
            outcome: Outcome::EngineRefused,
            code,
            fuel: Fuel(9),
        };
        let (outcome, root, fuel) = Report::new(1, failed, "").signable().unwrap();
        assert_eq!((outcome, fuel), (Outcome::EngineRefused, Fuel(9)));
        assert_eq!(Some(root), Outcome::EngineRefused.root(1));
    }
}
