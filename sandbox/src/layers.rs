//! Which of the three walls are built.

use crate::wire::{Decode, Encode};

/// The three independent walls. Production builds all; the suite switches single ones off to
/// show that the others hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Layers {
    pub(crate) namespaces: bool,
    pub(crate) landlock: bool,
    pub(crate) seccomp: bool,
}

impl Layers {
    /// All three.
    pub const ALL: Layers = Layers {
        namespaces: true,
        landlock: true,
        seccomp: true,
    };

    /// For hosts without user namespaces, where `sandbox.allow_degraded` names them.
    pub(crate) const WITHOUT_NAMESPACES: Layers = Layers {
        namespaces: false,
        landlock: true,
        seccomp: true,
    };

    /// Any combination; exists only in builds of the attack suite.
    #[cfg(feature = "attack-suite")]
    #[must_use]
    pub const fn only(namespaces: bool, landlock: bool, seccomp: bool) -> Layers {
        Layers {
            namespaces,
            landlock,
            seccomp,
        }
    }
}
