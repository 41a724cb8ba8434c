//! Opening a home: recovery of every file, in the order in which they vouch for each other.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use protocol::digest::{ChainId, Digest};
use protocol::keys::PublicKey;

use crate::audit::checkpoint::CheckpointSigner;
use crate::audit::log::{AuditError, AuditLog};
use crate::blobs::{BlobConfig, BlobError, BlobStore};
use crate::blocks::{BlockLog, BlocksOpening, Tip};
use crate::clock;
use crate::evidence::EvidenceLog;
use crate::exit::ExitKind;
use crate::handle::Storage;
use crate::home::{HomeError, HomeLock, PreviousRun, check_store};
use crate::journal::{Journal, Signer};
use crate::kv::StoreError;
use crate::layer::FileLayer;
use crate::paths::{
    AUDIT, BLOBS, BLOCKS, EVIDENCE, SIGN_STATE, SMALL_SEGMENT_BYTES, STATE, SegmentSizes, WAL,
};
use crate::record::log::LogError;
use crate::request::Observer;
use crate::shared::Shared;
use crate::sign::commits::{SeatCommits, SeatKey};
use crate::sign::floor::Floor;
use crate::sign::slot::SignerIdentity;
use crate::sign::state::{SignState, SignStateError};
use crate::state::{Backend, RebuildCause, StateImage, StateStore};
use crate::wal::{Wal, WalRecord, floor_of};

/// What a store needs to know.
pub struct StorageConfig {
    /// The data directory.
    pub data: PathBuf,
    /// The chain.
    pub chain: ChainId,
    /// The release that would create the directory.
    pub release: String,
    /// The consensus key whose signatures are recorded; `None` for a node that signs nothing.
    pub signer: Option<PublicKey>,
    /// Signs audit checkpoints; `None` leaves them out.
    pub checkpoints: Option<Box<dyn CheckpointSigner>>,
    /// Sizes of record file segments.
    pub segments: SegmentSizes,
    /// Bytes of blobs in all.
    pub blob_quota_bytes: u64,
    /// The database of the state.
    pub backend: Backend,
    /// The files; tests put faults in between.
    pub layer: Arc<dyn FileLayer>,
    /// Learns of failures.
    pub observer: Arc<dyn Observer>,
}

impl fmt::Debug for StorageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageConfig")
            .field("data", &self.data)
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

/// What a start found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The highest committed block.
    pub tip: Option<Tip>,
    /// Entries of the write-ahead log above the tip, in order.
    pub wal: Vec<WalRecord>,
    /// The floor for signing; `None` without a signer.
    pub floor: Option<Floor>,
    /// Result commits made.
    pub seat_commits: BTreeMap<SeatKey, Digest>,
    /// Contradicting pairs still open.
    pub pairs: Vec<(Digest, Vec<u8>)>,
    /// The state; its root is for the ledger to check.
    pub state: StateImage,
    /// Why the state was put aside, if it was.
    pub rebuilt: Option<RebuildCause>,
    /// The write-ahead log had an unacknowledged tail.
    pub wal_tail_zeroed: bool,
    /// What the block log needed.
    pub blocks: BlocksOpening,
    /// The audit log was whole; if not, a fresh one was begun.
    pub audit_intact: bool,
    /// How the process before this one ended.
    pub previous: Option<PreviousRun>,
    /// How long ago that was, if it ended in good order and in this boot of the machine.
    pub stopped_ago: Option<Duration>,
}

/// Why a home cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory as a whole.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A record file.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Sign-state.
    #[error(transparent)]
    Sign(#[from] SignStateError),
    /// The state's database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Blobs.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A thread could not be started.
    #[error("start thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl OpenError {
    /// How this ends the process.
    #[must_use]
    pub fn exit(&self) -> ExitKind {
        match self {
            Self::Home(error) => Some(error.exit()),
            Self::Log(error) => error.exit(),
            Self::Sign(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Audit(error) => error.exit(),
            Self::Blob(_) | Self::Thread(_) => None,
        }
        .unwrap_or(ExitKind::Durability)
    }
}

struct SignerFound {
    signer: Option<Signer>,
    floor: Option<Floor>,
    commits: BTreeMap<SeatKey, Digest>,
}

/// Opens the home that `lock` holds and starts the three threads.
///
/// # Errors
/// When a promise made earlier can no longer be kept, or files cannot be used.
pub fn open(config: StorageConfig, lock: HomeLock) -> Result<(Storage, Recovered), OpenError> {
    let StorageConfig {
        data,
        chain,
        segments,
        layer,
        ..
    } = &config;
    check_store(data, *chain, &config.release)?;
    let (blocks, blocks_found) = BlockLog::open(
        Arc::clone(layer),
        &data.join(BLOCKS),
        *chain,
        segments.blocks,
    )?;
    let tip = blocks.reader().tip();
    let (wal, mut records, wal_tail_zeroed) =
        Wal::open(Arc::clone(layer), &data.join(WAL), *chain, segments.wal)?;
    let (state_store, state, rebuilt) = StateStore::open(&data.join(STATE), config.backend)?;
    let committed = tip
        .map(|tip| tip.height)
        .max(state.meta.map(|meta| meta.height));
    let logged = [floor_of(&records), committed.map(Floor::end_of)];
    let logged = logged.into_iter().flatten().reduce(Floor::max);
    let found = open_signer(&config, logged, wal.end())?;
    records.retain(|record| tip.is_none_or(|tip| record.entry.height() > tip.height));
    let evidence = EvidenceLog::open(
        Arc::clone(layer),
        &data.join(EVIDENCE),
        *chain,
        SMALL_SEGMENT_BYTES,
    )?;
    let quota_bytes = config.blob_quota_bytes;
    let blobs = BlobStore::open(BlobConfig {
        dir: data.join(BLOBS),
        quota_bytes,
    })?;
    let (audit, audit_intact) = AuditLog::open(
        Arc::clone(layer),
        &data.join(AUDIT),
        *chain,
        segments.audit,
        config.checkpoints,
        clock::wall(),
    )?;
    let recovered = Recovered {
        tip,
        wal: records,
        floor: found.floor,
        seat_commits: found.commits,
        pairs: evidence
            .pairs()
            .map(|(id, bytes)| (id, bytes.to_vec()))
            .collect(),
        state,
        rebuilt,
        wal_tail_zeroed,
        blocks: blocks_found,
        audit_intact,
        previous: lock.previous().cloned(),
        stopped_ago: lock.stopped_ago(clock::wall()),
    };
    let shared = Arc::new(Shared::default());
    shared.set_anchor(audit.anchor());
    let reader = blocks.reader();
    let (state_sender, state_requests) = crate::handle::state_queue();
    let journal = Journal {
        wal,
        signer: found.signer,
        blocks,
        evidence,
        audit,
        state: state_sender,
        lag: Arc::new(AtomicU64::new(0)),
        shared,
        observer: config.observer,
        held: VecDeque::new(),
    };
    let storage = Storage::start(journal, state_store, state_requests, blobs, reader, lock)?;
    Ok((storage, recovered))
}

fn open_signer(
    config: &StorageConfig,
    logged: Option<Floor>,
    wal_end: u64,
) -> Result<SignerFound, OpenError> {
    let Some(public_key) = config.signer else {
        return Ok(SignerFound {
            signer: None,
            floor: None,
            commits: BTreeMap::new(),
        });
    };
    let chain = config.chain;
    let identity = SignerIdentity { chain, public_key };
    let dir = config.data.join(SIGN_STATE);
    let slots = SignState::open(&config.layer, &dir, identity, logged, wal_end)?;
    let layer = Arc::clone(&config.layer);
    let commits = SeatCommits::open(layer, &dir, chain, SMALL_SEGMENT_BYTES)?;
    let floor = Some(slots.floor());
    let known = commits.known().clone();
    Ok(SignerFound {
        signer: Some(Signer { slots, commits }),
        floor,
        commits: known,
    })
}
