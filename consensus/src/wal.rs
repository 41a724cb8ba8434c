//! Records of the write-ahead log.
//!
//! ```text
//! Input, Own: version u8 = 1 | tag u8 | payload      tags: 1 vote, 2 proposal, 3 timeout, 4 verdict, 5 polka
//! Body:       header ‖ body
//! ```
//! What was received, what was signed, and the blocks that verdicts are about. Replaying them in order
//! leads to the same state; votes and proposals are kept as their envelopes.

use std::sync::Arc;

use protocol::digest::BlockId;
use protocol::units::Height;

use crate::guard::SignMark;

/// One record. To the journal its bytes mean nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// An input of the core: a message, a timeout, a verdict, a certificate.
    Input {
        /// The height it belongs to.
        height: Height,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A message that this node signed.
    Own {
        /// What was signed.
        mark: SignMark,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A block, before the verdict about it: else a cluster that loses power between precommit and
    /// commit is locked on an id that nobody can produce.
    Body {
        /// The height it belongs to.
        height: Height,
        /// The block.
        id: BlockId,
        /// Header and body.
        block: Arc<[u8]>,
    },
}

impl Record {
    /// The height it belongs to; once that is in the block log the record is of no use.
    #[must_use]
    pub const fn height(&self) -> Height {
        match self {
            Self::Input { height, .. } | Self::Body { height, .. } => *height,
            Self::Own { mark, .. } => mark.point.height,
        }
    }
}
