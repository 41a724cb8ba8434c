//! How a failure of the store ends the process.

/// The exit codes of which storage can be the cause.
///
/// The node translates; storage itself never ends a process. `None` from an error's `exit()`
/// means that the caller asked for something that cannot be had and may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExitKind {
    /// Rebuildable state failed; a restart rebuilds it.
    Rebuild,
    /// The directory was written by a newer layout; another binary is needed.
    NewerLayout,
    /// Sign-state missing, moved, locked by another process, or refusing a signature.
    SignState,
    /// A durable write failed, or acknowledged bytes are damaged.
    Durability,
    /// The directory belongs to another chain.
    Configuration,
}

impl ExitKind {
    /// The process exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Rebuild => 69,
            Self::NewerLayout => 74,
            Self::SignState => 75,
            Self::Durability => 76,
            Self::Configuration => 78,
        }
    }
}
