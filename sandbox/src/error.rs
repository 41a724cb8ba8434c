//! Errors, one enum per operation.

use std::io;

/// A `Spec` that is refused before any process is started.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// A limit is below what makes sense or above the profile's ceiling.
    #[error("limit {limit} is {value}, must be {least}..={most}")]
    Limit {
        /// Field name.
        limit: &'static str,
        /// Value given.
        value: u64,
        /// Least value allowed.
        least: u64,
        /// Ceiling.
        most: u64,
    },
    /// The runner reserves address space freely; limiting it would break it, so it is refused.
    #[error("address_space_bytes cannot be set for the runner profile")]
    AddressSpaceInRunner,
    /// More inputs than fixed descriptors.
    #[error("{count} inputs, at most {most}")]
    TooManyInputs {
        /// Number given.
        count: usize,
        /// Ceiling.
        most: usize,
    },
    /// An input is not a regular file or memory file.
    #[error("input {index} is not a regular file")]
    InputNotRegular {
        /// Which input.
        index: usize,
    },
    /// An input could be written by the job.
    #[error("input {index} is writable: open it read-only or seal the memory file")]
    InputWritable {
        /// Which input.
        index: usize,
    },
    /// An input descriptor could not be examined or reopened.
    #[error("input {index}: errno {errno}")]
    Input {
        /// Which input.
        index: usize,
        /// What the kernel said.
        errno: i32,
    },
    /// An argument or environment entry holds a NUL byte.
    #[error("NUL byte in argument or environment entry {index}")]
    Nul {
        /// Index among arguments, then environment.
        index: usize,
    },
    /// No argument vector at all.
    #[error("args must hold at least the program's name")]
    NoArguments,
    /// Arguments and environment together are too long for one launcher message.
    #[error("{bytes} bytes of arguments and environment, at most {most}")]
    ArgumentBytes {
        /// Bytes given.
        bytes: usize,
        /// Ceiling.
        most: usize,
    },
    /// An environment entry outside the allow-list.
    #[error("environment entry {index} is not on the allow-list: {}", crate::spec::ENVIRONMENT_ALLOWED.join(", "))]
    Environment {
        /// Which entry.
        index: usize,
    },
    /// Standard input is longer than its limit.
    #[error("{bytes} bytes of stdin, at most {most}")]
    Stdin {
        /// Bytes given.
        bytes: u64,
        /// Ceiling.
        most: u64,
    },
    /// The runner has no writable path.
    #[error("the runner profile has no scratch directory")]
    ScratchInRunner,
    /// Scratch limits out of range, or bad names to collect.
    #[error("scratch: {0}")]
    Scratch(&'static str),
    /// This host's tier does not allow the profile.
    #[error("profile {profile} is not allowed on tier {tier}")]
    Tier {
        /// Profile asked for.
        profile: &'static str,
        /// Tier found.
        tier: String,
    },
}

/// A launcher could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The launcher binary could not be started at all.
    #[error("cannot start launcher {program}: {source}")]
    Start {
        /// Binary.
        program: String,
        /// Cause.
        source: io::Error,
    },
    /// The work directory or its empty root could not be made.
    #[error("cannot prepare {path}: {source}")]
    Directory {
        /// Path.
        path: String,
        /// Cause.
        source: io::Error,
    },
    /// The control group of the slot could not be made or joined.
    #[error("control group: {source}")]
    Cgroup {
        /// Cause.
        source: io::Error,
    },
    /// The launcher started and then did not become ready.
    #[error("launcher not ready: {0}")]
    NotReady(String),
}

/// The sandbox stays closed: no job is run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Closed {
    /// The host lacks a layer and no named degradation covers it.
    #[error("tier {tier} needs allow_degraded = {missing:?}")]
    Tier {
        /// What was found.
        tier: String,
        /// Names that would have to be allowed.
        missing: Vec<&'static str>,
    },
    /// A mechanism without which nothing ever runs.
    #[error("{0}")]
    Requirement(String),
    /// A probe that should have been refused was not.
    #[error("self-test failed: {0}")]
    SelfTest(String),
    /// The self-test has not been run.
    #[error("the self-test has not been run")]
    Untested,
    /// A launcher could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// `seal` could not install the second filter: the caller must end the process.
#[derive(Debug, thiserror::Error)]
#[error("second seccomp filter not installed: {0}")]
pub struct SealError(pub(crate) String);
