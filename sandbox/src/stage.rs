//! Where in the set-up a job was when it failed.

use crate::wire::{Decode, Encode};

/// One step of the set-up, in order. The code travels from the job to the launcher as one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
#[allow(missing_docs, reason = "each name is the step it stands for")]
pub enum Stage {
    Request = 1,
    Clone = 2,
    IdMap = 3,
    Identity = 4,
    ParentDeath = 5,
    Session = 6,
    Hostname = 7,
    Priority = 8,
    MountPrivate = 9,
    Root = 10,
    Scratch = 11,
    Pivot = 12,
    Rlimit = 13,
    NoNewPrivileges = 14,
    Mdwe = 15,
    Landlock = 16,
    Capabilities = 17,
    Descriptors = 18,
    Init = 19,
    Seccomp = 20,
    Exec = 21,
}

impl Stage {
    /// All stages in the order they are passed.
    pub const ALL: [Stage; 21] = [
        Stage::Request,
        Stage::Clone,
        Stage::IdMap,
        Stage::Identity,
        Stage::ParentDeath,
        Stage::Session,
        Stage::Hostname,
        Stage::Priority,
        Stage::MountPrivate,
        Stage::Root,
        Stage::Scratch,
        Stage::Pivot,
        Stage::Rlimit,
        Stage::NoNewPrivileges,
        Stage::Mdwe,
        Stage::Landlock,
        Stage::Capabilities,
        Stage::Descriptors,
        Stage::Init,
        Stage::Seccomp,
        Stage::Exec,
    ];

    /// The byte a child sends.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether a failure here means that this host does not let us have namespaces.
    #[must_use]
    pub const fn needs_namespaces(self) -> bool {
        matches!(
            self,
            Stage::Clone
                | Stage::IdMap
                | Stage::Identity
                | Stage::Hostname
                | Stage::MountPrivate
                | Stage::Root
                | Stage::Pivot
        )
    }

    /// The stage of a byte, if it is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_order_and_round_trip() {
        for (stage, code) in Stage::ALL.into_iter().zip(1..) {
            assert_eq!(stage.code(), code);
            assert_eq!(Stage::from_code(code), Some(stage));
        }
        assert_eq!(Stage::from_code(0), None);
        assert_eq!(Stage::from_code(22), None);
    }
}
