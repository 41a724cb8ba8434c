//! The result of a seat's run, between the slot that made it and the reveal that tells it.

use protocol::digest::{Digest, sha256};
use protocol::job::{CommitPreimage, Outcome};
use protocol::limits::INLINE_OUTPUT_BYTES_MAX;
use protocol::tx::{RevealResult, RevealedOutput};
use protocol::units::Fuel;

/// What a seat's run ended in, before it is committed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatResult {
    /// How the run ended.
    pub outcome: Outcome,
    /// What it answered, or the root that stands for its failure.
    pub result_root: Digest,
    /// What it cost.
    pub fuel: Fuel,
    /// The output blob; empty unless the outcome is Ok.
    pub output: Vec<u8>,
    /// Detail of outcomes 1 to 4.
    pub code: u32,
}

impl SeatResult {
    /// What the seat reveals of it, once its commit is sealed.
    #[must_use]
    pub fn reveal(&self, opened: &CommitPreimage) -> RevealResult {
        let output = match self.outcome {
            Outcome::Ok if self.output.len() <= INLINE_OUTPUT_BYTES_MAX => {
                RevealedOutput::Inline(self.output.clone())
            }
            Outcome::Ok => RevealedOutput::Blob {
                sha256: sha256(&self.output),
                size: u64::try_from(self.output.len()).unwrap_or(u64::MAX),
            },
            _ => RevealedOutput::Code(self.code),
        };
        RevealResult {
            seat: opened.seat,
            salt: opened.salt,
            outcome: opened.outcome,
            result_root: opened.result_root,
            work_digest: opened.work_digest,
            fuel: opened.fuel,
            output,
        }
    }
}
