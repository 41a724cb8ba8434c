//! Where in the set-up a job was when it failed.

use crate::wire::{Decode, Encode};

/// One step of the set-up, in order. Those before `Request` are passed before a job is known, if
/// there is time. The code travels from the job to the launcher as one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[repr(u8)]
#[allow(missing_docs, reason = "each name is the step it stands for")]
pub enum Stage {
    Clone = 1,
    IdMap = 2,
    Identity = 3,
    ParentDeath = 4,
    Session = 5,
    Hostname = 6,
    Priority = 7,
    MountPrivate = 8,
    Root = 9,
    Pivot = 10,
    NoNewPrivileges = 11,
    Mdwe = 12,
    Capabilities = 13,
    Init = 14,
    Request = 15,
    Scratch = 16,
    Rlimit = 17,
    Landlock = 18,
    Descriptors = 19,
    Seccomp = 20,
    Exec = 21,
}

impl Stage {
    /// All stages in the order they are passed.
    pub const ALL: [Stage; 21] = [
        Stage::Clone,
        Stage::IdMap,
        Stage::Identity,
        Stage::ParentDeath,
        Stage::Session,
        Stage::Hostname,
        Stage::Priority,
        Stage::MountPrivate,
        Stage::Root,
        Stage::Pivot,
        Stage::NoNewPrivileges,
        Stage::Mdwe,
        Stage::Capabilities,
        Stage::Init,
        Stage::Request,
        Stage::Scratch,
        Stage::Rlimit,
        Stage::Landlock,
        Stage::Descriptors,
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
