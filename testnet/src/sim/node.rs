//! One node: a machine, an app, and what their disk holds.

mod journal;
mod recovery;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use consensus::{Machine, SignMark, SignPoint, WalSeq};
use protocol::digest::{BlockId, ChainId};
use protocol::keys::PublicKey;
use protocol::units::Height;
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;

pub(crate) use journal::{Done, Job};
pub(crate) use recovery::Recovered;

use super::disk::File;
use super::rng::Rng;

/// The files of a node.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) wal: File,
    pub(crate) slots: File,
    pub(crate) blocks: File,
    pub(crate) own: BTreeMap<u8, File>,
}

impl Disk {
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut File> {
        let fixed = [&mut self.wal, &mut self.slots, &mut self.blocks];
        fixed.into_iter().chain(self.own.values_mut())
    }

    /// One of the app's own files, if it has written any.
    pub(crate) fn any_own(&mut self, rng: &mut Rng) -> Option<&mut File> {
        let index = rng.index(self.own.len());
        self.own.values_mut().nth(index)
    }
}

/// Where the record files end, and which slot is next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    pub(crate) wal_seq: u64,
    pub(crate) wal_durable: u64,
    pub(crate) block_seq: u64,
    pub(crate) block_durable: u64,
    pub(crate) slot_seq: u64,
    pub(crate) own: BTreeMap<u8, u64>,
}

/// One node. What lies on its disk survives a crash, the rest does not.
#[derive(Debug)]
pub(crate) struct Node<A> {
    pub(crate) chain: ChainId,
    pub(crate) key: PublicKey,
    pub(crate) machine: Option<Machine>,
    pub(crate) app: Option<A>,
    /// Counts starts and ends: what was meant for an earlier one is void.
    pub(crate) life: u64,
    pub(crate) disk: Disk,
    pub(crate) ends: Ends,
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) durable: WalSeq,
    pub(crate) mark: Option<SignMark>,
    pub(crate) blocks: BTreeMap<Height, (Arc<[u8]>, Arc<CommitCertificate>)>,
    pub(crate) sets: BTreeMap<Height, ValidatorSet>,
    /// Its machine stopped itself, or its disk refused to be used.
    pub(crate) stopped: Option<String>,
    pub(crate) epoch: u64,
    /// What hostile keys said to it in this life.
    pub(crate) heard: BTreeMap<(PublicKey, SignPoint), Option<BlockId>>,
    /// Whom it must accuse, having heard two things in one slot.
    pub(crate) owes: BTreeSet<PublicKey>,
}

impl<A> Node<A> {
    pub(crate) fn new(chain: ChainId, key: PublicKey, first: [ValidatorSet; 2]) -> Self {
        let [one, two] = first;
        Self {
            chain,
            key,
            machine: None,
            app: None,
            life: 0,
            disk: Disk::default(),
            ends: Ends::default(),
            jobs: VecDeque::new(),
            durable: WalSeq(0),
            mark: None,
            blocks: BTreeMap::new(),
            sets: [(Height(1), one), (Height(2), two)].into(),
            stopped: None,
            epoch: 0,
            heard: BTreeMap::new(),
            owes: BTreeSet::new(),
        }
    }

    pub(crate) fn tip(&self) -> Height {
        self.blocks.keys().next_back().copied().unwrap_or_default()
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// The process is gone; what is in memory with it.
    pub(crate) fn end(&mut self) {
        self.life += 1;
        self.machine = None;
        self.app = None;
        self.jobs.clear();
        self.durable = WalSeq(0);
        self.heard.clear();
        self.owes.clear();
    }
}
