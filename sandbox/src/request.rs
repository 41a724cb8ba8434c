//! What a prepared process does once there is a job: takes it, lays out its last steps, becomes it.
//!
//! A spare reads the slot's socket itself, so a job starts without waking the launcher first. It
//! is used once: for one job, or for none.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::MsgFlags;

use crate::child::{self, Origin, STATUS_FAILED, STATUS_TAKEN};
use crate::landlock;
use crate::plan::{self, Plan, Strings};
use crate::seccomp::Compiled;
use crate::stage::Stage;
use crate::sys;
use crate::wire::{self, Request, Start};

/// The launcher's descriptors are kept above every fixed number of a job, and the job's own above
/// those, so that a number tells whose it is.
pub(crate) const FD_FLOOR: i32 = 64;
const JOB_FD_FLOOR: i32 = FD_FLOOR + 1;
/// Exit codes of a process that never became a job: discarded, and refused.
const EXIT_UNUSED: i32 = 0;
const EXIT_REFUSED: i32 = 126;

type Failure = (Stage, i32);

/// A job with its descriptors: program, three streams, inputs.
pub(crate) type Job = (Start, Vec<OwnedFd>);

/// Waits for a job on the slot's socket. Anything but a job ends the process.
pub(crate) fn take(origin: &Origin<'_>, socket: &OwnedFd, buffer: &mut Vec<u8>) -> Job {
    match wire::receive::<Request>(socket.as_fd(), buffer, MsgFlags::empty()) {
        Ok((Request::Start(start), fds)) => {
            let wall = i32::try_from(start.limits.wall_ms).unwrap_or(i32::MAX);
            child::report(origin.status, STATUS_TAKEN, 0, wall);
            (start, fds)
        }
        // Discarded, or the slot is gone, or it speaks nonsense, which the launcher will hear too.
        _ => child::exit_now(EXIT_UNUSED),
    }
}

/// Becomes the job, or says why not.
pub(crate) fn serve(origin: &Origin<'_>, filters: &Compiled, job: Job) -> ! {
    let (stage, errno) = lay_out(origin, filters, job);
    child::report(origin.status, STATUS_FAILED, stage.code(), errno);
    child::exit_now(EXIT_REFUSED)
}

/// Returns only with what went wrong.
fn lay_out(origin: &Origin<'_>, filters: &Compiled, job: Job) -> Failure {
    match steps(origin, filters, job) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

enum Never {}

fn steps(origin: &Origin<'_>, filters: &Compiled, (start, fds): Job) -> Result<Never, Failure> {
    let bad = |errno: i32| (Stage::Request, errno);
    let mut fds: Vec<OwnedFd> = fds
        .into_iter()
        .map(|fd| sys::duplicate_above(fd.as_fd(), JOB_FD_FLOOR).map_err(bad))
        .collect::<Result<_, _>>()?;
    if fds.len() != 4 + usize::from(start.inputs) {
        return Err(bad(libc::EBADMSG));
    }
    let program = fds.remove(0);
    let argv = Strings::new(&start.args).map_err(bad)?;
    let envp = Strings::new(&start.env).map_err(bad)?;
    let scratch = start.scratch.map(plan::scratch_options).transpose();
    let scratch = scratch.map_err(bad)?;
    let program_path = plan::program_path(&start.program_path).map_err(bad)?;
    child::mark(origin, Stage::Request);
    let ruleset = landlock::ruleset(program.as_fd()).map_err(|e| (Stage::Landlock, e))?;
    let filters = filters.of(start.profile, &start.limits);
    let plan = Plan {
        argv: &argv.pointers,
        envp: &envp.pointers,
        scratch: scratch.as_deref(),
        scratch_rights: landlock::scratch_rights(),
        ruleset: ruleset.as_raw_fd(),
        rlimits: &plan::rlimits(&start),
        moves: &plan::moves(&fds),
        program: program.as_raw_fd(),
        program_path: program_path.as_deref(),
        filter: &filters.program,
    };
    child::become_job(origin, &plan)
}
