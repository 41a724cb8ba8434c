//! What a run hands back.

use std::time::Duration;

use crate::outcome::Outcome;
use crate::stage::Stage;
use crate::tier::Tier;

/// What a run consumed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// From the request to the end of the process.
    pub wall: Duration,
    /// CPU in user mode.
    pub user: Duration,
    /// CPU in the kernel.
    pub system: Duration,
    /// CPU to charge: exact for the runner, by control group for native; without one, native is
    /// charged wall time on every CPU it could use.
    pub cpu: Duration,
    /// Peak memory in bytes.
    pub peak_memory_bytes: u64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
    /// Page faults that did.
    pub major_faults: u64,
    /// Context switches the job asked for.
    pub voluntary_switches: u64,
    /// Context switches forced on it.
    pub involuntary_switches: u64,
    /// Bytes the job took from standard input.
    pub stdin_bytes: u64,
    /// Bytes it wrote to both outputs, as far as they were read.
    pub output_bytes: u64,
}

/// A scratch file named in the spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// Name as given in the spec.
    pub name: String,
    /// Its bytes, or the errno for which it was refused.
    pub content: Result<Vec<u8>, i32>,
}

/// The end of one run.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What it consumed.
    pub usage: Usage,
    /// Standard output up to its limit.
    pub stdout: Vec<u8>,
    /// Standard error up to its limit.
    pub stderr: Vec<u8>,
    /// Scratch files.
    pub files: Vec<Collected>,
    /// Protection under which it ran.
    pub tier: Tier,
    /// From the request until a process had taken the job.
    pub setup: Duration,
    /// Stages of the set-up and when each was passed, by the monotonic clock of this host. Those
    /// before `Stage::Request` may lie long before the job.
    pub steps: Vec<(Stage, Duration)>,
}
