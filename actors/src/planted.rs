//! Faults planted on purpose, so that the simulator can show that it would notice them.
//!
//! Without the feature `planted` nothing can be planted and every question is a constant `false`.

/// One fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Bug {
    /// All commits of a validator have one salt.
    SaltReused,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::SaltReused];
}

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// While it lives, this thread's nodes have the fault.
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
