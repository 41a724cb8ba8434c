//! How a command of this crate fails: a stable code, an exit code, and the next thing to try.

use std::borrow::Cow;

use thiserror::Error;

/// Usage: also what this build cannot do.
pub const EXIT_USAGE: u8 = 2;
/// Not found.
pub const EXIT_NOT_FOUND: u8 = 3;
/// Unreachable, not ready, timed out, port taken.
pub const EXIT_UNAVAILABLE: u8 = 4;
/// An assertion was false.
pub const EXIT_FALSE: u8 = 8;
/// A durable write failed.
pub const EXIT_STORAGE: u8 = 76;
/// Bad configuration.
pub const EXIT_CONFIG: u8 = 78;
/// Somebody pressed Ctrl-C while a command was at work.
pub const EXIT_INTERRUPTED: u8 = 130;

/// A failure with its place in the table of exit codes (operations.md).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct CommandError {
    /// The process's exit code.
    pub exit: u8,
    /// Stable, for programs.
    pub code: Cow<'static, str>,
    /// What went wrong, for people.
    pub detail: String,
    /// What to try next.
    pub hint: String,
}

impl CommandError {
    /// The net cannot be reached or did not get ready.
    pub fn unavailable(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        let (detail, hint) = (detail.into(), hint.into());
        Self {
            exit: EXIT_UNAVAILABLE,
            code: "testnet.unavailable".into(),
            detail,
            hint,
        }
    }

    /// What the disk refused becomes exit 4: the message names the path. Anything else stays as it is.
    #[must_use]
    pub fn of_disk(error: anyhow::Error) -> anyhow::Error {
        let by_disk = error.chain().any(|cause| cause.is::<std::io::Error>());
        if error.is::<Self>() || !by_disk {
            return error;
        }
        Self::unwritten(format!("{error:#}")).into()
    }

    /// The disk has no room for a net, or refuses it otherwise.
    #[must_use]
    pub fn unwritten(detail: impl Into<String>) -> Self {
        let hint = "make room there, then begin anew: `palisade testnet up --fresh`, or \
                    `testnet init` into an empty folder";
        Self::unavailable(detail, hint)
    }

    /// Stdout did not take what it was given.
    #[must_use]
    pub fn unprinted(error: &std::io::Error) -> Self {
        Self {
            exit: EXIT_STORAGE,
            code: "storage.failed".into(),
            detail: format!("cannot write to stdout: {error}"),
            hint: "make room where stdout goes; `palisade testnet status` shows what runs".into(),
        }
    }

    /// A file of a net is not what was written.
    #[must_use]
    pub fn damaged(path: &std::path::Path, why: &dyn std::fmt::Display) -> Self {
        let detail = format!("{} cannot be read: {why}", path.display());
        let hint = "put it back as it was; `palisade testnet down` ends the net all the same, and \
                    `palisade testnet up --fresh` begins anew";
        Self::unavailable(detail, hint)
    }

    /// This build has no profiles.
    pub fn left_out(what: &str) -> Self {
        Self {
            exit: EXIT_USAGE,
            code: "testnet.left_out".into(),
            detail: format!("{what} needs rehearsed misdeeds, which this build leaves out"),
            hint: "build with the feature `byzantine`, on by default in the repository".into(),
        }
    }

    /// Something named does not exist.
    pub fn not_found(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        let (detail, hint) = (detail.into(), hint.into());
        Self {
            exit: EXIT_NOT_FOUND,
            code: "testnet.not_found".into(),
            detail,
            hint,
        }
    }

    /// What was claimed is false.
    pub fn assertion(detail: impl Into<String>) -> Self {
        let hint = "`palisade testnet status` and `palisade testnet logs` show the net".into();
        Self {
            exit: EXIT_FALSE,
            code: "testnet.false".into(),
            detail: detail.into(),
            hint,
        }
    }

    /// The manifest or a flag is wrong.
    pub fn config(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        let (detail, hint) = (detail.into(), hint.into());
        Self {
            exit: EXIT_CONFIG,
            code: "testnet.config".into(),
            detail,
            hint,
        }
    }

    /// Seeds of the simulator broke an oracle.
    #[must_use]
    pub fn broken_oracle(scenarios: usize, replay: &str) -> Self {
        Self {
            exit: EXIT_FALSE,
            code: "testnet.false".into(),
            detail: format!("{scenarios} scenarios broke an oracle"),
            hint: format!(
                "`{replay}` runs the first again; docs/simulator.md explains the oracles"
            ),
        }
    }

    /// Ctrl-C before the simulator was through.
    #[must_use]
    pub fn interrupted(seeds: u64) -> Self {
        Self {
            exit: EXIT_INTERRUPTED,
            code: "testnet.interrupted".into(),
            detail: format!("interrupted after {seeds} seeds, all of which held"),
            hint: "the report above covers the seeds that were run".into(),
        }
    }
}
