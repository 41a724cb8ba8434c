//! The files of a net's folder. JSON is replaced atomically, so a reader never sees half of it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The folder of one net, `./palisade-testnet/<name>/`.
#[derive(Debug, Clone)]
pub struct NetDir(PathBuf);

impl NetDir {
    /// The folder of the net with this name, below the working directory.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(Path::new("palisade-testnet").join(name))
    }

    /// The folder at this path.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The home of a node.
    #[must_use]
    pub fn home(&self, node: &str) -> PathBuf {
        self.0.join("nodes").join(node)
    }

    /// The home of a client of a net with random keys.
    #[must_use]
    pub fn client(&self, name: &str) -> PathBuf {
        self.0.join("clients").join(name)
    }

    /// The log of a node, one JSON object a line.
    #[must_use]
    pub fn log(&self, node: &str) -> PathBuf {
        self.home(node).join("log.jsonl")
    }

    /// Reads one of its JSON files; `None` if it is not there.
    ///
    /// # Errors
    /// If the file is there and cannot be read or understood.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.file(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let value = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        Ok(Some(value))
    }

    /// Removes one of its files, if it is there.
    pub fn remove(&self, name: &str) {
        // Best effort: what is left behind is recognised as stale by the lock.
        drop(fs::remove_file(self.file(name)));
    }

    /// Replaces one of its JSON files.
    ///
    /// # Errors
    /// If the disk refuses; the path is named.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        write_atomically(&self.file(name), &serde_json::to_vec_pretty(value)?)
    }
}

/// Writes a file so that it is either the old one or the whole new one.
///
/// # Errors
/// If the disk refuses; the path is named.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let named = || format!("cannot write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(named)?;
    }
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary).with_context(named)?;
    file.write_all(bytes).with_context(named)?;
    file.sync_all().with_context(named)?;
    fs::rename(&temporary, path).with_context(named)
}

/// `endpoints.json`: there only while every node that should run is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// `palisade.endpoints/1`.
    pub schema: String,
    /// The net's name.
    pub name: String,
    /// The chain's name.
    pub chain_name: String,
    /// 64 hexadecimal digits.
    pub chain_id: String,
    /// Which process holds the net.
    pub supervisor_pid: u32,
    /// The first node's API.
    pub api: String,
    /// All nodes.
    pub nodes: Vec<Endpoint>,
}

/// How to reach one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// `palval1…`.
    pub validator: String,
    /// Its libp2p id.
    pub peer_id: String,
    /// Base URL of its API.
    pub api: String,
    /// URL of its metrics.
    pub metrics: String,
    /// Multiaddress.
    pub p2p: String,
    /// Its byzantine profile, if any.
    pub byzantine: Option<String>,
}

/// `accounts.json`: the development accounts, all worthless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// `palisade.accounts/1`.
    pub schema: String,
    /// Always true.
    pub dev: bool,
    /// Where wallets and operators come from.
    pub mnemonic: String,
    /// Clients, operators and the faucet.
    pub accounts: Vec<Account>,
}

/// One development account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `client-0`, `operator-alice`, `faucet`.
    pub name: String,
    /// `pal1…`.
    pub address: String,
    /// Its BIP-32 path.
    pub path: String,
    /// 64 hexadecimal digits; public knowledge.
    pub private_key: String,
    /// At genesis, decimal upal.
    pub balance: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_and_missing_ones_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let net = NetDir::at(dir.path());
        assert_eq!(net.read::<Vec<u8>>("x.json").unwrap(), None);
        net.write("x.json", &[1, 2]).unwrap();
        net.write("x.json", &[3]).unwrap();
        assert_eq!(net.read("x.json").unwrap(), Some(vec![3]));
        fs::write(net.file("x.json"), b"{").unwrap();
        let error = net.read::<Vec<u8>>("x.json").unwrap_err();
        assert!(format!("{error:#}").contains("x.json"));
    }
}
