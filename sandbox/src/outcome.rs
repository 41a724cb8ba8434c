//! How a run ended: facts about this host, the first recorded cause winning.

use std::fmt;

use crate::stage::Stage;

/// An output of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How one run ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The program returned this code.
    Exited(i32),
    /// The program died of this signal, none of the causes below.
    Signaled(i32),
    /// Wall-clock limit.
    WallTimeout,
    /// CPU limit.
    CpuTimeout,
    /// Memory limit.
    MemoryLimit,
    /// A stream exceeded its limit.
    OutputLimit {
        /// Which one.
        stream: Stream,
    },
    /// Task limit.
    PidsLimit,
    /// A file grew past its limit.
    FileSizeLimit,
    /// A forbidden system call. The number is best effort.
    SeccompViolation {
        /// Number of the call, where known.
        nr: Option<u32>,
    },
    /// The caller's `Cancel`.
    Cancelled,
    /// The program was never started.
    SetupFailed {
        /// Step that failed.
        stage: Stage,
        /// What the kernel said.
        errno: i32,
    },
    /// The launcher died or stopped answering.
    LauncherLost,
}

impl Outcome {
    /// Stable snake-case name: metric label and report field.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Outcome::Exited(_) => "exited",
            Outcome::Signaled(_) => "signaled",
            Outcome::WallTimeout => "wall_timeout",
            Outcome::CpuTimeout => "cpu_timeout",
            Outcome::MemoryLimit => "memory_limit",
            Outcome::OutputLimit { .. } => "output_limit",
            Outcome::PidsLimit => "pids_limit",
            Outcome::FileSizeLimit => "file_size_limit",
            Outcome::SeccompViolation { .. } => "seccomp_violation",
            Outcome::Cancelled => "cancelled",
            Outcome::SetupFailed { .. } => "setup_failed",
            Outcome::LauncherLost => "launcher_lost",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited(code) => write!(f, "exited {code}"),
            Outcome::Signaled(signal) => write!(f, "signaled {signal}"),
            Outcome::SetupFailed { stage, errno } => {
                write!(f, "setup_failed at {stage:?}, errno {errno}")
            }
            other => f.write_str(other.label()),
        }
    }
}

/// How the program's process ended, as its parent saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Exited(i32),
    Signaled(i32),
}

impl End {
    /// From the raw status of `wait4`.
    pub(crate) fn from_wait_status(status: i32) -> End {
        if libc::WIFSIGNALED(status) {
            End::Signaled(libc::WTERMSIG(status))
        } else {
            End::Exited(libc::WEXITSTATUS(status))
        }
    }

    /// From the code and status of `waitid`.
    pub(crate) fn from_siginfo(code: i32, status: i32) -> End {
        if code == libc::CLD_EXITED {
            End::Exited(status)
        } else {
            End::Signaled(status)
        }
    }
}

/// Everything known about an end; `attribute` makes one outcome of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    /// What the supervisor itself did first: noted before its kill.
    pub(crate) ours: Option<Outcome>,
    /// The launcher killed the job for its wall-clock limit before the supervisor came to it.
    pub(crate) overdue: bool,
    pub(crate) setup: Option<(Stage, i32)>,
    pub(crate) end: Option<End>,
    pub(crate) cpu_us: u64,
    pub(crate) cpu_limit_seconds: u64,
    pub(crate) oom_kills: u64,
    pub(crate) pids_refused: u64,
}

/// The first recorded cause: ours, then the launcher's, then set-up, then what killed the process.
pub(crate) fn attribute(evidence: &Evidence) -> Outcome {
    if let Some(ours) = &evidence.ours {
        return ours.clone();
    }
    if evidence.overdue {
        return Outcome::WallTimeout;
    }
    if let Some((stage, errno)) = evidence.setup {
        return Outcome::SetupFailed { stage, errno };
    }
    let Some(end) = evidence.end else {
        return Outcome::LauncherLost;
    };
    let cpu_spent = evidence.cpu_us >= evidence.cpu_limit_seconds.saturating_mul(1_000_000);
    match end {
        End::Signaled(libc::SIGSYS) => Outcome::SeccompViolation { nr: None },
        End::Signaled(libc::SIGXFSZ) => Outcome::FileSizeLimit,
        End::Signaled(libc::SIGXCPU) => Outcome::CpuTimeout,
        End::Signaled(libc::SIGKILL) if cpu_spent => Outcome::CpuTimeout,
        End::Exited(0) => Outcome::Exited(0),
        _ if evidence.oom_kills > 0 => Outcome::MemoryLimit,
        _ if evidence.pids_refused > 0 => Outcome::PidsLimit,
        End::Exited(code) => Outcome::Exited(code),
        End::Signaled(signal) => Outcome::Signaled(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(end: End) -> Evidence {
        Evidence {
            end: Some(end),
            cpu_limit_seconds: 20,
            ..Evidence::default()
        }
    }

    #[test]
    fn plain_ends_pass_through() {
        assert_eq!(attribute(&ended(End::Exited(3))), Outcome::Exited(3));
        assert_eq!(attribute(&ended(End::Signaled(11))), Outcome::Signaled(11));
        assert_eq!(attribute(&Evidence::default()), Outcome::LauncherLost);
    }

    #[test]
    fn signals_of_the_kernel_have_names() {
        let violation = Outcome::SeccompViolation { nr: None };
        assert_eq!(attribute(&ended(End::Signaled(libc::SIGSYS))), violation);
        assert_eq!(
            attribute(&ended(End::Signaled(libc::SIGXFSZ))),
            Outcome::FileSizeLimit
        );
        assert_eq!(
            attribute(&ended(End::Signaled(libc::SIGXCPU))),
            Outcome::CpuTimeout
        );
    }

    /// Our kill looks like any other: what was noted before it decides.
    #[test]
    fn our_own_cause_comes_first() {
        let evidence = Evidence {
            ours: Some(Outcome::WallTimeout),
            setup: Some((Stage::Exec, 8)),
            oom_kills: 1,
            pids_refused: 1,
            cpu_us: 100_000_000,
            ..ended(End::Signaled(libc::SIGKILL))
        };
        assert_eq!(attribute(&evidence), Outcome::WallTimeout);
        let evidence = Evidence {
            ours: None,
            ..evidence
        };
        let failed = Outcome::SetupFailed {
            stage: Stage::Exec,
            errno: 8,
        };
        assert_eq!(attribute(&evidence), failed);
        let evidence = Evidence {
            setup: None,
            ..evidence
        };
        assert_eq!(attribute(&evidence), Outcome::CpuTimeout);
        let evidence = Evidence {
            cpu_us: 0,
            ..evidence
        };
        assert_eq!(attribute(&evidence), Outcome::MemoryLimit);
        let evidence = Evidence {
            oom_kills: 0,
            ..evidence
        };
        assert_eq!(attribute(&evidence), Outcome::PidsLimit);
        let evidence = Evidence {
            pids_refused: 0,
            ..evidence
        };
        assert_eq!(attribute(&evidence), Outcome::Signaled(libc::SIGKILL));
    }

    /// A supervisor that nothing scheduled for a second after the deadline noted nothing.
    #[test]
    fn the_launchers_kill_is_the_wall_clock_limit() {
        let evidence = Evidence {
            overdue: true,
            cpu_us: 100_000_000,
            oom_kills: 1,
            ..ended(End::Signaled(libc::SIGKILL))
        };
        assert_eq!(attribute(&evidence), Outcome::WallTimeout);
        let cancelled = Evidence {
            ours: Some(Outcome::Cancelled),
            ..evidence
        };
        assert_eq!(attribute(&cancelled), Outcome::Cancelled, "it came first");
    }

    /// A job may lose a child to a limit and still finish its work.
    #[test]
    fn success_is_success_whatever_the_counters_say() {
        let evidence = Evidence {
            oom_kills: 1,
            pids_refused: 9,
            ..ended(End::Exited(0))
        };
        assert_eq!(attribute(&evidence), Outcome::Exited(0));
        let evidence = Evidence {
            pids_refused: 9,
            ..ended(End::Exited(1))
        };
        assert_eq!(attribute(&evidence), Outcome::PidsLimit);
    }

    #[test]
    fn wait_statuses_and_siginfo_agree() {
        assert_eq!(End::from_wait_status(7 << 8), End::Exited(7));
        assert_eq!(End::from_wait_status(9), End::Signaled(9));
        // With a core dump noted in bit 7.
        assert_eq!(End::from_wait_status(0x80 | 6), End::Signaled(6));
        assert_eq!(End::from_siginfo(libc::CLD_EXITED, 7), End::Exited(7));
        assert_eq!(End::from_siginfo(libc::CLD_KILLED, 9), End::Signaled(9));
        assert_eq!(End::from_siginfo(libc::CLD_DUMPED, 6), End::Signaled(6));
    }

    #[test]
    fn labels_are_unique() {
        let all = [
            Outcome::Exited(0),
            Outcome::Signaled(1),
            Outcome::WallTimeout,
            Outcome::CpuTimeout,
            Outcome::MemoryLimit,
            Outcome::OutputLimit {
                stream: Stream::Stdout,
            },
            Outcome::PidsLimit,
            Outcome::FileSizeLimit,
            Outcome::SeccompViolation { nr: None },
            Outcome::Cancelled,
            Outcome::SetupFailed {
                stage: Stage::Exec,
                errno: 0,
            },
            Outcome::LauncherLost,
        ];
        let labels: std::collections::BTreeSet<_> = all.iter().map(Outcome::label).collect();
        assert_eq!(labels.len(), all.len());
    }
}
