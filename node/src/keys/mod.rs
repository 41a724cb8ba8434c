//! Keys of the node and of its users: where they come from, how they lie on disk, who may read them.
//!
//! Hot keys (consensus, session, peer) are made on their host and never derived from words, so that
//! restoring a backup cannot create a twin signer. Wallets and operators come from a mnemonic.

pub(crate) mod bip32;
pub(crate) mod dev;
pub(crate) mod file;
pub(crate) mod kdf;
pub(crate) mod keystore;
pub(crate) mod password;
pub(crate) mod sign_file;

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a key may sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Jobs and transfers.
    Wallet,
    /// Bond, unbond, unjail.
    Operator,
    /// Votes and proposals.
    Consensus,
    /// Commits, reveals, evidence, peer proofs.
    Session,
    /// Transport and audit checkpoints.
    Peer,
}

impl Role {
    /// Whether the key lives on a node and is never derived from words.
    pub(crate) const fn is_hot(self) -> bool {
        matches!(self, Self::Consensus | Self::Session | Self::Peer)
    }

    /// The name in file names and JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Operator => "operator",
            Self::Consensus => "consensus",
            Self::Session => "session",
            Self::Peer => "peer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
