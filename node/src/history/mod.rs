//! What happened, findable: transactions, jobs, evidence, slashes, signers and validator sets by
//! height. Derived from blocks and their events alone, kept in memory, rebuilt at every start.
//!
//! ```text
//! start:  genesis --apply each block of the log--> last committed height
//! then:   feed says "height h" -> block, events, snapshot of h -> one more entry
//! ```
//! A height whose snapshot was overtaken by the next one (the node was catching up) is applied here
//! again, so no height is ever missing.

mod follow;
mod receipts;
mod record;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use ledger::State;
use ledger::receipt::ProvenRecord;
use protocol::block::Block;
use protocol::codec::decode_canonical;
use protocol::digest::{EvidenceId, JobId, TxId, ValidatorId};
use protocol::events::Event;
use protocol::keys::PublicKey;
use protocol::units::{Amount, Height};
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;
use storage::blocks::BlockReader;
use tokio::sync::watch;

pub(crate) use follow::{Source, start};

/// The books are a moment behind the newest snapshot; behind by more, the node is catching up.
const BEHIND_MAX: Duration = Duration::from_secs(2);
/// Heights of which it is kept which transactions had no effect.
const REFUSED_KEPT: u64 = 64;
/// Heights whose signers are kept.
const SIGNERS_KEPT: usize = 200;

/// Where an event happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The height.
    pub(crate) height: Height,
    /// Its number in the height's events.
    pub(crate) index: u32,
}

/// An event and its place.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    /// Where.
    pub(crate) place: Place,
    /// What.
    pub(crate) event: Event,
}

/// A transaction's place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Included {
    /// The block.
    pub(crate) height: Height,
    /// Its number there.
    pub(crate) index: u32,
}

/// A slash, as `/v1/slashes` lists it.
#[derive(Clone, Debug)]
pub(crate) struct Slash {
    /// Whose stake.
    pub(crate) validator: ValidatorId,
    /// The offence's name.
    pub(crate) offence: &'static str,
    /// How much.
    pub(crate) amount: Amount,
    /// How much of it was burned.
    pub(crate) burned: Amount,
    /// When.
    pub(crate) height: Height,
    /// In which job.
    pub(crate) job: Option<JobId>,
}

/// Evidence that was accepted, as `/v1/evidence` lists it.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// Its id.
    pub(crate) id: EvidenceId,
    /// The offence's name.
    pub(crate) kind: &'static str,
    /// Whose.
    pub(crate) validator: ValidatorId,
    /// The height of the offence.
    pub(crate) height: Height,
    /// The round of the offence, if it is one of the first sixty-four.
    pub(crate) round: Option<u32>,
    /// The height of its punishment.
    pub(crate) included_at: Height,
    /// Who reported it.
    pub(crate) reporter: String,
}

/// A job, as far as events tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobHistory {
    /// Everything that happened to it.
    pub(crate) events: Vec<Happened>,
    /// Its record at its end, with its proof.
    pub(crate) record: Option<(Height, ProvenRecord)>,
}

/// Who signed a block.
#[derive(Clone, Debug)]
pub(crate) struct Signers {
    /// Their consensus keys.
    pub(crate) keys: Vec<PublicKey>,
}

/// Transactions of one block that paid and had no effect, by place.
type Refused = Arc<BTreeMap<u32, ledger::TxError>>;

#[derive(Debug, Default)]
struct Books {
    /// In the order of their ids, so that first digits find them.
    txs: BTreeMap<TxId, Included>,
    jobs: HashMap<JobId, JobHistory>,
    newest_jobs: Vec<JobId>,
    evidence: Vec<Accepted>,
    slashes: Vec<Slash>,
    signers: VecDeque<Signers>,
    sets: BTreeMap<Height, ValidatorSet>,
    /// What of the last heights had no effect, by height.
    refused: BTreeMap<Height, Refused>,
    /// The state after the last height entered.
    latest: Option<State>,
    /// When the last height was entered, in milliseconds since 1970.
    committed_ms: u64,
    /// How far the newest header's time was from our clock when it was entered.
    offset_ms: i64,
}

/// The books, shared by everyone who asks.
#[derive(Clone, Debug)]
pub(crate) struct History {
    books: Arc<RwLock<Books>>,
    /// The last height entered.
    level: watch::Sender<Height>,
    reader: BlockReader,
    chain: protocol::digest::ChainId,
}

/// A block with its proof, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The block.
    pub(crate) block: Block,
    /// Its proof.
    pub(crate) certificate: CommitCertificate,
}

impl History {
    /// Empty books.
    pub(crate) fn new(reader: BlockReader, chain: protocol::digest::ChainId) -> Self {
        Self {
            books: Arc::default(),
            level: watch::Sender::new(Height(0)),
            reader,
            chain,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Books> {
        self.books.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Books> {
        self.books.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last height was entered, in milliseconds since 1970; 0 before the first.
    pub(crate) fn committed_ms(&self) -> u64 {
        self.read().committed_ms
    }

    /// The newest header's time less our clock's when it was entered, in milliseconds: above zero,
    /// our clock is behind those of the validators; far below, it is ahead or the block was old.
    pub(crate) fn clock_offset_ms(&self) -> i64 {
        self.read().offset_ms
    }

    /// A block of the log.
    pub(crate) fn block(&self, height: Height) -> Option<Stored> {
        let stored = self.reader.block(height).ok()??;
        let block = Block::from_bytes(&stored.block).ok()?;
        let certificate = decode_canonical(&stored.certificate).ok()?;
        Some(Stored { block, certificate })
    }

    /// Waits until the books have reached this height, or have had the time they may need.
    pub(crate) async fn reach(&self, height: Height) {
        let mut level = self.level.subscribe();
        let reached = level.wait_for(|level| *level >= height);
        // Whoever asks looks into the books next, wherever they are by then.
        let _in_time = tokio::time::timeout(BEHIND_MAX, reached).await;
    }

    /// Where a transaction is.
    pub(crate) fn tx(&self, id: &TxId) -> Option<Included> {
        self.read().txs.get(id).copied()
    }

    /// Included transactions with ids in a range, in their order, as many as asked for at most.
    pub(crate) fn txs_between(&self, first: TxId, last: TxId, limit: usize) -> Vec<TxId> {
        let books = self.read();
        let found = books.txs.range(first..=last).take(limit);
        found.map(|(id, _)| *id).collect()
    }

    /// The bytes of an included transaction.
    pub(crate) fn tx_bytes(&self, id: &TxId) -> Option<Vec<u8>> {
        let place = self.tx(id)?;
        let stored = self.block(place.height)?;
        stored
            .block
            .body
            .0
            .get(usize::try_from(place.index).ok()?)
            .cloned()
    }

    /// What became of a transaction of a recent height: `None` if that is not known any more.
    pub(crate) fn outcome(&self, place: Included) -> Option<Result<(), ledger::TxError>> {
        let books = self.read();
        let refused = books.refused.get(&place.height)?.get(&place.index);
        Some(refused.cloned().map_or(Ok(()), Err))
    }

    /// What is known of a job.
    pub(crate) fn job(&self, id: &JobId) -> Option<JobHistory> {
        self.read().jobs.get(id).cloned()
    }

    /// What is known of a job, with the state that the books have reached: both of one height.
    pub(crate) fn job_with_state(&self, id: &JobId) -> Option<(State, JobHistory)> {
        let books = self.read();
        Some((books.latest.clone()?, books.jobs.get(id)?.clone()))
    }

    /// Jobs, newest first, after this one.
    pub(crate) fn jobs(&self, after: Option<JobId>, limit: usize) -> Vec<JobId> {
        let books = self.read();
        let newest = books.newest_jobs.iter().rev();
        match after {
            Some(after) => newest
                .skip_while(|id| **id != after)
                .skip(1)
                .take(limit)
                .copied()
                .collect(),
            None => newest.take(limit).copied().collect(),
        }
    }

    /// All accepted evidence, oldest first.
    pub(crate) fn evidence(&self) -> Vec<Accepted> {
        self.read().evidence.clone()
    }

    /// All slashes, oldest first.
    pub(crate) fn slashes(&self) -> Vec<Slash> {
        self.read().slashes.clone()
    }

    /// Whether this key signed one of the last `heights` blocks.
    pub(crate) fn signed_recently(&self, key: &PublicKey, heights: usize) -> bool {
        self.read()
            .signers
            .iter()
            .rev()
            .take(heights)
            .any(|entry| entry.keys.contains(key))
    }

    /// In how many of the last `heights` blocks this key's signature is missing.
    pub(crate) fn missed_recently(&self, key: &PublicKey, heights: usize) -> u64 {
        let books = self.read();
        let recent = books.signers.iter().rev().take(heights);
        u64::try_from(recent.filter(|entry| !entry.keys.contains(key)).count()).unwrap_or(0)
    }

    /// The set of a height, as long as the books have it.
    pub(crate) fn set(&self, height: Height) -> Option<ValidatorSet> {
        self.read()
            .sets
            .range(..=height)
            .next_back()
            .map(|(_, set)| set.clone())
    }
}
