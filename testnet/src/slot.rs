//! Each net claims a slot in 77..=99, so that nets coexist: its nodes listen on `127.<slot>.<i>.1`.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;

use crate::error::CommandError;
use crate::files::NetDir;
use crate::lock;

/// The slots there are.
pub const SLOTS: RangeInclusive<u8> = 77..=99;

/// A slot, held as long as this value lives.
#[derive(Debug)]
pub struct Slot {
    number: u8,
    _lock: File,
}

/// As much of a `plan.json` as matters here.
#[derive(Deserialize)]
struct Recorded {
    slot: u8,
}

impl Slot {
    /// Takes a free slot for a new net. Those of the nets beside it are left to them, also while they
    /// are down, because a net's addresses are in the homes of its nodes; with none left over, one of
    /// theirs has to do.
    ///
    /// # Errors
    /// If all are taken by running nets.
    pub fn free(dir: &NetDir) -> Result<Self> {
        let others = recorded(dir);
        for number in SLOTS.filter(|number| !others.contains(number)) {
            if let Some(lock) = try_lock(number)?
                // A net may have been written since.
                && !recorded(dir).contains(&number)
            {
                return Ok(Self::held(number, lock, dir));
            }
        }
        for number in SLOTS {
            if let Some(lock) = try_lock(number)? {
                return Ok(Self::held(number, lock, dir));
            }
        }
        let detail = format!("all {} slots are taken by running nets", SLOTS.count());
        Err(CommandError::unavailable(detail, "`palisade testnet down` ends one").into())
    }

    /// Takes the slot of a net that has one.
    ///
    /// # Errors
    /// [`CommandError`] naming the net that holds it.
    pub fn take(number: u8, dir: &NetDir) -> Result<Self> {
        if !SLOTS.contains(&number) {
            let detail = format!("{} was written for given addresses", dir.path().display());
            let hint = "`palisade node run` starts each of its nodes where its address is";
            return Err(CommandError::unavailable(detail, hint).into());
        }
        match try_lock(number)? {
            Some(lock) => Ok(Self::held(number, lock, dir)),
            None => Err(taken(number).into()),
        }
    }

    fn held(number: u8, mut lock: File, dir: &NetDir) -> Self {
        let folder = std::path::absolute(dir.path()).unwrap_or_else(|_| dir.path().to_owned());
        let line = format!("{} {}", std::process::id(), folder.display());
        // A full disk may keep it away.
        drop(lock::inscribe(&mut lock, &line));
        Self {
            number,
            _lock: lock,
        }
    }

    /// Its number, the second byte of every address of the net.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }
}

/// The slots in the plans of the nets beside this one. A plan that cannot be read names none.
fn recorded(dir: &NetDir) -> BTreeSet<u8> {
    let beside = dir.path().parent().map(std::fs::read_dir);
    let entries = beside.into_iter().flatten().flatten().flatten();
    let others = entries.map(|entry| NetDir::at(entry.path()));
    others
        .filter(|other| other.path() != dir.path())
        .filter_map(|other| other.read::<Recorded>("plan.json").ok().flatten())
        .map(|plan| plan.slot)
        .collect()
}

/// `None` if another net holds it, or if another user made the file.
fn try_lock(number: u8) -> Result<Option<File>> {
    let path = lock_path(number);
    match lock::take(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
        taken => taken.map_err(|error| refused(&path, &error)),
    }
}

fn lock_path(number: u8) -> PathBuf {
    std::env::temp_dir().join(format!("palisade-slot-{number}.lock"))
}

fn taken(number: u8) -> CommandError {
    let path = lock_path(number);
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    let holder = said.trim().split_once(' ');
    let Some((pid, folder)) = holder.map(|(pid, folder)| (pid, Path::new(folder))) else {
        let detail = format!("slot {number}, this net's, is taken: {}", path.display());
        return CommandError::unavailable(detail, "end the net that holds it");
    };
    let detail = format!(
        "slot {number}, this net's, is taken by the net in {}, pid {pid}",
        folder.display()
    );
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let work = folder.ancestors().nth(2).unwrap_or(folder);
    let hint = format!(
        "`palisade testnet down --name {name}` in {} ends it",
        work.display()
    );
    CommandError::unavailable(detail, hint)
}

fn refused(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let detail = format!("cannot lock {}: {error}", path.display());
    let hint = "nets claim their addresses there: make room, or set TMPDIR to another folder";
    CommandError::unavailable(detail, hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nets_never_share_a_slot() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        let (one, other) = (NetDir::at(one), NetDir::at(other));
        let held = Slot::free(&one).unwrap();
        assert_ne!(held.number(), Slot::free(&other).unwrap().number());
        let error = Slot::take(held.number(), &other).unwrap_err();
        let known = error.downcast_ref::<CommandError>().unwrap();
        assert_eq!(known.exit, 4);
        let pid = format!("{}, pid {}", one.path().display(), std::process::id());
        assert!(known.detail.ends_with(&pid), "{known}");
        assert!(known.hint.contains("down --name one"), "{}", known.hint);
    }

    #[test]
    fn the_slot_of_a_net_that_is_down_stays_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let [down, fresh] = ["down", "fresh"].map(|name| NetDir::at(folder.path().join(name)));
        let slot = Slot::free(&down).unwrap().number();
        let plan = serde_json::json!({ "slot": slot, "name": "down" });
        down.write("plan.json", &plan).unwrap();
        assert_ne!(Slot::free(&fresh).unwrap().number(), slot);
        assert_eq!(recorded(&fresh), BTreeSet::from([slot]));
        assert_eq!(recorded(&down), BTreeSet::new(), "its own does not count");
        std::fs::write(down.file("plan.json"), "{").unwrap();
        assert_eq!(recorded(&fresh), BTreeSet::new());
    }
}
