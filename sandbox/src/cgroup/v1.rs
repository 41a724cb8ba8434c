//! Version 1: one group per slot in each controller; the launcher joins, jobs inherit.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Counted, LAUNCHER_BYTES, field, orphans, remove, task_limit};
use crate::limits::Limits;
use crate::spec::Profile;

/// Groups of one process are told apart by a counter: a slot may be made anew before the kernel
/// has let go of the old one.
static NEXT: AtomicU64 = AtomicU64::new(0);
const PREFIX: &str = "palisade-";

/// The three controllers' directories in which slots are made.
#[derive(Debug, Clone)]
pub(crate) struct V1 {
    memory: PathBuf,
    pids: PathBuf,
    cpuacct: PathBuf,
}

impl V1 {
    /// Finds the controllers, tries to make a group in each, and clears away groups whose node
    /// is gone.
    pub(crate) fn detect(mounts: &str, own: &str) -> Option<V1> {
        let v1 = V1 {
            memory: directory(mounts, own, "memory")?,
            pids: directory(mounts, own, "pids")?,
            cpuacct: directory(mounts, own, "cpuacct")?,
        };
        v1.sweep();
        // Making and dropping a slot is the only honest test of "writable".
        v1.slot(u32::MAX).ok()?;
        Some(v1)
    }

    /// Removes groups left by a killed process, unless something still runs in them.
    fn sweep(&self) {
        for path in self.orphans() {
            fs::remove_dir(path).ok();
        }
    }

    /// Groups whose owner is gone.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = PathBuf> {
        [&self.memory, &self.pids, &self.cpuacct]
            .into_iter()
            .flat_map(|controller| orphans(controller, PREFIX))
    }

    pub(crate) fn slot(&self, index: u32) -> io::Result<Slot> {
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-slot-{index}-{serial}", std::process::id());
        let mut slot = Slot {
            memory: self.memory.join(&name),
            pids: self.pids.join(&name),
            cpuacct: self.cpuacct.join(&name),
            limited: None,
            at_start: Counted::default(),
            counters: None,
        };
        for path in [&slot.memory, &slot.pids, &slot.cpuacct] {
            fs::create_dir(path)?;
        }
        slot.counters = Some(Counters::open(&slot)?);
        Ok(slot)
    }
}

/// Directory of this process in the hierarchy of one controller.
fn directory(mounts: &str, own: &str, controller: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, point, kind, options) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        let has = kind == "cgroup" && options.split(',').any(|option| option == controller);
        has.then(|| PathBuf::from(point))
    })?;
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        controllers
            .split(',')
            .any(|name| name == controller)
            .then(|| path.to_owned())
    })?;
    let inside = mount.join(path.trim_start_matches('/'));
    // Inside a container the path is the host's, and the mount already is the own group.
    Some(if inside.is_dir() { inside } else { mount })
}

/// The groups of one slot.
#[derive(Debug)]
pub(crate) struct Slot {
    memory: PathBuf,
    pids: PathBuf,
    cpuacct: PathBuf,
    /// Memory and task limit last written.
    limited: Option<(u64, u64)>,
    at_start: Counted,
    /// Open from the slot's first moment to its last.
    counters: Option<Counters>,
}

/// The files that are read before and after every job, kept open.
#[derive(Debug)]
struct Counters {
    cpu: File,
    peak: File,
    oom: File,
    refused: File,
}

impl Counters {
    fn open(slot: &Slot) -> io::Result<Counters> {
        let mut both = OpenOptions::new();
        both.read(true).write(true);
        Ok(Counters {
            cpu: File::open(slot.cpuacct.join("cpuacct.usage"))?,
            peak: both.open(slot.memory.join("memory.max_usage_in_bytes"))?,
            oom: File::open(slot.memory.join("memory.oom_control"))?,
            refused: File::open(slot.pids.join("pids.events"))?,
        })
    }
}

/// A counter file from its start; all are short.
fn text(file: &File) -> String {
    let mut bytes = [0u8; 256];
    let length = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned()
}

fn number(file: &File) -> u64 {
    text(file).trim().parse().unwrap_or(0)
}

impl Slot {
    pub(crate) fn join(&self, pid: u32) -> io::Result<()> {
        for path in [&self.memory, &self.pids, &self.cpuacct] {
            fs::write(path.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    pub(crate) fn begin(&mut self, limits: &Limits, profile: Profile) -> io::Result<()> {
        let wanted = (
            limits.memory_bytes.saturating_add(LAUNCHER_BYTES),
            task_limit(limits, profile, 1),
        );
        if self.limited != Some(wanted) {
            self.limited = None;
            self.limit(wanted)?;
            self.limited = Some(wanted);
        }
        if let Some(counters) = &self.counters {
            counters.peak.write_at(b"0", 0)?;
        }
        self.at_start = self.counted();
        Ok(())
    }

    fn limit(&self, (memory, tasks): (u64, u64)) -> io::Result<()> {
        let swap = self.memory.join("memory.memsw.limit_in_bytes");
        // Memory plus swap may never be below memory, so it goes first on the way up.
        if swap.exists() {
            fs::write(&swap, "-1")?;
        }
        fs::write(
            self.memory.join("memory.limit_in_bytes"),
            memory.to_string(),
        )?;
        if swap.exists() {
            fs::write(&swap, memory.to_string())?;
        }
        fs::write(self.pids.join("pids.max"), tasks.to_string())
    }

    fn counted(&self) -> Counted {
        let Some(counters) = &self.counters else {
            return Counted::default();
        };
        Counted {
            cpu_us: number(&counters.cpu) / 1000,
            peak_bytes: number(&counters.peak),
            oom_kills: field(&text(&counters.oom), "oom_kill"),
            pids_refused: field(&text(&counters.refused), "max"),
        }
    }

    pub(crate) fn cpu_us(&self) -> u64 {
        let now = self
            .counters
            .as_ref()
            .map_or(0, |own| number(&own.cpu) / 1000);
        now.saturating_sub(self.at_start.cpu_us)
    }

    pub(crate) fn end(&mut self) -> Counted {
        let now = self.counted();
        Counted {
            cpu_us: now.cpu_us.saturating_sub(self.at_start.cpu_us),
            peak_bytes: now.peak_bytes.saturating_sub(self.at_start.peak_bytes),
            oom_kills: now.oom_kills.saturating_sub(self.at_start.oom_kills),
            pids_refused: now.pids_refused.saturating_sub(self.at_start.pids_refused),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        for path in [&self.memory, &self.pids, &self.cpuacct] {
            // What cannot be removed now is swept at the next start.
            remove(path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
        cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
        cgroup /nowhere/memory cgroup rw,memory 0 0\n";

    #[test]
    fn directory_follows_mount_and_own_path() {
        let own = "9:memory:/a/b\n3:cpu,cpuacct:/\n";
        let found = directory(MOUNTS, own, "cpuacct");
        assert_eq!(found, Some(PathBuf::from("/sys/fs/cgroup/cpu,cpuacct/")));
        // The own path does not exist under this mount: the mount itself is taken.
        assert_eq!(
            directory(MOUNTS, own, "memory"),
            Some(PathBuf::from("/nowhere/memory"))
        );
        assert_eq!(directory(MOUNTS, own, "pids"), None);
    }

    #[test]
    fn groups_of_dead_processes_are_swept_and_no_others() {
        let tree = tempfile::tempdir().unwrap();
        let own = format!("palisade-{}-slot-0-0", std::process::id());
        // No process has this pid: it is above the kernel's largest.
        for name in [own.as_str(), "palisade-4194999-slot-0-0", "system.slice"] {
            fs::create_dir(tree.path().join(name)).unwrap();
        }
        let path = tree.path().to_owned();
        let v1 = V1 {
            memory: path.clone(),
            pids: path.clone(),
            cpuacct: path,
        };
        v1.sweep();
        let left: Vec<_> = fs::read_dir(tree.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(v1.orphans().count(), 0);
    }
}
