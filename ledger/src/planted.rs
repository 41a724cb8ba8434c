//! Faults planted on purpose, so that the simulator can show that it would notice them.
//!
//! Without the feature `planted` nothing can be planted and every question is a constant `false`.

/// One fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Bug {
    /// What an offence costs is taken two times.
    SlashTwice,
    /// A job that expires keeps its price.
    RefundForgotten,
    /// A seat may reveal while others still commit.
    RevealInCommitPhase,
    /// The list is taken when the draw's seed is known already.
    LateDrawList,
    /// Evidence counts however old it is.
    LateEvidence,
    /// Stake is paid out before evidence against it can have arrived.
    EarlyMaturity,
    /// Whoever misses three of its last twenty seats goes on.
    AbsenceForgiven,
    /// A term for a wrong result does not double.
    SameTermAgain,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SlashTwice,
        Self::RefundForgotten,
        Self::RevealInCommitPhase,
        Self::LateDrawList,
        Self::LateEvidence,
        Self::EarlyMaturity,
        Self::AbsenceForgiven,
        Self::SameTermAgain,
    ];
}

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// While it lives, this thread's ledgers have the fault.
    #[derive(Debug)]
    pub struct Plant(());

    impl Plant {
        /// Plants one fault on this thread, in place of any other.
        #[must_use]
        pub fn new(bug: Bug) -> Self {
            PLANTED.with(|planted| planted.set(Some(bug)));
            Self(())
        }
    }

    impl Drop for Plant {
        fn drop(&mut self) {
            PLANTED.with(|planted| planted.set(None));
        }
    }

    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.with(Cell::get) == Some(bug)
    }
}

#[cfg(feature = "planted")]
pub use switch::Plant;
#[cfg(feature = "planted")]
pub(crate) use switch::is;

/// Whether this fault is planted here.
#[cfg(not(feature = "planted"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
