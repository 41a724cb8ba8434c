//! What the job needs for its last steps, laid out before them: strings, limits, moves.

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;

use seccompiler::sock_filter;

use crate::limits::{Limits, SIGPENDING, STACK_BYTES};
use crate::spec::Profile;
use crate::wire::{Bounding, Start};

/// Tasks a native job has beside its own: pid 1.
const INIT_TASKS: u64 = 1;
/// Room above a control group's task limit, so that the group, whose refusals are counted, is
/// the one to refuse.
const TASK_MARGIN: u64 = 8;

/// Everything the last steps need; they allocate nothing.
pub(crate) struct Plan<'a> {
    pub(crate) argv: &'a [*const c_char],
    pub(crate) envp: &'a [*const c_char],
    /// Mount options of the scratch file system.
    pub(crate) scratch: Option<&'a CStr>,
    pub(crate) scratch_rights: u64,
    pub(crate) ruleset: RawFd,
    pub(crate) rlimits: &'a [(libc::__rlimit_resource_t, libc::rlimit)],
    /// Streams and inputs: from a high number to the fixed one.
    pub(crate) moves: &'a [(RawFd, RawFd)],
    pub(crate) program: RawFd,
    /// Where the program lies beneath the old root, if that is known.
    pub(crate) program_path: Option<&'a CStr>,
    pub(crate) filter: &'a [sock_filter],
}

/// Strings as the kernel wants them, with the memory behind them.
pub(crate) struct Strings {
    _memory: Vec<CString>,
    pub(crate) pointers: Vec<*const c_char>,
}

impl Strings {
    /// Null-terminated vector of NUL-terminated strings; a NUL inside one is an error.
    pub(crate) fn new(entries: &[Vec<u8>]) -> Result<Self, i32> {
        let memory: Vec<CString> = entries
            .iter()
            .map(|entry| CString::new(entry.clone()).map_err(|_| libc::EINVAL))
            .collect::<Result<_, _>>()?;
        let pointers = memory
            .iter()
            .map(|entry| entry.as_ptr())
            .chain(std::iter::once(ptr::null()))
            .collect();
        Ok(Strings {
            _memory: memory,
            pointers,
        })
    }
}

/// Descriptor moves: 0 to 2, then inputs from 3.
pub(crate) fn moves(streams_and_inputs: &[OwnedFd]) -> Vec<(RawFd, RawFd)> {
    streams_and_inputs
        .iter()
        .zip(0..)
        .map(|(fd, to)| (fd.as_raw_fd(), to))
        .collect()
}

/// Options of the scratch file system.
pub(crate) fn scratch_options(scratch: (u64, u64)) -> Result<CString, i32> {
    let (bytes, inodes) = scratch;
    // The root directory itself counts as one inode.
    let text = format!(
        "mode=0700,size={bytes},nr_inodes={}",
        inodes.saturating_add(1)
    );
    CString::new(text).map_err(|_| libc::EINVAL)
}

/// Path of the program beneath the old root; an empty one is not known.
pub(crate) fn program_path(path: &[u8]) -> Result<Option<CString>, i32> {
    if path.first() != Some(&b'/') {
        return Ok(None);
    }
    let beneath = [b"/old", path].concat();
    CString::new(beneath).map(Some).map_err(|_| libc::EINVAL)
}

fn fixed(value: u64) -> libc::rlimit {
    libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    }
}

/// Resource limits of a job, by the table of limits.
pub(crate) fn rlimits(start: &Start) -> Vec<(libc::__rlimit_resource_t, libc::rlimit)> {
    let limits: &Limits = &start.limits;
    let native = start.profile == Profile::Native;
    let own_tasks = limits
        .tasks
        .saturating_add(if native { INIT_TASKS } else { 0 });
    let tasks = match start.bounding {
        Bounding::Rlimits => own_tasks,
        Bounding::Inherited | Bounding::Entered => own_tasks.saturating_add(TASK_MARGIN),
    };
    let cpu = libc::rlimit {
        rlim_cur: limits.cpu_seconds,
        rlim_max: limits.cpu_seconds.saturating_add(1),
    };
    let mut rows = vec![
        (libc::RLIMIT_CPU, cpu),
        (libc::RLIMIT_NPROC, fixed(tasks)),
        (libc::RLIMIT_NOFILE, fixed(limits.open_files)),
        (libc::RLIMIT_FSIZE, fixed(limits.file_bytes)),
        (libc::RLIMIT_STACK, fixed(STACK_BYTES)),
        (libc::RLIMIT_SIGPENDING, fixed(SIGPENDING)),
        (libc::RLIMIT_CORE, fixed(0)),
        (libc::RLIMIT_MEMLOCK, fixed(0)),
        (libc::RLIMIT_MSGQUEUE, fixed(0)),
        (libc::RLIMIT_NICE, fixed(0)),
        (libc::RLIMIT_RTPRIO, fixed(0)),
    ];
    if start.bounding == Bounding::Rlimits {
        rows.push((libc::RLIMIT_DATA, fixed(limits.memory_bytes)));
    }
    // A group counts what is used. Without one, what is reserved has to do; a job that asks for
    // less than the ceiling gets that in any case. Runtimes reserve far more than they use.
    let ceiling = Limits::ceiling(start.profile).address_space_bytes;
    let asked = limits.address_space_bytes;
    if let Some(bytes) = asked.filter(|_| start.bounding == Bounding::Rlimits || asked < ceiling) {
        rows.push((libc::RLIMIT_AS, fixed(bytes)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(profile: Profile, bounding: Bounding) -> Start {
        Start {
            args: Vec::new(),
            env: Vec::new(),
            inputs: 0,
            limits: Limits::ceiling(profile),
            profile,
            scratch: None,
            program_path: Vec::new(),
            bounding,
        }
    }

    fn limit(start: &Start, resource: libc::__rlimit_resource_t) -> Option<(u64, u64)> {
        let rows = rlimits(start);
        let row = rows.iter().find(|(which, _)| *which == resource)?;
        Some((row.1.rlim_cur, row.1.rlim_max))
    }

    #[test]
    fn cpu_has_a_second_between_warning_and_death() {
        let start = start(Profile::Runner, Bounding::Inherited);
        assert_eq!(limit(&start, libc::RLIMIT_CPU), Some((20, 21)));
    }

    #[test]
    fn memory_is_bounded_per_process_only_without_a_group() {
        for profile in [Profile::Runner, Profile::Native] {
            let bare = start(profile, Bounding::Rlimits);
            let bytes = bare.limits.memory_bytes;
            assert_eq!(limit(&bare, libc::RLIMIT_DATA), Some((bytes, bytes)));
            let grouped = start(profile, Bounding::Entered);
            assert_eq!(limit(&grouped, libc::RLIMIT_DATA), None);
        }
        // Limiting address space would break a runner's reservations.
        assert_eq!(
            limit(&start(Profile::Runner, Bounding::Rlimits), libc::RLIMIT_AS),
            None
        );
        let native = |bounding| start(Profile::Native, bounding);
        assert!(limit(&native(Bounding::Rlimits), libc::RLIMIT_AS).is_some());
        let mut grouped = native(Bounding::Inherited);
        assert_eq!(limit(&grouped, libc::RLIMIT_AS), None);
        grouped.limits.address_space_bytes = Some(64 << 20);
        assert_eq!(limit(&grouped, libc::RLIMIT_AS), Some((64 << 20, 64 << 20)));
    }

    #[test]
    fn the_group_refuses_tasks_before_the_process_limit_does() {
        let bare = limit(
            &start(Profile::Native, Bounding::Rlimits),
            libc::RLIMIT_NPROC,
        );
        assert_eq!(bare, Some((33, 33)));
        let grouped = limit(
            &start(Profile::Native, Bounding::Inherited),
            libc::RLIMIT_NPROC,
        );
        assert!(grouped > bare);
    }

    #[test]
    fn nothing_may_be_dumped_or_locked() {
        let start = start(Profile::Native, Bounding::Inherited);
        for resource in [
            libc::RLIMIT_CORE,
            libc::RLIMIT_MEMLOCK,
            libc::RLIMIT_MSGQUEUE,
        ] {
            assert_eq!(limit(&start, resource), Some((0, 0)));
        }
    }

    #[test]
    fn scratch_counts_its_own_root() {
        let options = scratch_options((4096, 2)).unwrap();
        assert_eq!(options.to_str().unwrap(), "mode=0700,size=4096,nr_inodes=3");
    }
}
