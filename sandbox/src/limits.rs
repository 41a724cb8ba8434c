//! What a job may consume, and the ceilings no caller may exceed.

use std::time::Duration;

use crate::error::SpecError;
use crate::spec::Profile;
use crate::wire::{Decode, Encode};

/// Most inputs a job can get; with the fixed descriptors they stay below the runner's 16.
pub const INPUTS_MAX: usize = 8;
/// Standard streams, inputs, program and status must fit the tightest descriptor limit.
const _: () = assert!(INPUTS_MAX as u64 + 5 <= RUNNER_FILES);
/// Most bytes of arguments and environment together: they travel to the launcher in one message.
pub const ARGUMENT_BYTES_MAX: usize = 160 * 1024;
/// Most scratch files one job may hand back.
pub const COLLECT_FILES_MAX: usize = 64;
/// Stack of a job, fixed.
pub(crate) const STACK_BYTES: u64 = 8 << 20;
/// Pending signals of a job, fixed.
pub(crate) const SIGPENDING: u64 = 64;

const RUNNER_FILES: u64 = 16;
const MIB: u64 = 1 << 20;

/// Bounds on one run. Every field has a ceiling per profile; zero is refused where it would mean
/// "no limit" or "cannot run".
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Limits {
    /// Wall-clock time in milliseconds.
    pub wall_ms: u64,
    /// CPU time in seconds.
    pub cpu_seconds: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Address space in bytes (native only; `None` leaves it unlimited).
    pub address_space_bytes: Option<u64>,
    /// Threads and processes together.
    pub tasks: u64,
    /// Open descriptors.
    pub open_files: u64,
    /// Size of any file written, in bytes.
    pub file_bytes: u64,
    /// Bytes on standard input.
    pub stdin_bytes: u64,
    /// Bytes on standard output.
    pub stdout_bytes: u64,
    /// Bytes on standard error.
    pub stderr_bytes: u64,
}

impl Limits {
    /// The ceiling, which is also the default, of a profile.
    #[must_use]
    pub fn ceiling(profile: Profile) -> Self {
        let runner = Limits {
            wall_ms: 30_000,
            cpu_seconds: 20,
            memory_bytes: 512 * MIB,
            address_space_bytes: None,
            tasks: 4,
            open_files: RUNNER_FILES,
            file_bytes: 0,
            stdin_bytes: 8 * MIB,
            stdout_bytes: 4 * MIB + 64 * 1024,
            stderr_bytes: 64 * 1024,
        };
        match profile {
            Profile::Runner => runner,
            Profile::Native => Limits {
                address_space_bytes: Some(1024 * MIB),
                tasks: 32,
                open_files: 64,
                file_bytes: 16 * MIB,
                stdout_bytes: MIB,
                ..runner
            },
        }
    }

    /// Wall-clock limit as a duration.
    #[must_use]
    pub fn wall(&self) -> Duration {
        Duration::from_millis(self.wall_ms)
    }

    pub(crate) fn check(&self, profile: Profile) -> Result<(), SpecError> {
        let top = Limits::ceiling(profile);
        let rows = [
            ("wall_ms", self.wall_ms, 1, top.wall_ms),
            ("cpu_seconds", self.cpu_seconds, 1, top.cpu_seconds),
            ("memory_bytes", self.memory_bytes, 4 * MIB, top.memory_bytes),
            ("tasks", self.tasks, 1, top.tasks),
            (
                "open_files",
                self.open_files,
                INPUTS_MAX as u64 + 5,
                top.open_files,
            ),
            ("file_bytes", self.file_bytes, 0, top.file_bytes),
            ("stdin_bytes", self.stdin_bytes, 0, top.stdin_bytes),
            ("stdout_bytes", self.stdout_bytes, 0, top.stdout_bytes),
            ("stderr_bytes", self.stderr_bytes, 0, top.stderr_bytes),
        ];
        for (limit, value, least, most) in rows {
            if value < least || value > most {
                return Err(SpecError::Limit {
                    limit,
                    value,
                    least,
                    most,
                });
            }
        }
        match (self.address_space_bytes, top.address_space_bytes) {
            (Some(_), None) => Err(SpecError::AddressSpaceInRunner),
            (Some(value), Some(most)) if value > most || value < 16 * MIB => {
                Err(SpecError::Limit {
                    limit: "address_space_bytes",
                    value,
                    least: 16 * MIB,
                    most,
                })
            }
            _ => Ok(()),
        }
    }
}
