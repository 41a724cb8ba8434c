//! What a peer is to the network.

use std::fmt;

/// A node's role; claimed in `hello`, believed only with a proof where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Takes part in consensus.
    Validator,
    /// Stands in front of a validator.
    Sentry,
    /// Relays, serves sync.
    Full,
    /// Observes and submits.
    Client,
}

impl Role {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Validator => 0,
            Self::Sentry => 1,
            Self::Full => 2,
            Self::Client => 3,
        }
    }

    /// The role with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Validator),
            1 => Some(Self::Sentry),
            2 => Some(Self::Full),
            3 => Some(Self::Client),
            _ => None,
        }
    }

    /// The word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Sentry => "sentry",
            Self::Full => "full",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
