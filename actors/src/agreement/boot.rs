//! From what storage found to a machine at work: load or rebuild the state, replay the block log,
//! then the write-ahead log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use consensus::{Record, SignMark, SignPoint, Step};
use ledger::State;
use protocol::block::Block;
use protocol::codec::decode_canonical;
use protocol::digest::Digest;
use protocol::events::Events;
use protocol::genesis::Genesis;
use protocol::units::Height;
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;
use storage::blocks::Tip;
use storage::handle::StorageHandle;
use storage::kv::StoreError;
use storage::open::Recovered;
use storage::request::{NotTaken, Reply};
use storage::sign::floor::{Floor, Step as StoredStep};
use storage::state::{EVENT_HEIGHTS, StateCommit, StateImage, StateMeta};
use storage::wal::WalEntry;

use crate::agreement::refetch::Lost;
use crate::feed::{EVENTS_MAX, HeightEvents};
use crate::snapshot::Snapshot;
use crate::supervisor::{Fatal, HaltReason};

/// Heights whose sets the machine wants to know for evidence.
const SETS_BACK: u64 = 128;

/// The chain as it stands before the machine starts.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) snapshot: Snapshot,
    pub(crate) history: Vec<HeightEvents>,
    /// Committed blocks whose records were lost.
    pub(crate) lost: Lost,
}

fn diverged(detail: impl Into<String>) -> Fatal {
    Fatal::new(HaltReason::Divergence, detail)
}

fn broken(detail: impl Into<String>) -> Fatal {
    Fatal::new(HaltReason::Durability, detail)
}

/// Asks the state thread and waits.
fn wait<T: Send + 'static>(
    ask: impl FnOnce(Reply<T, StoreError>) -> Result<(), NotTaken>,
) -> Result<T, Fatal> {
    let (sender, receiver) = sync_channel(1);
    let reply = Box::new(move |outcome: Result<T, StoreError>| {
        // The receiver waits below; it is gone only if this thread is.
        let _gone = sender.send(outcome);
    });
    ask(reply).map_err(|error| broken(error.to_string()))?;
    let outcome = receiver
        .recv()
        .map_err(|_| broken("the state thread has ended"))?;
    outcome.map_err(|error| broken(error.to_string()))
}

/// Loads the state and applies every block that it does not contain yet. A state that is whole stays,
/// even where the block log lost records: those are fetched again from peers.
pub(crate) fn restore(
    genesis: &Genesis,
    storage: &StorageHandle,
    recovered: &Recovered,
) -> Result<Restored, Fatal> {
    let loaded = load(genesis, &recovered.state).filter(|state| agrees(storage, state));
    let state = match loaded.map(|state| replay(storage, state)) {
        Some(Ok(state)) => state,
        Some(Err(error)) if error.reason != HaltReason::Divergence => return Err(error),
        found => {
            if recovered.state.meta.is_some() {
                let detail = found.and_then(Result::err).map(|error| error.detail);
                tracing::warn!(
                    detail = detail.as_deref().unwrap_or("wrong root"),
                    "state_rebuilt"
                );
                wait(|reply| storage.reset_state(reply))?;
            }
            replay(storage, begin(genesis, storage)?)?
        }
    };
    let (header, certificate) = head_of(storage, state.height())?;
    if state.height() > Height::ZERO
        && header.is_some_and(|header| header.id() != state.head().block)
    {
        return Err(diverged(format!(
            "block log and state differ at height {}",
            state.height()
        )));
    }
    let head = state.head();
    let (height, id) = (head.height, head.block);
    let lost = Lost::new(storage.blocks(), Tip { height, id });
    if lost.missing() > 0 {
        tracing::warn!(blocks = lost.missing(), tip = %state.height(), "blocks_missing");
    }
    let history = history(storage, state.height());
    Ok(Restored {
        snapshot: Snapshot::new(state, header, certificate),
        history,
        lost,
    })
}

/// Whether the block log, where it holds the state's block, holds the same one.
fn agrees(storage: &StorageHandle, state: &State) -> bool {
    let head = state.head();
    let held = storage.blocks().id(head.height);
    held.is_none_or(|held| held == head.block)
}

/// The state on disk, if its leaves give the root that was noted with them.
fn load(genesis: &Genesis, image: &StateImage) -> Option<State> {
    let meta = image.meta?;
    let leaves = image
        .leaves
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()));
    let state = State::from_leaves(genesis, leaves).ok()?;
    let same = state.root() == meta.root && state.height() == meta.height;
    same.then_some(state)
}

/// Genesis, made durable.
fn begin(genesis: &Genesis, storage: &StorageHandle) -> Result<State, Fatal> {
    let state = State::genesis(genesis)
        .map_err(|error| Fatal::new(HaltReason::Configuration, error.to_string()))?;
    let changes = state
        .leaves()
        .into_iter()
        .map(|(key, value)| (key, Some(value)))
        .collect();
    let commit = StateCommit {
        meta: meta_of(&state),
        changes,
        events: Vec::new(),
    };
    wait(|reply| storage.replay(commit, reply))?;
    Ok(state)
}

/// Applies the blocks that follow without a hole. What lies beyond one comes from peers, as any block
/// does: by its certificate.
fn replay(storage: &StorageHandle, mut state: State) -> Result<State, Fatal> {
    let tip = storage.blocks().contiguous_after(state.height());
    while state.height() < tip {
        let height = state.height().next();
        let stored = storage
            .blocks()
            .block(height)
            .map_err(|error| broken(error.to_string()))?
            .ok_or_else(|| broken(format!("block {height} is missing from the block log")))?;
        let block = Block::from_bytes(&stored.block).map_err(|error| broken(error.to_string()))?;
        let txs = ledger::verify_body(&state, &block.body)
            .map_err(|error| diverged(error.to_string()))?;
        let applied = state
            .apply(&block.header, &txs)
            .map_err(|error| diverged(error.to_string()))?;
        let commit = state_commit(&applied.state, &applied.changes, applied.events);
        wait(|reply| storage.replay(commit, reply))?;
        state = applied.state;
    }
    Ok(state)
}

/// What a block does to the state, in storage's words.
pub(crate) fn state_commit(
    state: &State,
    changes: &[ledger::LeafChange],
    events: Vec<protocol::events::Event>,
) -> StateCommit {
    StateCommit {
        meta: meta_of(state),
        changes: changes
            .iter()
            .map(|c| (c.key.clone(), c.value.clone()))
            .collect(),
        events: protocol::codec::encode(&Events(events)),
    }
}

fn meta_of(state: &State) -> StateMeta {
    let head = state.head();
    StateMeta {
        height: head.height,
        block: head.block,
        root: state.root(),
    }
}

type Head = (
    Option<protocol::block::Header>,
    Option<Arc<CommitCertificate>>,
);

/// What is known of the last block; nothing if its record was lost.
fn head_of(storage: &StorageHandle, tip: Height) -> Result<Head, Fatal> {
    let stored = storage
        .blocks()
        .block(tip)
        .map_err(|error| broken(error.to_string()))?;
    let Some(stored) = stored else {
        return Ok((None, None));
    };
    let block = Block::from_bytes(&stored.block).map_err(|error| broken(error.to_string()))?;
    let certificate: CommitCertificate =
        decode_canonical(&stored.certificate).map_err(|error| broken(error.to_string()))?;
    Ok((Some(block.header), Some(Arc::new(certificate))))
}

/// The events that storage still has, oldest first.
fn history(storage: &StorageHandle, tip: Height) -> Vec<HeightEvents> {
    let mut found = VecDeque::new();
    let mut room = EVENTS_MAX;
    let first = tip.minus(EVENT_HEIGHTS.saturating_sub(1)).0.max(1);
    for height in (first..=tip.0).rev().map(Height) {
        let bytes = wait(|reply| storage.events(height, reply)).ok().flatten();
        let events = bytes.and_then(|bytes| decode_canonical::<Events>(&bytes).ok());
        let Some(Events(events)) = events else {
            continue;
        };
        let Some(left) = room.checked_sub(events.len()) else {
            break;
        };
        room = left;
        found.push_front(HeightEvents {
            height,
            events: Arc::new(events),
            refused: None,
        });
    }
    found.into()
}

/// The sets that the machine starts with.
pub(crate) fn sets(state: &State) -> Vec<(Height, ValidatorSet)> {
    let committed = state.height();
    let first = committed.minus(SETS_BACK).0.max(1);
    (first..=committed.plus(2).0)
        .map(Height)
        .filter_map(|height| Some((height, state.set_at(height)?)))
        .collect()
}

/// The sign-state's floor in the machine's words. A point whose bytes are unknown gets bytes that
/// nobody signs, so that nothing is signed there again.
pub(crate) fn floor(floor: Option<Floor>) -> Option<SignMark> {
    let Floor { point, sign_bytes } = floor?;
    let step = match point.step {
        StoredStep::Propose => Step::Propose,
        StoredStep::Prevote => Step::Prevote,
        StoredStep::Precommit => Step::Precommit,
    };
    let point = SignPoint {
        height: point.height,
        round: point.round,
        step,
    };
    Some(SignMark {
        point,
        digest: sign_bytes.unwrap_or(Digest::ZERO),
    })
}

/// The write-ahead log in the machine's words.
pub(crate) fn log(recovered: &mut Recovered) -> Vec<Record> {
    std::mem::take(&mut recovered.wal)
        .into_iter()
        .map(|record| match record.entry {
            WalEntry::Input { height, bytes } => Record::Input { height, bytes },
            WalEntry::Own { mark, bytes } => Record::Own {
                mark: mark_of(&mark),
                bytes,
            },
            WalEntry::Body { height, id, bytes } => Record::Body {
                height,
                id,
                block: bytes.into(),
            },
        })
        .collect()
}

fn mark_of(mark: &storage::sign::floor::SignMark) -> SignMark {
    let step = match mark.point.step {
        StoredStep::Propose => Step::Propose,
        StoredStep::Prevote => Step::Prevote,
        StoredStep::Precommit => Step::Precommit,
    };
    let point = SignPoint {
        height: mark.point.height,
        round: mark.point.round,
        step,
    };
    SignMark {
        point,
        digest: mark.sign_bytes,
    }
}

/// A record in storage's words.
pub(crate) fn entry(record: Record) -> WalEntry {
    match record {
        Record::Input { height, bytes } => WalEntry::Input { height, bytes },
        Record::Own { mark, bytes } => WalEntry::Own {
            mark: stored_mark(&mark),
            bytes,
        },
        Record::Body { height, id, block } => WalEntry::Body {
            height,
            id,
            bytes: block.to_vec(),
        },
    }
}

fn stored_mark(mark: &SignMark) -> storage::sign::floor::SignMark {
    let step = match mark.point.step {
        Step::Propose => StoredStep::Propose,
        Step::Prevote => StoredStep::Prevote,
        Step::Precommit => StoredStep::Precommit,
    };
    let point = storage::sign::floor::SignPoint {
        height: mark.point.height,
        round: mark.point.round,
        step,
    };
    storage::sign::floor::SignMark {
        point,
        sign_bytes: mark.digest,
    }
}
