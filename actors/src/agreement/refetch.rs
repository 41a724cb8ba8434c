//! Blocks that were committed here and whose records were lost: fetched from peers again, in the
//! background, while the node goes on with the chain.

mod lost;

use ledger::State;
use net::{ConsensusEvent, DecidedBlock, Offence, PeerId};
use protocol::units::Height;
use protocol::vote::CommitCertificate;
use storage::handle::StorageHandle;
use storage::request::JournalError;

use crate::catalogue::NetworkMail;
use crate::mailbox::Outbox;

use lost::Lied;
pub(crate) use lost::Lost;

/// Asks for what is lost and puts it back.
#[derive(Debug)]
pub(crate) struct Refetch {
    lost: Lost,
    storage: StorageHandle,
    network: Outbox<NetworkMail>,
}

impl Refetch {
    pub(crate) const fn new(
        lost: Lost,
        storage: StorageHandle,
        network: Outbox<NetworkMail>,
    ) -> Self {
        Self {
            lost,
            storage,
            network,
        }
    }

    /// Learns who is there, and keeps the answers to its own questions; the rest goes on.
    pub(super) fn heard(&mut self, event: ConsensusEvent, state: &State) -> Option<ConsensusEvent> {
        match &event {
            ConsensusEvent::Synced { peer, from, blocks } if self.lost.is_ours(*from) => {
                self.answered(*peer, *from, blocks, state);
                return None;
            }
            ConsensusEvent::PeerUp { peer, .. } | ConsensusEvent::Status { peer, .. } => {
                self.lost.met(*peer);
            }
            ConsensusEvent::PeerDown { peer } => self.lost.drop_peer(peer),
            _ => {}
        }
        Some(event)
    }

    /// Asks the next peer. Once a commit, so that neither peers nor the chain are kept busy by it.
    pub(super) fn ask(&mut self) {
        if let Some((peer, height)) = self.lost.ask() {
            let _asked_again = self
                .network
                .try_tell(NetworkMail::AskHeight { peer, height });
        }
    }

    fn answered(&mut self, peer: PeerId, from: Height, blocks: &[DecidedBlock], state: &State) {
        let chain = state.chain_id();
        let is_proof = |certificate: &CommitCertificate| {
            let set = state.validator_set(certificate.height);
            set.is_none_or(|set| certificate.verify(set, &chain).is_ok())
        };
        loop {
            let block = match self.lost.next(from, blocks, &is_proof) {
                Ok(Some(block)) => block,
                Ok(None) => break,
                Err(Lied) => {
                    self.lost.drop_peer(&peer);
                    let offence = Offence::LyingBlock;
                    self.network.tell(NetworkMail::Report { peer, offence });
                    break;
                }
            };
            let height = block.height;
            let reply = Box::new(move |outcome: Result<(), JournalError>| {
                // What ends the process is told to the supervisor by storage itself.
                if let Err(error) = outcome {
                    tracing::warn!(%height, %error, "block_not_put_back");
                }
            });
            // A full queue: the same block is asked for again.
            if self.storage.restore_block(block.clone(), reply).is_err() {
                break;
            }
            self.lost.put_back(&block, self.storage.blocks());
            if self.lost.missing() == 0 {
                tracing::info!("blocks_refetched");
            }
        }
    }
}
