//! A receipt: everything a stranger needs to believe what a job answered and what it cost.
//!
//! ```text
//! genesis -> trust path (each change of the validator set, certified by the set before)
//!              -> certificate -> header -> state root -> proof -> record of the job
//!                                                                 -> seats' session keys
//!                                                                    -> signed commits and reveals
//! ```
//! The file is one line of JSON with its keys in one order; binary is the hex of canonical bytes. Any
//! other byte makes it malformed, so no two files say the same thing.

#[cfg(test)]
mod tests;
mod verify;

use protocol::block::Header;
use protocol::codec::{Canonical, encode};
use protocol::digest::{ChainId, JobId};
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;
use serde::{Deserialize, Serialize};

pub(crate) use verify::{Verdict, verify};

use crate::problem::Problem;

/// The schema's name.
const SCHEMA: &str = "palisade.receipt/1";
/// No receipt is longer: 256 seats with two messages each, and a trust path.
pub(crate) const RECEIPT_BYTES_MAX: u64 = 32 << 20;

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receipt {
    schema: String,
    /// Which chain.
    pub(crate) chain_id: String,
    /// Which job.
    pub(crate) job_id: String,
    /// `JobSpec::bytes`.
    pub(crate) spec: String,
    /// `Signed<Tx>` of each commit, by seat.
    pub(crate) commits: Vec<String>,
    /// `Signed<Tx>` of each reveal, by seat.
    pub(crate) reveals: Vec<String>,
    /// The job's head leaf.
    pub(crate) record: String,
    /// Its place under the header's state root.
    pub(crate) proof: String,
    /// One block after the job's end.
    pub(crate) header: String,
    /// Of that block.
    pub(crate) certificate: String,
    /// Each change of the validator set since genesis.
    pub(crate) trust_path: Vec<Link>,
}

/// A certified change of the validator set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    /// The header that names the next set.
    pub(crate) header: String,
    /// Its certificate, by the set before.
    pub(crate) certificate: String,
    /// The set it names.
    pub(crate) set: String,
}

/// What a receipt is made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// Which chain.
    pub(crate) chain: ChainId,
    /// Which job.
    pub(crate) job: JobId,
    /// `JobSpec::bytes`.
    pub(crate) spec: Vec<u8>,
    /// `Signed<Tx>` of each commit, by seat.
    pub(crate) commits: Vec<Vec<u8>>,
    /// `Signed<Tx>` of each reveal, by seat.
    pub(crate) reveals: Vec<Vec<u8>>,
    /// The job's head leaf with its proof.
    pub(crate) record: ledger::receipt::ProvenRecord,
    /// One block after the job's end.
    pub(crate) header: Header,
    /// Of that block.
    pub(crate) certificate: CommitCertificate,
    /// Each change of the validator set since genesis.
    pub(crate) trust_path: Vec<(Header, CommitCertificate, ValidatorSet)>,
}

fn canonical<T: Canonical>(value: &T) -> String {
    hex::encode(encode(value))
}

impl Receipt {
    /// Writes the parts down.
    pub(crate) fn of(parts: &Parts) -> Self {
        let hexes = |list: &[Vec<u8>]| list.iter().map(hex::encode).collect();
        let link = |(header, certificate, set): &(Header, CommitCertificate, ValidatorSet)| Link {
            header: canonical(header),
            certificate: canonical(certificate),
            set: canonical(set),
        };
        Self {
            schema: SCHEMA.to_owned(),
            chain_id: parts.chain.to_string(),
            job_id: parts.job.to_string(),
            spec: hex::encode(&parts.spec),
            commits: hexes(&parts.commits),
            reveals: hexes(&parts.reveals),
            record: hex::encode(&parts.record.record),
            proof: canonical(&parts.record.proof),
            header: canonical(&parts.header),
            certificate: canonical(&parts.certificate),
            trust_path: parts.trust_path.iter().map(link).collect(),
        }
    }

    /// The file's bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads the file: exactly the bytes that [`Self::to_bytes`] writes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let malformed = |why: String| Problem::new("receipt.malformed", why);
        let receipt: Self =
            serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if receipt.schema != SCHEMA {
            return Err(malformed(format!(
                "schema {:?}, expected {SCHEMA}",
                receipt.schema
            )));
        }
        // Nothing in a receipt has capitals; a decoder of hex would take them for small letters.
        if receipt.to_bytes() != bytes || bytes.iter().any(u8::is_ascii_uppercase) {
            return Err(malformed(
                "not one line in the one form of a receipt".to_owned(),
            ));
        }
        Ok(receipt)
    }
}
