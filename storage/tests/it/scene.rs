//! What the tests have in common: a home, a chain, a key, and replies that can be waited for.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use protocol::block::HEADER_BYTES;
use protocol::digest::{BlockId, ChainId, Digest, sha256};
use protocol::keys::SecretKey;
use protocol::units::{Height, Round};
use storage::blocks::CommittedBlock;
use storage::layer::{FileLayer, OsLayer};
use storage::paths::SegmentSizes;
use storage::sign::floor::{SignMark, SignPoint, Step};
use storage::sign::portable::StoppedSignState;
use storage::sign::slot::SignerIdentity;
use storage::state::{Backend, StateCommit, StateMeta};
use storage::{ExitKind, HomeLock, Observer, OpenError, Recovered, Reply, Storage, StorageConfig};

pub(crate) fn chain() -> ChainId {
    ChainId::of_genesis(b"storage-tests")
}

pub(crate) fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32]).unwrap()
}

pub(crate) fn identity() -> SignerIdentity {
    SignerIdentity {
        chain: chain(),
        public_key: key().public(),
    }
}

pub(crate) fn os() -> Arc<dyn FileLayer> {
    Arc::new(OsLayer)
}

/// Remembers every fatal failure.
#[derive(Debug, Default)]
pub(crate) struct Fatal(pub(crate) Mutex<Vec<(ExitKind, String)>>);

impl Observer for Fatal {
    fn fatal(&self, exit: ExitKind, reason: &str) {
        self.0.lock().unwrap().push((exit, reason.to_owned()));
    }
}

pub(crate) fn config(home: &Path) -> StorageConfig {
    StorageConfig {
        data: home.join("data"),
        chain: chain(),
        release: "0.1.0".to_owned(),
        signer: Some(key().public()),
        checkpoints: Some(Box::new(key())),
        segments: SegmentSizes {
            wal: 2 << 20,
            blocks: 2 << 20,
            audit: 64 << 10,
        },
        blob_quota_bytes: 64 << 20,
        backend: Backend::Sled,
        layer: os(),
        observer: Arc::new(Fatal::default()),
    }
}

/// Makes the sign-state of a new home.
pub(crate) fn init_sign_state(home: &Path) {
    let lock = HomeLock::acquire(home).unwrap();
    let data = home.join("data");
    std::fs::create_dir_all(&data).unwrap();
    StoppedSignState::new(os(), &data, identity(), &lock)
        .init(Height(0))
        .unwrap();
}

pub(crate) fn open(home: &Path) -> Result<(Storage, Recovered), OpenError> {
    open_with(config(home), home)
}

pub(crate) fn open_with(
    config: StorageConfig,
    home: &Path,
) -> Result<(Storage, Recovered), OpenError> {
    let lock = HomeLock::acquire(home)?;
    storage::open(config, lock)
}

/// A reply and where its outcome arrives.
pub(crate) fn reply<T: Send + 'static, E: Send + 'static>() -> (Reply<T, E>, Receiver<Result<T, E>>)
{
    let (sender, receiver) = channel();
    let reply = Box::new(move |outcome| {
        // A test that has seen enough does not wait for every reply.
        drop(sender.send(outcome));
    });
    (reply, receiver)
}

pub(crate) fn mark(height: u64, round: u32, step: Step, bytes: &[u8]) -> SignMark {
    let point = SignPoint {
        height: Height(height),
        round: Round(round),
        step,
    };
    SignMark {
        point,
        sign_bytes: sha256(bytes),
    }
}

pub(crate) fn block(height: u64) -> CommittedBlock {
    let mut bytes = vec![b'h'; HEADER_BYTES];
    bytes.extend_from_slice(&height.to_be_bytes());
    CommittedBlock {
        height: Height(height),
        id: BlockId(sha256(&bytes)),
        block: bytes,
        certificate: format!("certificate {height}").into_bytes(),
    }
}

pub(crate) fn state(height: u64) -> StateCommit {
    let key = [vec![1, 1], (height % 5).to_be_bytes().to_vec()].concat();
    StateCommit {
        meta: StateMeta {
            height: Height(height),
            block: block(height).id,
            root: sha256(&height.to_be_bytes()),
        },
        changes: vec![(key, Some(height.to_be_bytes().to_vec()))],
        events: format!("events {height}").into_bytes(),
    }
}

pub(crate) fn digest(text: &str) -> Digest {
    sha256(text.as_bytes())
}

/// Pseudo-random bytes that are the same in every run.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes + 32);
    let mut counter = seed;
    while out.len() < bytes {
        out.extend_from_slice(sha256(&counter.to_be_bytes()).as_bytes());
        counter += 1;
    }
    out.truncate(bytes);
    out
}
