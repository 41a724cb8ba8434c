//! Control groups: what bounds a job as a whole rather than process by process.
//!
//! A write to `cgroup.procs` waits for a grace period of the kernel (12 to 16 ms), so it is done
//! once per launcher and never per job: with version 1 jobs inherit the launcher's group and
//! counters are diffed, with version 2 each job is cloned into a fresh leaf.

mod v1;
mod v2;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::limits::Limits;
use crate::spec::Profile;
use crate::wire::Bounding;

pub(crate) use v1::V1;
pub(crate) use v2::V2;

/// Memory the launcher and its page tables may take of a shared group.
pub(crate) const LAUNCHER_BYTES: u64 = 8 << 20;
/// How long removing a group that is still busy is retried.
const REMOVE_WAIT: Duration = Duration::from_secs(1);

/// What this host offers.
#[derive(Debug)]
pub(crate) enum Cgroups {
    /// Nothing writable.
    None,
    /// Version 1 controllers memory, pids and cpuacct.
    V1(V1),
    /// A delegated version 2 tree.
    V2(V2),
}

impl Cgroups {
    /// Looks for a delegated version 2 tree, then for writable version 1 controllers.
    pub(crate) fn detect() -> Cgroups {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        if let Some(v2) = V2::detect(&mounts, &own) {
            return Cgroups::V2(v2);
        }
        match V1::detect(&mounts, &own) {
            Some(v1) => Cgroups::V1(v1),
            None => Cgroups::None,
        }
    }

    /// Groups of dead processes that could not be cleared away.
    pub(crate) fn orphans(&self) -> usize {
        match self {
            Cgroups::V1(v1) => v1.orphans().count(),
            Cgroups::V2(v2) => v2.orphans().count(),
            Cgroups::None => 0,
        }
    }

    /// Name for `doctor`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Cgroups::None => "none",
            Cgroups::V1(_) => "v1",
            Cgroups::V2(_) => "v2",
        }
    }

    /// The group of one slot. `uid` is who its launcher becomes.
    pub(crate) fn slot(&self, index: u32, uid: Option<u32>) -> io::Result<SlotGroup> {
        Ok(match self {
            Cgroups::None => SlotGroup::None,
            Cgroups::V1(v1) => SlotGroup::V1(v1.slot(index)?),
            Cgroups::V2(v2) => SlotGroup::V2(v2.slot(index, uid)?),
        })
    }
}

/// The group of one slot.
#[derive(Debug)]
pub(crate) enum SlotGroup {
    None,
    V1(v1::Slot),
    V2(v2::Slot),
}

/// What a group counted during one job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) cpu_us: u64,
    pub(crate) peak_bytes: u64,
    pub(crate) oom_kills: u64,
    pub(crate) pids_refused: u64,
}

impl SlotGroup {
    /// Puts the launcher in, once.
    pub(crate) fn join(&self, pid: u32) -> io::Result<()> {
        match self {
            SlotGroup::None => Ok(()),
            SlotGroup::V1(slot) => slot.join(pid),
            SlotGroup::V2(slot) => slot.join(pid),
        }
    }

    /// The group of the next job, where each has its own: to be entered by the clone.
    pub(crate) fn lease(&mut self) -> io::Result<Option<OwnedFd>> {
        match self {
            SlotGroup::None | SlotGroup::V1(_) => Ok(None),
            SlotGroup::V2(slot) => slot.lease(),
        }
    }

    /// Gives up a leased group that no job will use.
    pub(crate) fn abandon(&mut self) {
        if let SlotGroup::V2(slot) = self {
            slot.abandon();
        }
    }

    /// Sets the limits of the next job and notes the counters. Gives its group, unless that was
    /// leased before.
    pub(crate) fn begin(
        &mut self,
        limits: &Limits,
        profile: Profile,
    ) -> io::Result<(Bounding, Option<OwnedFd>)> {
        match self {
            SlotGroup::None => Ok((Bounding::Rlimits, None)),
            SlotGroup::V1(slot) => slot
                .begin(limits, profile)
                .map(|()| (Bounding::Inherited, None)),
            SlotGroup::V2(slot) => slot
                .begin(limits, profile)
                .map(|leaf| (Bounding::Entered, leaf)),
        }
    }

    /// CPU of the running job so far.
    pub(crate) fn cpu_us(&self) -> Option<u64> {
        match self {
            SlotGroup::None => None,
            SlotGroup::V1(slot) => Some(slot.cpu_us()),
            SlotGroup::V2(slot) => Some(slot.cpu_us()),
        }
    }

    /// Counters of the job that has ended; kills whatever might be left.
    pub(crate) fn end(&mut self) -> Option<Counted> {
        match self {
            SlotGroup::None => None,
            SlotGroup::V1(slot) => Some(slot.end()),
            SlotGroup::V2(slot) => Some(slot.end()),
        }
    }
}

/// Tasks of a group: the job's own, pid 1 of a native job, and `others` who share it.
pub(crate) fn task_limit(limits: &Limits, profile: Profile, others: u64) -> u64 {
    let init = u64::from(profile == Profile::Native);
    limits.tasks.saturating_add(init).saturating_add(others)
}

/// Groups in `directory` that are named after a process, which is gone.
fn orphans(directory: &Path, prefix: &'static str) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(move |entry| {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| owner_of(name, prefix));
            owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        })
        .map(|entry| entry.path())
}

/// The pid in a group's name.
fn owner_of(name: &str, prefix: &str) -> Option<u32> {
    name.strip_prefix(prefix)?.split('-').next()?.parse().ok()
}

pub(crate) fn read_number(path: &Path) -> u64 {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// The value of `key` in a file of `key value` lines.
pub(crate) fn read_field(path: &Path, key: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    field(&text, key)
}

fn field(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

/// Removes an empty group, waiting for the last exit to be accounted.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let deadline = clock::now() + REMOVE_WAIT;
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) if clock::now() >= deadline => return Err(e),
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_is_read_from_the_name_and_nothing_else() {
        assert_eq!(owner_of("palisade-71-slot-0-3", "palisade-"), Some(71));
        assert_eq!(owner_of("slot-71-3", "slot-"), Some(71));
        assert_eq!(owner_of("system.slice", "slot-"), None);
        assert_eq!(owner_of("palisade-x", "palisade-"), None);
    }

    #[test]
    fn fields_are_found_by_whole_name() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n";
        assert_eq!(field(text, "oom_kill"), 7);
        assert_eq!(field(text, "absent"), 0);
    }

    #[test]
    fn task_limits_leave_room_for_init_and_launcher() {
        let limits = Limits::ceiling(Profile::Native);
        assert_eq!(task_limit(&limits, Profile::Native, 1), limits.tasks + 2);
        let limits = Limits::ceiling(Profile::Runner);
        assert_eq!(task_limit(&limits, Profile::Runner, 0), limits.tasks);
    }
}
