//! Layer 1's app: blocks that say who built them, verdicts by a simple rule, evidence that is passed on.
//!
//! A block is good if it names its parent, the state before it and the next set, and if its time rises
//! by 1 ms to 60 s. That is all the ledger's header rule, without a ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consensus::Judgement;
use protocol::block::{Block, Body, HEADER_VERSION, Header};
use protocol::digest::{ChainId, Digest, sha256};
use protocol::envelope::{seal_proposal, seal_vote};
use protocol::evidence::{ContradictingPair, EvidenceKind};
use protocol::keys::PublicKey;
use protocol::units::{Height, Round, TimeMs};
use protocol::validators::ValidatorSet;

use super::app::{App, Broken, Committed, Cx, Files, START_MS, Sender};
use super::keys::{Keyring, Purpose};
use super::ledger::{forged_pair, noise};
use super::plan::{Plan, id_of};
use super::rng::Rng;

const STEP_MS_MAX: u64 = 60_000;
/// Before every clock's start, however far it is behind.
const GENESIS_MS: u64 = START_MS - 10_000;
/// The file of pairs, one a record.
const PAIRS: u8 = 1;
/// Pairs are offered again after so long.
const OFFER_MS: u64 = 1_000;
const LARGE_BYTES: usize = 60_000;

/// The sets of a world.
#[derive(Debug)]
pub struct Shared {
    sets: BTreeMap<Height, ValidatorSet>,
    chain: ChainId,
}

impl Shared {
    fn set(&mut self, cx: &Cx<'_>, height: Height) -> ValidatorSet {
        if let Some(set) = self.sets.get(&height) {
            return set.clone();
        }
        let set = cx.plan().set_at(cx.keys(), height);
        self.sets.insert(height, set.clone());
        set
    }
}

#[derive(Debug, Clone, Copy)]
struct Tip {
    height: Height,
    id: Digest,
    time_ms: u64,
    root: Digest,
}

/// One node's chain and its evidence.
#[derive(Debug)]
pub struct Stub {
    tip: Tip,
    pairs: BTreeMap<u64, Arc<[u8]>>,
    durable: BTreeSet<u64>,
    accused: BTreeSet<PublicKey>,
    next: u64,
}

impl Stub {
    fn keep(&mut self, cx: &mut Cx<'_>, pair: &ContradictingPair) {
        if self.accused.insert(pair.signer()) {
            let bytes = encode(pair);
            self.next += 1;
            self.pairs.insert(self.next, bytes.as_slice().into());
            cx.write(PAIRS, bytes, self.next);
        }
    }

    fn offer(&self, cx: &mut Cx<'_>) {
        for number in &self.durable {
            if let Some(bytes) = self.pairs.get(number) {
                cx.broadcast(Arc::clone(bytes));
            }
        }
        cx.timer_after(OFFER_MS, 0);
    }
}

/// `kind ‖ length ‖ first ‖ length ‖ second`.
fn encode(pair: &ContradictingPair) -> Vec<u8> {
    let (a, b) = match pair {
        ContradictingPair::Votes(a, b) => (seal_vote(a), seal_vote(b)),
        ContradictingPair::Proposals(a, b) => (seal_proposal(a, &[]), seal_proposal(b, &[])),
    };
    let length = |part: &[u8]| u16::try_from(part.len()).unwrap_or(0).to_be_bytes();
    let (first, second) = (length(&a), length(&b));
    [&[pair.kind().code()], first.as_slice(), &a, &second, &b].concat()
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn decode(bytes: &[u8]) -> Option<ContradictingPair> {
    let (kind, rest) = bytes.split_first()?;
    let kind = match kind {
        1 => EvidenceKind::DoubleVote,
        2 => EvidenceKind::DoubleProposal,
        _ => return None,
    };
    let (a, rest) = part(rest)?;
    let (b, []) = part(rest)? else { return None };
    ContradictingPair::parse(kind, a, b).ok()
}

impl App for Stub {
    type Shared = Shared;

    fn shared(plan: &Plan, keys: &Keyring, _: &mut Rng) -> Shared {
        let heights = [Height(1), Height(2)];
        Shared {
            sets: heights.map(|h| (h, plan.set_at(keys, h))).into(),
            chain: ChainId::of_genesis(&plan.seed.to_be_bytes()),
        }
    }

    fn chain(shared: &Shared) -> ChainId {
        shared.chain
    }

    fn first_sets(shared: &Shared) -> [ValidatorSet; 2] {
        [1, 2].map(|h| shared.sets.get(&Height(h)).cloned().unwrap_or_default())
    }

    fn start(shared: &mut Shared, cx: &mut Cx<'_>, files: &Files) -> Self {
        let tip = Tip {
            height: Height(0),
            id: shared.chain.0,
            time_ms: GENESIS_MS,
            root: shared.chain.0,
        };
        let mut stub = Self {
            tip,
            pairs: BTreeMap::new(),
            durable: BTreeSet::new(),
            accused: BTreeSet::new(),
            next: 0,
        };
        for record in files.records(PAIRS) {
            let pair = decode(record).filter(|pair| pair.verify(&shared.chain).is_ok());
            if pair.is_some_and(|pair| stub.accused.insert(pair.signer())) {
                stub.next += 1;
                stub.pairs.insert(stub.next, record.as_slice().into());
                stub.durable.insert(stub.next);
            }
        }
        cx.timer_after(OFFER_MS, 0);
        stub
    }

    fn build(
        &mut self,
        shared: &mut Shared,
        cx: &mut Cx<'_>,
        height: Height,
        round: Round,
    ) -> Block {
        let mut first = round.0.to_be_bytes().to_vec();
        first.extend_from_slice(&cx.rng().draw().to_be_bytes());
        let mut body = vec![first];
        if cx.rng().below(1_000) < cx.plan().large_blocks {
            body.push(vec![7; LARGE_BYTES]);
        }
        let body = Body(body);
        let earliest = self.tip.time_ms + 1;
        let latest = self.tip.time_ms + STEP_MS_MAX;
        let header = Header {
            version: HEADER_VERSION,
            height,
            time_ms: TimeMs(cx.local_time_ms().clamp(earliest, latest)),
            parent: self.tip.id,
            state_root: self.tip.root,
            body_hash: body.hash(),
            next_set: shared.set(cx, height.next()).digest(),
            builder: id_of(cx.plan().member_of(cx.node())),
        };
        Block { header, body }
    }

    fn judge(
        &mut self,
        shared: &mut Shared,
        cx: &mut Cx<'_>,
        height: Height,
        block: &Arc<[u8]>,
    ) -> Judgement {
        let Ok(block) = Block::from_bytes(block) else {
            return Judgement::Invalid;
        };
        let header = &block.header;
        let step = header.time_ms.0.checked_sub(self.tip.time_ms);
        let is_in_time = step.is_some_and(|step| (1..=STEP_MS_MAX).contains(&step));
        let is_good = height == self.tip.height.next()
            && header.height == height
            && header.parent == self.tip.id
            && header.state_root == self.tip.root
            && header.next_set == shared.set(cx, height.next()).digest()
            && is_in_time;
        if !is_good {
            return Judgement::Invalid;
        }
        let early_by_ms = header.time_ms.0.saturating_sub(cx.local_time_ms());
        Judgement::Valid { early_by_ms }
    }

    fn commit(
        &mut self,
        shared: &mut Shared,
        cx: &mut Cx<'_>,
        committed: &Committed<'_>,
    ) -> Result<ValidatorSet, Broken> {
        let block = Block::from_bytes(committed.block)
            .map_err(|error| Broken::new("O2", format!("a committed block: {error}")))?;
        let header = block.header;
        if header.height != self.tip.height.next() || header.parent != self.tip.id {
            let text = format!("height {} on {}", header.height, self.tip.height);
            return Err(Broken::new("O1", text));
        }
        let id = header.id().0;
        let root = sha256(&[self.tip.root.as_bytes().as_slice(), id.as_bytes()].concat());
        self.tip = Tip {
            height: header.height,
            id,
            time_ms: header.time_ms.0,
            root,
        };
        Ok(shared.set(cx, header.height.plus(2)))
    }

    fn recovered(&mut self, _: &mut Shared, _: &mut Cx<'_>) {}

    fn message(&mut self, shared: &mut Shared, cx: &mut Cx<'_>, _: Sender, bytes: &Arc<[u8]>) {
        let Some(pair) = decode(bytes) else {
            return;
        };
        if !self.accused.contains(&pair.signer()) && pair.verify(&shared.chain).is_ok() {
            self.keep(cx, &pair);
        }
    }

    fn timer(&mut self, _: &mut Shared, cx: &mut Cx<'_>, _: u64) {
        self.offer(cx);
    }

    fn stored(&mut self, _: &mut Shared, cx: &mut Cx<'_>, token: u64) {
        self.durable.insert(token);
        if let Some(bytes) = self.pairs.get(&token) {
            cx.broadcast(Arc::clone(bytes));
        }
    }

    fn contradiction(&mut self, _: &mut Shared, cx: &mut Cx<'_>, pair: &ContradictingPair) {
        self.keep(cx, pair);
    }

    fn junk(shared: &Shared, cx: &mut Cx<'_>) -> Arc<[u8]> {
        let (own, members) = (cx.plan().member_of(cx.node()), cx.plan().members);
        if cx.rng().chance(300) {
            return noise(cx);
        }
        let victim = (own + 1 + cx.rng().index(members)) % members.max(1);
        let victim = cx.keys().public(Purpose::Consensus, victim);
        let forger = cx.keys().secret(Purpose::Session, own);
        let height = Height(1 + cx.rng().below(8));
        let [a, b] = forged_pair((victim, &forger), &shared.chain, height, Round::ZERO);
        encode(&ContradictingPair::Votes(a, b)).into()
    }

    fn accuses(&self, key: &PublicKey) -> bool {
        self.accused.contains(key)
    }

    fn outside(_: &mut Shared, _: &mut Cx<'_>, _: u64) {}

    fn root(&self) -> Digest {
        self.tip.root
    }

    fn is_done(_: &Shared) -> bool {
        true
    }

    fn check_end(_: &mut Shared, _: &[Option<&Self>]) -> Result<(), Broken> {
        Ok(())
    }
}
