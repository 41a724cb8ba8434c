//! What a node's home must hold, and the port through which the binary writes it.
//!
//! The formats of `node.toml` and of keystores belong to `node`; this crate only says what goes in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use protocol::digest::{Tag, th};
use protocol::keys::{PublicKey, SecretKey};

/// A branch of the public development mnemonic (testnet.md, Ports, leftovers, dev keys).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevBranch {
    /// `m/44'/1'/0'/0/i`: clients at i, the faucet at 99.
    Wallet,
    /// `m/44'/1'/1'/0/i`: operators.
    Operator,
}

/// The four keys of one validator.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs proposals and votes.
    pub consensus: SecretKey,
    /// Signs commits, reveals and peer proofs.
    pub session: SecretKey,
    /// Identifies the peer.
    pub peer: SecretKey,
    /// Owns the stake.
    pub operator: SecretKey,
}

/// Where a testnet's node keys come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// From the seed: the same net every time, worthless keys.
    Dev(u64),
    /// From the operating system.
    Random,
}

/// Everything a node's home is written from.
#[derive(Debug)]
pub struct HomeSpec<'a> {
    /// The directory, created if missing.
    pub dir: PathBuf,
    /// The node's name, also its moniker.
    pub name: String,
    /// The exact bytes of `genesis.toml`.
    pub genesis: Vec<u8>,
    /// Its keys; keystores are marked `dev` when they come from a seed.
    pub keys: &'a NodeKeys,
    /// Where the keys come from.
    pub source: KeySource,
    /// Multiaddresses to listen on.
    pub listen: Vec<String>,
    /// Multiaddresses of the other nodes, each ending in `/p2p/<peer id>`.
    pub peers: Vec<String>,
    /// Layers of the sandbox that the node may lack and still take jobs.
    pub allow_degraded: Vec<String>,
    /// Where the API listens unless a socket is handed in.
    pub api: SocketAddr,
    /// Where metrics are served unless a socket is handed in.
    pub metrics: SocketAddr,
}

/// What the binary does for testnets.
pub trait Host: Sync {
    /// Derives a key of the public development mnemonic.
    ///
    /// # Errors
    /// If the path is out of range.
    fn dev_key(&self, branch: DevBranch, index: u32) -> Result<SecretKey>;
    /// The mnemonic itself, for `accounts.json`.
    fn dev_mnemonic(&self) -> &str;
    /// Whether these are names of layers that a node may lack.
    ///
    /// # Errors
    /// Naming the first that is not.
    fn check_degradations(&self, names: &[String]) -> Result<()>;
    /// Writes a complete home: configuration, genesis, keystores, initialised sign-state.
    ///
    /// # Errors
    /// If anything cannot be written; the path is named.
    fn write_home(&self, spec: &HomeSpec<'_>) -> Result<()>;
    /// Writes the home of a client: configuration, genesis, one wallet under a password of its own.
    ///
    /// # Errors
    /// If anything cannot be written; the path is named.
    fn write_client(&self, dir: &Path, name: &str, genesis: &[u8], key: &SecretKey) -> Result<()>;
    /// The textual peer id of a peer key.
    fn peer_id(&self, key: &PublicKey) -> String;
}

impl NodeKeys {
    /// The keys of one node. `operator` comes from the mnemonic on development nets.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn make(source: KeySource, name: &str, operator: SecretKey) -> Result<Self> {
        let key = |role: &str| match source {
            KeySource::Dev(seed) => seeded_key(seed, name, role),
            KeySource::Random => random_key(),
        };
        Ok(Self {
            consensus: key("consensus")?,
            session: key("session")?,
            peer: key("peer")?,
            operator,
        })
    }
}

/// A key that anybody can compute: for local chains only.
fn seeded_key(seed: u64, name: &str, role: &str) -> Result<SecretKey> {
    let text = format!("{name}/{role}");
    let digest = th(Tag::DevKey, &[&seed.to_be_bytes(), text.as_bytes()]);
    Ok(SecretKey::from_bytes(digest.as_bytes())?)
}

/// A key from the operating system.
///
/// # Errors
/// If there is no randomness to be had.
pub fn random_key() -> Result<SecretKey> {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        // Fails for about one in 2^128 draws: zero or not below the group order.
        if let Ok(key) = SecretKey::from_bytes(&bytes) {
            return Ok(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_keys_differ_by_node_role_and_seed() {
        let key = |seed, name, role| seeded_key(seed, name, role).unwrap().public();
        let first = key(1, "alice", "session");
        assert_eq!(first, key(1, "alice", "session"));
        assert_ne!(first, key(2, "alice", "session"));
        assert_ne!(first, key(1, "bob", "session"));
        assert_ne!(first, key(1, "alice", "consensus"));
    }
}
