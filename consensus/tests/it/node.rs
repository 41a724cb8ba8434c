//! One node: a machine and what its disk holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use consensus::effect::Conflict;
use consensus::{Boot, Effect, Halt, Machine, Record, SignMark, Signer, WalSeq};
use protocol::digest::BlockId;
use protocol::evidence::ContradictingPair;
use protocol::units::Height;
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;

use crate::world::{chain, secret, timing};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Validator,
    Observer,
}

pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) role: Role,
    pub(crate) machine: Option<Machine>,
    /// Whether it waits for a twin before it signs.
    pub(crate) vigil: bool,
    pub(crate) life: u64,
    pub(crate) log: Vec<Record>,
    pub(crate) mark: Option<SignMark>,
    pub(crate) durable: WalSeq,
    pub(crate) unsynced: Vec<(WalSeq, Vec<Record>, Option<SignMark>)>,
    pub(crate) blocks: BTreeMap<Height, (Arc<[u8]>, CommitCertificate)>,
    pub(crate) contradictions: Vec<ContradictingPair>,
    pub(crate) halted: Option<Halt>,
    pub(crate) frozen: Option<Conflict>,
}

impl Node {
    pub(crate) fn validator(index: usize) -> Self {
        Self {
            index,
            role: Role::Validator,
            machine: None,
            vigil: false,
            life: 0,
            log: Vec::new(),
            mark: None,
            durable: WalSeq(0),
            unsynced: Vec::new(),
            blocks: BTreeMap::new(),
            contradictions: Vec::new(),
            halted: None,
            frozen: None,
        }
    }

    pub(crate) fn tip(&self) -> Height {
        self.blocks.keys().next_back().copied().unwrap_or_default()
    }

    pub(crate) fn start_values(&self, set: fn(Height) -> ValidatorSet) -> Boot {
        let committed = self.tip();
        let heights = committed.minus(5).next().0..=committed.plus(2).0;
        Boot {
            chain: chain(),
            committed,
            sets: heights.map(|h| (Height(h), set(Height(h)))).collect(),
            timing: timing(),
            signer: (self.role == Role::Validator).then(|| Signer::new(secret(self.index))),
            floor: self.mark,
            log: self.log.clone(),
            epoch: self.life << 32,
        }
    }

    pub(crate) fn boot(&mut self, set: fn(Height) -> ValidatorSet) -> Vec<Effect> {
        self.life += 1;
        self.durable = WalSeq(0);
        let values = self.start_values(set);
        let started = match self.vigil {
            true => Machine::boot_after_vigil(values),
            false => Machine::boot(values),
        };
        let (machine, effects) = started.unwrap();
        self.machine = Some(machine);
        effects
    }

    /// Loses everything that was not synced, except a prefix of what was being written.
    pub(crate) fn crash(&mut self, kept_records: usize) {
        self.machine = None;
        self.life += 1;
        let pending = std::mem::take(&mut self.unsynced);
        self.log.extend(
            pending
                .into_iter()
                .flat_map(|(_, records, _)| records)
                .take(kept_records),
        );
    }

    pub(crate) fn sync_disk(&mut self, seq: WalSeq) {
        let (done, left) = std::mem::take(&mut self.unsynced)
            .into_iter()
            .partition(|(s, _, _)| *s <= seq);
        self.unsynced = left;
        let done: Vec<(WalSeq, Vec<Record>, Option<SignMark>)> = done;
        for (_, records, mark) in done {
            self.log.extend(records);
            self.mark = mark.or(self.mark);
        }
        self.durable = self.durable.max(seq);
    }

    pub(crate) fn block_of(&self, id: BlockId) -> Option<Arc<[u8]>> {
        self.blocks
            .values()
            .find(|(_, c)| c.block == id)
            .map(|(block, _)| Arc::clone(block))
    }

    pub(crate) fn decided_from(&self, height: Height) -> Vec<(Arc<[u8]>, CommitCertificate)> {
        self.blocks
            .range(height..)
            .take(64)
            .map(|(_, decided)| decided.clone())
            .collect()
    }
}
