//! What everybody reads: the state after the last committed block, immutable.

use std::sync::Arc;

use ledger::State;
use protocol::block::Header;
use protocol::digest::{BlockId, ValidatorId};
use protocol::keys::PublicKey;
use protocol::units::Height;
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;

/// The chain as of one committed height. Cheap to clone, and never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last committed height; zero before the first block.
    pub height: Height,
    /// The block there; the chain id before the first block.
    pub block: BlockId,
    /// Its header; none before the first block.
    pub header: Option<Header>,
    /// What proves it; none before the first block.
    pub certificate: Option<Arc<CommitCertificate>>,
    /// The state after it.
    pub state: State,
}

impl Snapshot {
    /// The snapshot of a state whose last block had this header and certificate.
    #[must_use]
    pub fn new(
        state: State,
        header: Option<Header>,
        certificate: Option<Arc<CommitCertificate>>,
    ) -> Self {
        let head = state.head();
        Self {
            height: head.height,
            block: head.block,
            header,
            certificate,
            state,
        }
    }

    /// The validator that holds this session key now.
    #[must_use]
    pub fn session_holder(&self, key: &PublicKey) -> Option<ValidatorId> {
        self.state.session_holder(key)
    }

    /// The set that agrees on the next height.
    #[must_use]
    pub fn next_set(&self) -> ValidatorSet {
        self.state
            .validator_set(self.height.next())
            .cloned()
            .unwrap_or_default()
    }
}
