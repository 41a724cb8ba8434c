//! The state root: a compact sparse Merkle tree over the leaves of the state.
//!
//! ```text
//! position = SHA-256(key), most significant bit first      value hash = SHA-256(value)
//! leaf  = SHA-256("JMT::LeafNode" ‖ position ‖ value hash)
//! inner = SHA-256("JMT::IntrnalNode" ‖ left ‖ right)       (spelled so)
//! empty = "SPARSE_MERKLE_PLACEHOLDER_HASH__"               a subtree with one leaf is that leaf
//! ```
//! Depth grows with the logarithm of the count, whatever keys an attacker grinds. Nodes are shared
//! between versions, so the tree of the height before costs only the changed paths. The root depends
//! on the set of leaves alone, not on the order in which they came.

mod proof;
mod tree;

use protocol::digest::{Digest, sha256};
use sha2::{Digest as _, Sha256};

pub use proof::{Proof, ProofError};
pub use tree::Tree;

/// Root of a tree without leaves.
pub const EMPTY: Digest = Digest(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");
/// Bits of a position, hence the most inner nodes above a leaf.
pub const DEPTH_MAX: usize = 256;

/// Where a key's leaf stands.
#[must_use]
pub fn position(key: &[u8]) -> Digest {
    sha256(key)
}

pub(crate) fn leaf_hash(position: &Digest, value_hash: &Digest) -> Digest {
    hash(b"JMT::LeafNode", position, value_hash)
}

pub(crate) fn inner_hash(left: &Digest, right: &Digest) -> Digest {
    hash(b"JMT::IntrnalNode", left, right)
}

fn hash(prefix: &[u8], a: &Digest, b: &Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(prefix);
    hasher.update(a.as_bytes());
    hasher.update(b.as_bytes());
    Digest(hasher.finalize().into())
}

/// The bit of a position at a depth; true is right.
pub(crate) fn bit(position: &Digest, depth: usize) -> bool {
    let byte = position.as_bytes().get(depth >> 3).copied().unwrap_or(0);
    let shift = u32::try_from(depth & 7).unwrap_or(0);
    byte.wrapping_shl(shift) & 0x80 != 0
}
