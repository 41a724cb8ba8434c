//! Proofs that a leaf is, or is not, under a root. Checking one needs the proof and nothing else.

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::{Digest, sha256};
use thiserror::Error;

use super::{DEPTH_MAX, EMPTY, bit, inner_hash, leaf_hash, position};

/// The way from the root to the place where a key's leaf would stand.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Proof {
    /// The other child of each inner node, from the root down.
    pub siblings: Vec<Digest>,
    /// What stands at the end: nothing, or a leaf with its position and value hash.
    pub leaf: Option<(Digest, Digest)>,
}

impl Canonical for Proof {
    const BYTES_MAX: usize = 8 + DEPTH_MAX * 32 + 1 + 64;
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Longer than any path.
    #[error("{0} siblings, at most {DEPTH_MAX} possible")]
    TooDeep(usize),
    /// It ends at another root.
    #[error("proof leads to root {found}, expected {expected}")]
    Root {
        /// Where it leads.
        found: Digest,
        /// Where it should lead.
        expected: Digest,
    },
    /// The key's place holds something else than claimed.
    #[error("the leaf there is not the one claimed")]
    Leaf,
}

impl Proof {
    /// Checks that under `root` the key has this value, or with `None` that it is absent.
    ///
    /// # Errors
    /// [`ProofError`] if the proof does not show it.
    pub fn verify(
        &self,
        root: &Digest,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), ProofError> {
        if self.siblings.len() > DEPTH_MAX {
            return Err(ProofError::TooDeep(self.siblings.len()));
        }
        let at = position(key);
        let holds = match (self.leaf, value) {
            (Some((position, hash)), Some(value)) => position == at && hash == sha256(value),
            (Some((position, _)), None) => position != at && self.shares_path(&position, &at),
            (None, None) => true,
            (None, Some(_)) => false,
        };
        if !holds {
            return Err(ProofError::Leaf);
        }
        let bottom = self
            .leaf
            .map_or(EMPTY, |(position, hash)| leaf_hash(&position, &hash));
        let found =
            self.siblings
                .iter()
                .enumerate()
                .rev()
                .fold(bottom, |below, (depth, sibling)| {
                    if bit(&at, depth) {
                        inner_hash(sibling, &below)
                    } else {
                        inner_hash(&below, sibling)
                    }
                });
        if found == *root {
            Ok(())
        } else {
            Err(ProofError::Root {
                found,
                expected: *root,
            })
        }
    }

    fn shares_path(&self, a: &Digest, b: &Digest) -> bool {
        (0..self.siblings.len()).all(|depth| bit(a, depth) == bit(b, depth))
    }
}
