//! Peer memory as two JSON files, replaced atomically.
//!
//! Neither file is worth a validator's vote: bans run out and are earned anew, addresses are learned
//! anew. So a file that is not what was written is set aside with a warning, and the node starts
//! without it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bans::{BANS_MAX, Ban};
use crate::book::KnownPeer;
use crate::ports::PeerMemory;

/// Larger files are not ours.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// What a file is called that was set aside; an older one of that name goes.
const ASIDE: &str = "damaged";

/// `bans.json` and `peers.json` in one directory.
#[derive(Debug)]
pub struct JsonMemory {
    directory: PathBuf,
    /// One write at a time: all go through the same temporary file.
    writing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BanRow {
    peer: String,
    level: u32,
    reason: String,
    since_ms: u64,
    until_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerRow {
    peer: String,
    addresses: Vec<String>,
}

impl JsonMemory {
    /// Memory in this directory, which must exist.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            writing: Mutex::new(()),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Vec<T>> {
        let path = self.directory.join(name);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(named(&path, &error)),
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
                return Err(invalid(&path, "longer than 8 MiB"));
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(|error| named(&path, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| invalid(&path, &error.to_string()))
    }

    /// What a file holds; nothing, once it is set aside because it is not what was written.
    fn read_or_set_aside<T, R: DeserializeOwned>(
        &self,
        name: &str,
        understand: impl Fn(R) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let path = self.directory.join(name);
        let understood = self.read(name).and_then(|rows: Vec<R>| {
            let understood: Option<Vec<T>> = rows.into_iter().map(understand).collect();
            understood.ok_or_else(|| invalid(&path, "not a peer or an address"))
        });
        match understood {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let aside = self.directory.join(format!("{name}.{ASIDE}"));
                fs::rename(&path, &aside).map_err(|error| named(&path, &error))?;
                tracing::warn!(event = "peer_memory_set_aside", %error, aside = %aside.display());
                Ok(Vec::new())
            }
            understood => understood,
        }
    }

    fn write<T: Serialize>(&self, name: &str, rows: &[T]) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.directory.join(name);
        let fresh = self.directory.join(format!("{name}.new"));
        let bytes = serde_json::to_vec(rows)?;
        write_durably(&fresh, &bytes).map_err(|error| named(&fresh, &error))?;
        fs::rename(&fresh, &path).map_err(|error| named(&path, &error))?;
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| named(&self.directory, &error))
    }
}

/// On disk before it gets its name: a power cut must not leave an empty file in place of what was
/// known.
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn invalid(path: &Path, reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{}: {reason}", path.display()),
    )
}

impl PeerMemory for JsonMemory {
    fn load_bans(&self) -> io::Result<Vec<Ban>> {
        let mut bans = self.read_or_set_aside("bans.json", |row: BanRow| {
            Some(Ban {
                peer: row.peer.parse().ok()?,
                level: row.level,
                reason: row.reason,
                since_ms: row.since_ms,
                until_ms: row.until_ms,
            })
        })?;
        bans.truncate(BANS_MAX);
        Ok(bans)
    }

    fn store_bans(&self, bans: &[Ban]) -> io::Result<()> {
        let rows: Vec<BanRow> = bans
            .iter()
            .map(|ban| BanRow {
                peer: ban.peer.to_string(),
                level: ban.level,
                reason: ban.reason.clone(),
                since_ms: ban.since_ms,
                until_ms: ban.until_ms,
            })
            .collect();
        self.write("bans.json", &rows)
    }

    fn load_peers(&self) -> io::Result<Vec<KnownPeer>> {
        self.read_or_set_aside("peers.json", |row: PeerRow| {
            let addresses = row.addresses.iter().map(|address| address.parse().ok());
            Some(KnownPeer {
                peer: row.peer.parse().ok()?,
                addresses: addresses.collect::<Option<_>>()?,
            })
        })
    }

    fn store_peers(&self, peers: &[KnownPeer]) -> io::Result<()> {
        let rows: Vec<PeerRow> = peers
            .iter()
            .map(|known| PeerRow {
                peer: known.peer.to_string(),
                addresses: known.addresses.iter().map(ToString::to_string).collect(),
            })
            .collect();
        self.write("peers.json", &rows)
    }
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::*;

    #[test]
    fn what_is_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let memory = JsonMemory::new(directory.path());
        assert!(
            memory.load_bans().unwrap().is_empty(),
            "nothing stored is no error"
        );
        let ban = Ban {
            peer: PeerId::random(),
            level: 2,
            reason: "overflow".to_owned(),
            since_ms: 1,
            until_ms: 2,
        };
        memory.store_bans(std::slice::from_ref(&ban)).unwrap();
        assert_eq!(memory.load_bans().unwrap(), [ban]);
        let addresses = vec!["/ip4/127.0.0.1/udp/1/quic-v1".parse().unwrap()];
        let known = KnownPeer {
            peer: PeerId::random(),
            addresses,
        };
        memory.store_peers(std::slice::from_ref(&known)).unwrap();
        assert_eq!(memory.load_peers().unwrap(), [known]);
    }

    #[test]
    fn damaged_files_are_set_aside_and_others_refused() {
        let directory = tempfile::tempdir().unwrap();
        let memory = JsonMemory::new(directory.path());
        let path = |name: &str| directory.path().join(name);
        for bad in [
            &b""[..],
            b"\0\0\0",
            b"[{\"peer\":1}]",
            b"[{\"peer\":\"nobody\",\"addresses\":[]}]",
            b"[{\"peer\":\"nobody\",\"level\":0,\"reason\":\"\",\"since_ms\":0,\"until_ms\":0}]",
        ] {
            for name in ["bans.json", "peers.json"] {
                fs::write(path(name), bad).unwrap();
            }
            assert_eq!(memory.load_bans().unwrap(), []);
            assert_eq!(memory.load_peers().unwrap(), []);
            for name in ["bans.json", "peers.json"] {
                assert!(!path(name).exists(), "{name}: {bad:?}");
                assert_eq!(fs::read(path(&format!("{name}.{ASIDE}"))).unwrap(), bad);
            }
        }
        // What cannot be read at all is the disk's fault, and no reason to forget.
        fs::create_dir(path("bans.json")).unwrap();
        let error = memory.load_bans().unwrap_err();
        assert!(error.to_string().contains("bans.json"), "{error}");
    }
}
