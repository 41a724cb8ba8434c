//! What the network asks of us: whom to hear, what to serve.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use consensus::Window;
use net::{Access, Admission, BlobRequest, Chunk, DecidedBlock, Tip};
use protocol::codec::decode_canonical;
use protocol::digest::{BlockId, Digest};
use protocol::envelope::{EnvelopeHeader, Kind};
use protocol::keys::PublicKey;
use protocol::limits::VALID_UNTIL_BLOCKS_MAX;
use protocol::manifest::{InputManifest, ModelManifest};
use protocol::units::{Height, Round};
use storage::handle::StorageHandle;
use tokio::sync::watch;

use crate::blobs;
use crate::snapshot::Snapshot;

/// Bytes that one answer to a sync request may gather before it stops reading.
const SYNC_BYTES_MAX: usize = 4 << 20;

/// The newest window and snapshot, read without waiting.
#[derive(Clone, Debug)]
pub(crate) struct Views {
    pub(crate) window: watch::Receiver<Arc<Window>>,
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Admission: consensus messages by the machine's window, the rest by the snapshot's roles.
#[derive(Clone, Debug)]
pub(crate) struct NodeGate(pub(crate) Views);

impl NodeGate {
    /// A transaction for a block that can still come.
    fn timely(&self, valid_until: Height) -> Admission {
        let next = self.0.snapshots.borrow().height.next();
        if valid_until < next {
            Admission::Duplicate
        } else if valid_until > next.plus(VALID_UNTIL_BLOCKS_MAX) {
            Admission::UnknownSet
        } else {
            Admission::Admit
        }
    }

    /// Whether a validator speaks with this key now. A key that we do not know yet is nobody's
    /// fault: it may have been registered in a block that we lack.
    fn is_session(&self, signer: &[u8; 33]) -> bool {
        PublicKey::from_bytes(*signer)
            .is_ok_and(|key| self.0.snapshots.borrow().session_holder(&key).is_some())
    }
}

impl net::Gate for NodeGate {
    fn admit(&self, header: &EnvelopeHeader) -> Admission {
        match header.kind {
            Kind::Prevote | Kind::Precommit | Kind::Proposal => {
                of_consensus(self.0.window.borrow().admit(header))
            }
            Kind::Certificate => match of_consensus(self.0.window.borrow().admit(header)) {
                Admission::Admit | Admission::Late if !self.is_session(&header.signer) => {
                    Admission::UnknownSet
                }
                admission => admission,
            },
            Kind::Tx => self.timely(header.height),
            Kind::Duty if self.is_session(&header.signer) => self.timely(header.height),
            Kind::Pair if self.is_session(&header.signer) => Admission::Admit,
            Kind::Duty | Kind::Pair => Admission::UnknownSet,
        }
    }
}

const fn of_consensus(admission: consensus::admission::Admission) -> Admission {
    use consensus::admission::Admission as Judged;
    match admission {
        Judged::Admit => Admission::Admit,
        Judged::Late => Admission::Late,
        Judged::Ahead => Admission::Ahead,
        Judged::UnknownSet | Judged::NotOurs => Admission::UnknownSet,
        Judged::Duplicate => Admission::Duplicate,
        Judged::Foreign => Admission::Foreign,
    }
}

/// The chain, read-only.
#[derive(Clone, Debug)]
pub(crate) struct NodeChain {
    pub(crate) views: Views,
    pub(crate) storage: StorageHandle,
}

impl net::Chain for NodeChain {
    fn tip(&self) -> Tip {
        let snapshot = self.views.snapshots.borrow();
        Tip {
            height: snapshot.height,
            block: snapshot.block,
        }
    }

    fn round(&self, height: Height, round: Round) -> Vec<Vec<u8>> {
        let window = self.views.window.borrow().clone();
        window.messages(height, round)
    }

    fn body(&self, block: &BlockId) -> Option<Vec<u8>> {
        let window = self.views.window.borrow().clone();
        window.block(block).map(|bytes| bytes.to_vec())
    }

    fn decided(&self, from: Height, count_max: usize) -> Vec<DecidedBlock> {
        let mut found = Vec::new();
        let mut bytes: usize = 0;
        let mut height = from;
        while found.len() < count_max && bytes < SYNC_BYTES_MAX {
            let Ok(Some(stored)) = self.storage.blocks().block(height) else {
                break;
            };
            bytes = bytes
                .saturating_add(stored.block.len())
                .saturating_add(stored.certificate.len());
            found.push(DecidedBlock {
                block: stored.block,
                certificate: stored.certificate,
            });
            height = height.next();
        }
        found
    }
}

/// So many blobs are open at once, the newest: manifests and files of some 16,000 models.
const PUBLIC_BLOBS_MAX: usize = 1 << 15;

/// Which blobs anybody may have: models, and the data of escalated jobs.
#[derive(Clone, Debug, Default)]
pub struct PublicBlobs {
    open: Arc<RwLock<OpenBlobs>>,
}

#[derive(Debug, Default)]
struct OpenBlobs {
    keys: BTreeSet<Digest>,
    order: VecDeque<Digest>,
}

impl PublicBlobs {
    /// Opens a blob to everybody. The one opened first is closed when there are too many; a model
    /// still in use is opened again by its next job.
    pub fn add(&self, key: Digest) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if !open.keys.insert(key) {
            return;
        }
        open.order.push_back(key);
        if open.order.len() > PUBLIC_BLOBS_MAX
            && let Some(oldest) = open.order.pop_front()
        {
            open.keys.remove(&oldest);
        }
    }

    /// Whether everybody may have it.
    #[must_use]
    pub fn contains(&self, key: &Digest) -> bool {
        self.open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys
            .contains(key)
    }

    /// Opens a model's manifest and file, once the manifest is on disk.
    pub fn add_model(&self, storage: &StorageHandle, root: Digest) {
        self.add_named(storage, root, |bytes| {
            decode_canonical::<ModelManifest>(bytes)
                .ok()
                .map(|model| model.file.sha256)
        });
    }

    /// Opens an input's manifest and bundle, once the manifest is on disk.
    pub fn add_input(&self, storage: &StorageHandle, root: Digest) {
        self.add_named(storage, root, |bytes| {
            decode_canonical::<InputManifest>(bytes)
                .ok()
                .map(|input| input.bundle.sha256)
        });
    }

    fn add_named(
        &self,
        storage: &StorageHandle,
        root: Digest,
        file_of: impl FnOnce(&[u8]) -> Option<Digest> + Send + 'static,
    ) {
        let public = self.clone();
        let reply = Box::new(move |outcome: Result<Vec<u8>, _>| {
            if let Some(file) = outcome.ok().and_then(|bytes| file_of(&bytes)) {
                public.add(root);
                public.add(file);
            }
        });
        // Busy storage: it stays closed to strangers until it is opened again.
        let _not_taken = storage.get_blob(root, reply);
    }
}

/// Chunks for others.
#[derive(Clone, Debug)]
pub(crate) struct NodeBlobs {
    pub(crate) storage: StorageHandle,
    pub(crate) public: PublicBlobs,
}

impl net::Blobs for NodeBlobs {
    fn chunk(&self, request: BlobRequest, access: Access) -> Option<Chunk> {
        if access == Access::Public && !self.public.contains(&request.key) {
            return None;
        }
        let size = blobs::length(&self.storage, request.key)?;
        let bytes = blobs::chunk(&self.storage, request.key, request.offset)?;
        Some(Chunk { size, bytes })
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::sha256;

    use super::*;

    #[test]
    fn public_blobs_grow_without_end() {
        let public = PublicBlobs::default();
        let key = |number: usize| sha256(&number.to_be_bytes());
        for number in 0..PUBLIC_BLOBS_MAX + 10 {
            public.add(key(number));
            public.add(key(number));
        }
        assert_eq!(public.open.read().unwrap().keys.len(), PUBLIC_BLOBS_MAX);
        assert_eq!(public.open.read().unwrap().order.len(), PUBLIC_BLOBS_MAX);
        assert!(!public.contains(&key(9)) && public.contains(&key(10)));
    }
}
