//! What a stranger needs to believe a job's record: the head leaf, and its place under a root that
//! validators certified.

use protocol::codec::{CodecError, decode_canonical};
use protocol::digest::{Digest, JobId};
use thiserror::Error;

use crate::jobs::JobHead;
use crate::root::{Proof, ProofError};
use crate::state::State;
use crate::table::leaf_key;

/// A job's record and its place in the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvenRecord {
    /// Canonical bytes of the head leaf, a [`JobHead`].
    pub record: Vec<u8>,
    /// Its place under the state root.
    pub proof: Proof,
}

/// Why a record is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not the bytes of a head leaf.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Not under that root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl State {
    /// The record of a job with its proof under this state's root, which is in the header of the next
    /// block.
    #[must_use]
    pub fn prove_job(&self, job: &JobId) -> Option<ProvenRecord> {
        let head = self.jobs.get(job)?;
        Some(ProvenRecord {
            record: protocol::codec::encode(head),
            proof: self.prove::<JobHead>(job),
        })
    }
}

/// Checks offline that under this root the job has this record, and reads it.
///
/// # Errors
/// [`RecordError`] if it is not proved or not readable.
pub fn verify_job_record(
    root: &Digest,
    job: &JobId,
    record: &[u8],
    proof: &Proof,
) -> Result<JobHead, RecordError> {
    let head = decode_canonical::<JobHead>(record)?;
    proof.verify(root, &leaf_key::<JobHead>(job), Some(record))?;
    Ok(head)
}
