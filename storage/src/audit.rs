//! The audit log: a chain of records, a Merkle tree over them, and signed checkpoints.
//!
//! ```text
//!  record 0 <- record 1 <- record 2 ...        each names the hash of the one before
//!      \         /            /
//!       Merkle tree (RFC 6962), frontier only
//!              |
//!       checkpoint: origin, size, root, signature -> its hash is anchored on chain
//! ```
//! The chain shows an edit, the tree makes proofs short, and an anchored checkpoint shows a cut
//! tail. Records hold only the hash of a body; bodies are kept elsewhere and can be erased.

pub mod base64;
pub mod checkpoint;
pub mod log;
pub mod read;
pub mod record;
pub mod tree;
pub mod verify;
