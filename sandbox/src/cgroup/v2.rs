//! Version 2, delegated: a leaf per job, entered by `clone3` itself.
//!
//! ```text
//! delegated/ -- node/               this process
//!            \- slot-N/ -- launcher/
//!                       \- job-K/   fresh for every job
//! ```

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::{Counted, orphans, read_field, read_number, remove, task_limit};
use crate::limits::Limits;
use crate::spec::Profile;

const NEEDED: [&str; 3] = ["memory", "pids", "cpu"];
const PREFIX: &str = "slot-";

/// The delegated directory.
#[derive(Debug, Clone)]
pub(crate) struct V2 {
    base: PathBuf,
}

impl V2 {
    /// Takes the tree over if it has all controllers and is writable: a group with processes may
    /// not also have controlled children, so this process moves to a leaf of its own.
    pub(crate) fn detect(mounts: &str, own: &str) -> Option<V2> {
        let base = base(mounts, own)?;
        if !has_controllers(&base) {
            return None;
        }
        let base = if base.ends_with("node") {
            base.parent()?.to_owned()
        } else {
            base
        };
        take_over(&base).ok()?;
        let v2 = V2 { base };
        v2.sweep();
        Some(v2)
    }

    /// Removes groups left by a killed process, unless something still runs in them.
    fn sweep(&self) {
        for path in self.orphans() {
            for below in fs::read_dir(&path).into_iter().flatten().flatten() {
                fs::remove_dir(below.path()).ok();
            }
            fs::remove_dir(path).ok();
        }
    }

    /// Groups whose owner is gone.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = PathBuf> {
        orphans(&self.base, PREFIX)
    }

    pub(crate) fn slot(&self, index: u32, uid: Option<u32>) -> io::Result<Slot> {
        let path = self
            .base
            .join(format!("{PREFIX}{}-{index}", std::process::id()));
        let launcher = path.join("launcher");
        make(&path)?;
        fs::write(path.join("cgroup.subtree_control"), "+memory +pids +cpu")?;
        make(&launcher)?;
        if let Some(uid) = uid {
            // Cloning into a leaf asks for write access to the common ancestor's process list.
            chown(path.join("cgroup.procs"), Some(uid), Some(uid))?;
        }
        Ok(Slot {
            path,
            uid,
            serial: 0,
            leaf: None,
            spent_us: 0,
        })
    }
}

fn base(mounts: &str, own: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(point))
    })?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(mount.join(path.trim_start_matches('/')))
}

fn has_controllers(base: &Path) -> bool {
    let listed = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    NEEDED
        .iter()
        .all(|needed| listed.split_whitespace().any(|name| name == *needed))
}

fn take_over(base: &Path) -> io::Result<()> {
    let node = base.join("node");
    make(&node)?;
    fs::write(node.join("cgroup.procs"), std::process::id().to_string())?;
    fs::write(base.join("cgroup.subtree_control"), "+memory +pids +cpu")
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// The groups of one slot.
#[derive(Debug)]
pub(crate) struct Slot {
    path: PathBuf,
    uid: Option<u32>,
    serial: u64,
    leaf: Option<PathBuf>,
    /// CPU time of the leaf before its job.
    spent_us: u64,
}

fn cpu_of(leaf: &Path) -> u64 {
    read_field(&leaf.join("cpu.stat"), "usage_usec")
}

impl Slot {
    pub(crate) fn join(&self, pid: u32) -> io::Result<()> {
        fs::write(self.path.join("launcher/cgroup.procs"), pid.to_string())
    }

    /// A fresh group; `None` if there already is one that no job has used.
    pub(crate) fn lease(&mut self) -> io::Result<Option<OwnedFd>> {
        if self.leaf.is_some() {
            return Ok(None);
        }
        self.serial = self.serial.wrapping_add(1);
        let leaf = self.path.join(format!("job-{}", self.serial));
        fs::create_dir(&leaf)?;
        self.leaf = Some(leaf.clone());
        if let Some(uid) = self.uid {
            chown(leaf.join("cgroup.procs"), Some(uid), Some(uid))?;
        }
        Ok(Some(File::open(&leaf)?.into()))
    }

    pub(crate) fn abandon(&mut self) {
        self.end();
    }

    pub(crate) fn begin(
        &mut self,
        limits: &Limits,
        profile: Profile,
    ) -> io::Result<Option<OwnedFd>> {
        let fresh = self.lease()?;
        let Some(leaf) = &self.leaf else {
            return Err(io::ErrorKind::NotFound.into());
        };
        fs::write(leaf.join("memory.max"), limits.memory_bytes.to_string())?;
        let swap = leaf.join("memory.swap.max");
        if swap.exists() {
            fs::write(swap, "0")?;
        }
        fs::write(leaf.join("memory.oom.group"), "1")?;
        fs::write(
            leaf.join("pids.max"),
            task_limit(limits, profile, 0).to_string(),
        )?;
        // What making the spare took is not the job's.
        self.spent_us = cpu_of(leaf);
        Ok(fresh)
    }

    pub(crate) fn cpu_us(&self) -> u64 {
        let now = self.leaf.as_deref().map_or(0, cpu_of);
        now.saturating_sub(self.spent_us)
    }

    pub(crate) fn end(&mut self) -> Counted {
        let Some(leaf) = self.leaf.take() else {
            return Counted::default();
        };
        // The pid namespace is gone already; this is for what could have escaped it.
        fs::write(leaf.join("cgroup.kill"), "1").ok();
        let counted = Counted {
            cpu_us: cpu_of(&leaf).saturating_sub(self.spent_us),
            peak_bytes: read_number(&leaf.join("memory.peak")),
            oom_kills: read_field(&leaf.join("memory.events"), "oom_kill"),
            pids_refused: read_field(&leaf.join("pids.events"), "max"),
        };
        // A leaf that stays busy is left to the drop of the slot.
        remove(&leaf).ok();
        counted
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(leaf) = self.leaf.take() {
            fs::write(leaf.join("cgroup.kill"), "1").ok();
            remove(&leaf).ok();
        }
        remove(&self.path.join("launcher")).ok();
        remove(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_is_the_own_group_of_the_unified_tree() {
        let mounts = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        let found = base(mounts, "0::/system.slice/palisade.service\n");
        assert_eq!(
            found,
            Some(PathBuf::from(
                "/sys/fs/cgroup/system.slice/palisade.service"
            ))
        );
        assert_eq!(base("cgroup /x cgroup rw,pids 0 0\n", "0::/\n"), None);
    }

    #[test]
    fn groups_of_dead_processes_are_swept_and_no_others() {
        let tree = tempfile::tempdir().unwrap();
        let own = format!("slot-{}-0", std::process::id());
        // No process has this pid: it is above the kernel's largest.
        for name in [own.as_str(), "slot-4194999-0", "node"] {
            fs::create_dir_all(tree.path().join(name).join("launcher")).unwrap();
        }
        fs::create_dir(tree.path().join("slot-4194999-0/job-7")).unwrap();
        let v2 = V2 {
            base: tree.path().to_owned(),
        };
        assert_eq!(v2.orphans().count(), 1);
        v2.sweep();
        assert!(!tree.path().join("slot-4194999-0").exists());
        assert!(tree.path().join(own).join("launcher").exists());
        assert!(tree.path().join("node/launcher").exists());
    }

    #[test]
    fn a_tree_without_all_controllers_is_not_taken() {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
        assert!(!has_controllers(tree.path()));
        fs::write(
            tree.path().join("cgroup.controllers"),
            "cpuset cpu memory pids\n",
        )
        .unwrap();
        assert!(has_controllers(tree.path()));
    }
}
