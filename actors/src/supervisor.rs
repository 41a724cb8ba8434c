//! The one way to stop the node: `Fatal(reason)`, told from anywhere, heard by the binary.
//!
//! The first reason wins. From that moment every mailbox discards what it holds, so nothing is
//! signed or sent after the fault was noticed; the binary writes `run/halt.json` and exits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Why the process must end. The exit codes are part of the public interface (operations.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HaltReason {
    /// An actor panicked, or a mailbox that must never fill did. A restart replays.
    Stuck,
    /// The ledger broke one of its own invariants.
    InvariantBroken,
    /// Evidence that others hold names our own key.
    OwnKeyInEvidence,
    /// Another process signs with our key.
    Doppelganger,
    /// Our state or replay differs from what was certified.
    Divergence,
    /// Another binary is needed.
    Upgrade,
    /// Sign-state missing, locked, or refusing a signature.
    SignState,
    /// A durable write failed, or acknowledged bytes are damaged.
    Durability,
    /// Two certificates for one height.
    Fork,
    /// The configuration cannot be run.
    Configuration,
}

impl HaltReason {
    /// Every reason, in order of exit code.
    pub const ALL: [Self; 10] = [
        Self::Stuck,
        Self::InvariantBroken,
        Self::OwnKeyInEvidence,
        Self::Doppelganger,
        Self::Divergence,
        Self::Upgrade,
        Self::SignState,
        Self::Durability,
        Self::Fork,
        Self::Configuration,
    ];

    /// The process exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Stuck => 69,
            Self::InvariantBroken => 70,
            Self::OwnKeyInEvidence => 71,
            Self::Doppelganger => 72,
            Self::Divergence => 73,
            Self::Upgrade => 74,
            Self::SignState => 75,
            Self::Durability => 76,
            Self::Fork => 77,
            Self::Configuration => 78,
        }
    }

    /// The name in `halt.json` and in the metric `palisade_halted`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::InvariantBroken => "invariant_broken",
            Self::OwnKeyInEvidence => "own_key_in_evidence",
            Self::Doppelganger => "doppelganger",
            Self::Divergence => "divergence",
            Self::Upgrade => "upgrade",
            Self::SignState => "sign_state",
            Self::Durability => "durability",
            Self::Fork => "fork",
            Self::Configuration => "configuration",
        }
    }

    /// The reason of an exit kind that storage reports.
    #[must_use]
    pub const fn of_exit_code(code: u8) -> Self {
        match code {
            70 => Self::InvariantBroken,
            71 => Self::OwnKeyInEvidence,
            72 => Self::Doppelganger,
            73 => Self::Divergence,
            74 => Self::Upgrade,
            75 => Self::SignState,
            76 => Self::Durability,
            77 => Self::Fork,
            78 => Self::Configuration,
            _ => Self::Stuck,
        }
    }
}

/// The last message of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal {
    /// Which rule stops it.
    pub reason: HaltReason,
    /// For people: the values that disagree.
    pub detail: String,
    /// Height being worked on, if known.
    pub height: Option<u64>,
    /// Signed statements that prove the fault, in hexadecimal.
    pub evidence: Vec<String>,
}

impl Fatal {
    /// A fault without evidence.
    #[must_use]
    pub fn new(reason: HaltReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            height: None,
            evidence: Vec::new(),
        }
    }
}

/// Handed to every part that can fail for good.
#[derive(Clone, Debug)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    first: watch::Sender<Option<Fatal>>,
    /// Set by a fault and by an orderly stop: mailboxes handle nothing more.
    closed: AtomicBool,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            first: watch::Sender::new(None),
            closed: AtomicBool::new(false),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Stops the node for this reason, unless it already stops for another.
    pub fn raise(&self, fatal: Fatal) {
        if self.inner.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::error!(reason = fatal.reason.name(), detail = %fatal.detail, "node_halts");
        self.inner.first.send_replace(Some(fatal));
    }

    /// Stops handling messages without a fault.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::SeqCst);
    }

    /// Whether mailboxes must discard what they hold.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::SeqCst)
    }

    /// Where the binary waits for the fault.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Fatal>> {
        self.inner.first.subscribe()
    }

    /// The fault, once there is one.
    #[must_use]
    pub fn fatal(&self) -> Option<Fatal> {
        self.inner.first.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_fault_wins_and_closes() {
        let supervisor = Supervisor::new();
        assert!(!supervisor.is_closed());
        supervisor.raise(Fatal::new(HaltReason::Fork, "first"));
        supervisor.raise(Fatal::new(HaltReason::Stuck, "second"));
        assert!(supervisor.is_closed());
        assert_eq!(
            supervisor.fatal().map(|fatal| fatal.reason),
            Some(HaltReason::Fork)
        );
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = HaltReason::ALL.map(HaltReason::exit_code);
        assert_eq!(codes, [69, 70, 71, 72, 73, 74, 75, 76, 77, 78]);
        for reason in HaltReason::ALL {
            assert_eq!(HaltReason::of_exit_code(reason.exit_code()), reason);
        }
    }

    #[test]
    fn an_orderly_stop_is_no_fault() {
        let supervisor = Supervisor::new();
        supervisor.close();
        supervisor.raise(Fatal::new(HaltReason::Stuck, "a mailbox closing down"));
        assert_eq!(supervisor.fatal(), None);
    }
}
