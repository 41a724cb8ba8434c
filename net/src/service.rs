//! The request-response protocols: names, caps, timeouts, streams.

use std::time::Duration;

/// A request-response protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Who we are; first thing on a connection.
    Hello,
    /// The tip, every ten seconds.
    Status,
    /// Votes of one round that the asker lacks.
    Voteset,
    /// A block's body by id.
    Body,
    /// Decided blocks from a height on.
    Sync,
    /// One chunk of a blob.
    Blob,
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

impl Service {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Hello,
        Self::Status,
        Self::Voteset,
        Self::Body,
        Self::Sync,
        Self::Blob,
    ];

    /// The name on the wire and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Status => "status",
            Self::Voteset => "voteset",
            Self::Body => "body",
            Self::Sync => "sync",
            Self::Blob => "blob",
        }
    }

    /// Largest request, checked against the length prefix before anything is allocated.
    #[must_use]
    pub const fn request_bytes_max(self) -> usize {
        match self {
            Self::Hello => KIB,
            Self::Status => 64,
            Self::Voteset => 16 * KIB,
            Self::Body | Self::Blob => 128,
            Self::Sync => 256,
        }
    }

    /// Largest response, checked likewise.
    #[must_use]
    pub const fn response_bytes_max(self) -> usize {
        match self {
            Self::Hello => KIB,
            Self::Status => 128,
            Self::Voteset => 64 * KIB,
            Self::Body => MIB + KIB,
            Self::Sync => 4 * MIB,
            Self::Blob => 256 * KIB + 64,
        }
    }

    /// How long a request may take, answer included.
    #[must_use]
    pub const fn timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::Hello | Self::Status | Self::Body => 3,
            Self::Voteset => 2,
            Self::Sync => 15,
            Self::Blob => 10,
        })
    }

    /// Streams of this protocol that one connection may hold open.
    #[must_use]
    pub const fn streams_max(self) -> usize {
        match self {
            Self::Hello | Self::Status => 1,
            Self::Voteset | Self::Body | Self::Sync => 2,
            Self::Blob => 4,
        }
    }

    /// Position in [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Hello => 0,
            Self::Status => 1,
            Self::Voteset => 2,
            Self::Body => 3,
            Self::Sync => 4,
            Self::Blob => 5,
        }
    }
}
