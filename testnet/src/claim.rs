//! The right to make, start or remove the net of a name: one process at a time has it.
//!
//! The lock lies beside the net's folder, because the folder itself comes and goes.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::error::CommandError;
use crate::files::NetDir;
use crate::home::Host;
use crate::lock;
use crate::net::{Net, end};
use crate::setup::Setup;

/// What a net's folder holds, at its top; files that are being replaced end in `.tmp`.
const ENTRIES: [&str; 15] = [
    "accounts.json",
    "audit",
    "client",
    "clients",
    "endpoints.json",
    "genesis.toml",
    "liars.json",
    "manifest.toml",
    "models",
    "nodes",
    "plan.json",
    "run.json",
    "supervisor.lock",
    "supervisor.log",
    "supervisor.sock",
];

/// The right, held as long as this value lives.
#[derive(Debug)]
pub struct Claim {
    dir: NetDir,
    _lock: File,
}

impl Claim {
    /// Takes it for the net of this folder.
    ///
    /// # Errors
    /// [`CommandError`] with the holder's pid if another process has it.
    pub fn of(dir: &NetDir) -> Result<Self> {
        let name = dir.name();
        let path = dir.path().with_file_name(format!(".{name}.lock"));
        let Some(mut lock) = take(&path).map_err(CommandError::of_disk)? else {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let detail = format!(
                "another command is at work on `{name}`, pid {}",
                holder.trim()
            );
            let hint = "`palisade testnet status` shows the net once it is up";
            return Err(CommandError::unavailable(detail, hint).into());
        };
        // A full disk may keep it away.
        drop(lock::inscribe(&mut lock, &std::process::id().to_string()));
        Ok(Self {
            dir: dir.clone(),
            _lock: lock,
        })
    }

    /// Refuses a folder with something in it.
    ///
    /// # Errors
    /// [`CommandError`] naming the path; `--fresh` is the way out only where what lies there is a net.
    pub fn require_empty(&self) -> Result<()> {
        let entries = self.entries()?;
        if entries.is_empty() {
            return Ok(());
        }
        let path = self.dir.path().display();
        if self.is_net(&entries) {
            let detail = format!("{path} holds a net without a plan.json");
            let hint = "put plan.json back, or `palisade testnet up --fresh` to remove the net";
            return Err(CommandError::unavailable(detail, hint).into());
        }
        Err(self.foreign(&entries).into())
    }

    /// Ends the net if it runs, and removes its folder.
    ///
    /// # Errors
    /// [`CommandError`] naming the path if the folder does not look like a net, or does not go away.
    pub fn clear(&self) -> Result<()> {
        let entries = self.entries()?;
        if !self.dir.path().exists() {
            return Ok(());
        }
        if !entries.is_empty() && !self.is_net(&entries) {
            return Err(self.foreign(&entries).into());
        }
        end(&self.dir)?;
        let removed = fs::remove_dir_all(self.dir.path());
        let named = || format!("cannot remove {}", self.dir.path().display());
        removed.with_context(named).map_err(CommandError::of_disk)
    }

    /// Writes a net where nothing is. One that could not be written whole is not left there in half.
    ///
    /// # Errors
    /// As [`Setup::write`].
    pub fn make(&self, setup: &Setup<'_>, host: &dyn Host) -> Result<Net> {
        self.require_empty()?;
        let written = setup.write(host);
        if written.is_err() {
            // Best effort: `--fresh` removes what stays.
            drop(fs::remove_dir_all(self.dir.path()));
        }
        written?;
        Net::open(self.dir.clone())
    }

    /// What the folder holds; nothing if it is not there.
    fn entries(&self) -> Result<Vec<String>> {
        let listed = match fs::read_dir(self.dir.path()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.and_then(Iterator::collect::<std::io::Result<Vec<_>>>),
        };
        let named = || format!("cannot read {}", self.dir.path().display());
        let listed = listed.with_context(named).map_err(CommandError::of_disk)?;
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = listed.into_iter().map(name).collect();
        names.sort();
        Ok(names)
    }

    /// A plan beside its nodes is a net, whatever somebody keeps there too; without one, a net that
    /// was left half-written or half-removed holds nothing else.
    fn is_net(&self, entries: &[String]) -> bool {
        let has = |name: &str| self.dir.file(name).exists();
        (has("plan.json") && has("nodes")) || entries.iter().all(|entry| is_ours(entry))
    }

    fn foreign(&self, entries: &[String]) -> CommandError {
        let other = entries.iter().find(|entry| !is_ours(entry));
        let detail = format!(
            "{} is no net: it holds {:?}",
            self.dir.path().display(),
            other.map_or("", String::as_str)
        );
        CommandError::unavailable(detail, "give another name, or move that folder away")
    }
}

fn is_ours(entry: &str) -> bool {
    ENTRIES.contains(&entry) || entry.ends_with(".tmp")
}

fn take(path: &Path) -> Result<Option<File>> {
    let named = || format!("cannot make {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(named)?;
    }
    lock::take(path).with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(entries: &[&str]) -> (tempfile::TempDir, Claim) {
        let folder = tempfile::tempdir().unwrap();
        let dir = NetDir::at(folder.path().join("n"));
        for entry in entries {
            fs::create_dir_all(dir.path()).unwrap();
            fs::write(dir.file(entry), "x").unwrap();
        }
        let claim = Claim::of(&dir).unwrap();
        (folder, claim)
    }

    fn refused(result: Result<()>) -> CommandError {
        let error = result.unwrap_err();
        let known = error.downcast_ref::<CommandError>().unwrap().clone();
        assert_eq!(known.exit, 4);
        known
    }

    #[test]
    fn a_folder_of_somebody_else_stays() {
        for entries in [
            &["important.txt"][..],
            &["important.txt", "supervisor.lock"],
            &["plan.json", "important.txt"],
        ] {
            let (_folder, claim) = claimed(entries);
            assert!(
                refused(claim.require_empty())
                    .detail
                    .contains("/n is no net")
            );
            assert!(refused(claim.clear()).detail.contains("important.txt"));
            assert!(claim.dir.file("important.txt").exists());
        }
    }

    #[test]
    fn a_net_without_a_plan_goes_on_demand_only() {
        let (_folder, claim) = claimed(&["nodes", "genesis.toml", "plan.tmp"]);
        assert!(refused(claim.require_empty()).hint.contains("--fresh"));
        claim.clear().unwrap();
        assert!(!claim.dir.path().exists());
        claim.require_empty().unwrap();
        claim.clear().unwrap();
    }

    #[test]
    fn one_process_at_a_time() {
        let (_folder, claim) = claimed(&[]);
        let busy = refused(Claim::of(&claim.dir).map(drop));
        assert!(
            busy.detail.contains(&std::process::id().to_string()),
            "{busy}"
        );
        let dir = claim.dir.clone();
        drop(claim);
        Claim::of(&dir).unwrap();
    }
}
