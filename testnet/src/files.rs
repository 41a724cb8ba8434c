//! The files of a net's folder. JSON is replaced atomically, so a reader never sees half of it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::CommandError;

/// Where all nets of a working directory are.
pub const NETS: &str = "palisade-testnet";
/// A name is a folder's, stands in lines for people and in the paths that every message names.
pub const NET_NAME_BYTES_MAX: usize = 64;

/// The folder of one net, `./palisade-testnet/<name>/`.
#[derive(Debug, Clone)]
pub struct NetDir(PathBuf);

impl NetDir {
    /// The folder of the net with this name, below the working directory.
    ///
    /// # Errors
    /// [`CommandError`] with exit code 78 if a path could hide in the name: what is written for a net
    /// stays in [`NETS`].
    pub fn of(name: &str) -> Result<Self, CommandError> {
        check_name("--name", name)?;
        Ok(Self(Path::new(NETS).join(name)))
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

    /// The net's name, which is its folder's.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.0.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
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
    /// [`CommandError`] with exit code 4 and the path if the file is there and cannot be read or
    /// understood.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.file(name);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CommandError::damaged(&path, &error).into()),
        };
        let value = serde_json::from_slice(&text);
        Ok(Some(
            value.map_err(|error| CommandError::damaged(&path, &error))?,
        ))
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

/// Refuses what is not the plain name of a folder. `flag` is where it was given.
///
/// # Errors
/// [`CommandError`] with exit code 78.
pub fn check_name(flag: &str, name: &str) -> Result<(), CommandError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let begins_well = name.bytes().next().is_some_and(|b| b != b'-');
    if begins_well && name.len() <= NET_NAME_BYTES_MAX && name.bytes().all(plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(NET_NAME_BYTES_MAX).collect();
    let detail = format!("{flag}: {shown:?} is no plain name of a folder");
    let hint = format!(
        "1 to {NET_NAME_BYTES_MAX} of a-z, A-Z, 0-9, - and _, not beginning with -: \
         `{flag} {}`",
        meant(name)
    );
    Err(CommandError::config(detail, hint))
}

/// A name that would do in place of a wrong one: its last plain part.
fn meant(name: &str) -> String {
    let other = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let mut parts = name.split(other).map(|part| part.trim_start_matches('-'));
    let last = parts.rfind(|part| !part.is_empty());
    let kept = last.map(|part| part.chars().take(NET_NAME_BYTES_MAX).collect());
    kept.unwrap_or_else(|| "default".to_owned())
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
    fn names_are_those_of_plain_folders() {
        for good in [
            "default",
            "a",
            "Net_2-b",
            "9",
            &"x".repeat(NET_NAME_BYTES_MAX),
        ] {
            let dir = NetDir::of(good).unwrap();
            assert_eq!(dir.path().parent(), Some(Path::new(NETS)), "{good}");
        }
        let long = "x".repeat(NET_NAME_BYTES_MAX + 1);
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/tmp/x",
            "a\\b",
            "-a",
            "a b",
            "a\n",
            "a\0",
            "n\u{e4}me",
            &long,
        ] {
            let error = NetDir::of(bad).unwrap_err();
            assert_eq!(
                (error.exit, &*error.code),
                (78, "testnet.config"),
                "{bad:?}"
            );
            assert!(error.detail.contains("--name"), "{bad:?}: {error}");
            assert!(!error.detail.contains('\n'), "{bad:?}: {error}");
            assert!(
                error.hint.contains("1 to 64 of a-z"),
                "{bad:?}: {}",
                error.hint
            );
        }
        assert!(NetDir::of("../x").unwrap_err().hint.ends_with("`--name x`"));
        assert!(
            NetDir::of("..")
                .unwrap_err()
                .hint
                .ends_with("`--name default`")
        );
    }

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
        let known = error.downcast_ref::<CommandError>().unwrap();
        assert_eq!((known.exit, &*known.code), (4, "testnet.unavailable"));
        assert!(known.detail.contains("x.json"), "{known}");
    }
}
