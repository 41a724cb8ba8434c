//! The world: nodes, a heap of events ordered by (time, number), and the oracles.
//!
//! Oracles, checked at every effect: one id per height (O1); each certificate verifies against that
//! height's set (O2); no honest key signs two values for a slot, across crashes (O3); nothing leaves
//! before its batch and sign mark are durable (W); nobody honest is accused (A1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consensus::admission::Admission;
use consensus::{Input, Outgoing, Peer, Received, SignPoint, TimerId, Timing, WalSeq};
use protocol::digest::{BlockId, ChainId, Digest, ValidatorId, sha256};
use protocol::envelope::{EnvelopeHeader, seal_proposal, seal_vote};
use protocol::keys::{PublicKey, SecretKey};
use protocol::params::Params;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::validators::{ValidatorEntry, ValidatorSet};
use protocol::vote::{Certificate, CommitCertificate, RelayedCertificate};

use crate::node::Node;

/// What travels between nodes.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Gossip(Outgoing),
    BodyRequest(BlockId),
    Body(BlockId, Arc<[u8]>),
    HeightRequest(Height),
    Synced(Arc<[u8]>, CommitCertificate),
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Deliver {
        from: usize,
        to: usize,
        wire: Wire,
    },
    /// Meant for one life of a node only.
    Local {
        node: usize,
        life: u64,
        what: Local,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Local {
    Timer(TimerId),
    Durable(WalSeq),
    Input(Box<Input>),
    Committed(Height),
}

/// The faults of a run. Plain functions of what they judge, so that a run stays a function of its
/// seed.
pub(crate) struct Faults {
    pub(crate) lose: fn(now: u64, from: usize, to: usize, &Wire) -> bool,
    pub(crate) is_invalid: fn(Height, Round) -> bool,
    pub(crate) early_by_ms: fn(now: u64, Height, Round) -> u64,
    /// Requests for decided blocks that the driver swallows: the naive rule "only from two behind".
    pub(crate) swallow_ask: fn(gap: u64) -> bool,
    pub(crate) set: fn(Height) -> ValidatorSet,
    /// A batch is durable after less than this many milliseconds.
    pub(crate) disk_ms: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            lose: |_, _, _, _| false,
            is_invalid: |_, _| false,
            early_by_ms: |_, _, _| 0,
            swallow_ask: |_| false,
            set: |_| members(4),
            disk_ms: 8,
        }
    }
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) faults: Faults,
    pub(crate) ids: BTreeMap<Height, BlockId>,
    pub(crate) trace: Digest,
    pub(crate) foreign: u64,
    /// Nodes whose messages the test makes itself.
    pub(crate) byzantine: BTreeSet<usize>,
    /// Heights at which anybody prevoted nil.
    pub(crate) nil_prevotes: BTreeSet<Height>,
    events: BTreeMap<(u64, u64), Event>,
    next: u64,
    pub(crate) random: u64,
    pub(crate) signed: BTreeMap<(PublicKey, SignPoint), Digest>,
}

pub(crate) fn chain() -> ChainId {
    ChainId::of_genesis(b"palisade-local")
}

pub(crate) fn secret(index: usize) -> SecretKey {
    SecretKey::from_bytes(&[u8::try_from(index + 1).unwrap(); 32]).unwrap()
}

pub(crate) fn peer(index: usize) -> Peer {
    Peer::new(&[index as u8])
}

pub(crate) fn member(index: usize, power: u64) -> ValidatorEntry {
    let id = ValidatorId(sha256(&[index as u8]));
    ValidatorEntry {
        id,
        consensus_key: secret(index).public(),
        power,
    }
}

pub(crate) fn members(count: usize) -> ValidatorSet {
    ValidatorSet::new((0..count).map(|index| member(index, 10)).collect())
}

pub(crate) fn timing() -> Timing {
    Timing::from(&Params::local())
}

impl World {
    pub(crate) fn new(count: usize, seed: u64, faults: Faults) -> Self {
        let mut world = Self {
            now: 0,
            nodes: Vec::new(),
            faults,
            ids: BTreeMap::new(),
            trace: Digest::ZERO,
            foreign: 0,
            byzantine: BTreeSet::new(),
            nil_prevotes: BTreeSet::new(),
            events: BTreeMap::new(),
            next: 0,
            random: seed,
            signed: BTreeMap::new(),
        };
        for index in 0..count {
            world.nodes.push(Node::validator(index));
        }
        world
    }

    pub(crate) fn boot_all(&mut self) {
        (0..self.nodes.len())
            .filter(|n| !self.byzantine.contains(n))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|n| self.boot(n));
    }

    pub(crate) fn boot(&mut self, node: usize) {
        let effects = self.nodes[node].boot(self.faults.set);
        self.perform(node, effects);
    }

    /// splitmix64.
    pub(crate) fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn at(&mut self, delay: u64, event: Event) {
        self.next += 1;
        self.events.insert((self.now + delay, self.next), event);
    }

    pub(crate) fn local(&mut self, node: usize, delay: u64, what: Local) {
        let life = self.nodes[node].life;
        self.at(delay, Event::Local { node, life, what });
    }

    pub(crate) fn send(&mut self, from: usize, to: usize, wire: Wire) {
        if !(self.faults.lose)(self.now, from, to, &wire) {
            let delay = 5 + self.draw(20);
            self.at(delay, Event::Deliver { from, to, wire });
        }
    }

    pub(crate) fn send_all(&mut self, from: usize, message: &Outgoing) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            self.send(from, to, Wire::Gossip(message.clone()));
        }
    }

    /// Runs until the condition holds. False if virtual time runs out first.
    pub(crate) fn run_until(&mut self, limit_ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit_ms;
        while !done(self) {
            let Some(((time, _), event)) = self.events.pop_first() else {
                return false;
            };
            if time > end {
                self.at(time - self.now, event);
                self.now = end;
                return false;
            }
            self.now = time;
            self.handle(event);
        }
        true
    }

    pub(crate) fn run_for(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    pub(crate) fn tip(&self, node: usize) -> Height {
        self.nodes[node].tip()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, wire } => self.deliver(from, to, wire),
            Event::Local { node, life, what } if self.nodes[node].life == life => match what {
                Local::Timer(id) => self.step(node, Input::Timeout(id)),
                Local::Durable(seq) => {
                    self.nodes[node].sync_disk(seq);
                    self.step(node, Input::Durable(seq));
                }
                Local::Input(input) => self.step(node, *input),
                Local::Committed(height) => {
                    let set = (self.faults.set)(height.plus(2));
                    self.step(node, Input::Committed { height, set });
                }
            },
            Event::Local { .. } => {}
        }
    }

    pub(crate) fn step(&mut self, node: usize, input: Input) {
        let Some(machine) = self.nodes[node].machine.as_mut() else {
            return;
        };
        let effects = machine.step(input);
        self.perform(node, effects);
    }

    fn deliver(&mut self, from: usize, to: usize, wire: Wire) {
        let by = peer(from);
        match wire {
            Wire::Gossip(message) => self.gossip(by, to, message),
            Wire::BodyRequest(id) => {
                let block = self.nodes[to]
                    .machine
                    .as_ref()
                    .and_then(|m| m.window().block(&id));
                if let Some(block) = block.or_else(|| self.nodes[to].block_of(id)) {
                    self.send(to, from, Wire::Body(id, block));
                }
            }
            Wire::Body(id, block) => self.step(to, Input::Body(by, id, block)),
            Wire::HeightRequest(height) => {
                for (block, certificate) in self.nodes[to].decided_from(height) {
                    self.send(to, from, Wire::Synced(block, certificate));
                }
            }
            Wire::Synced(block, certificate) => {
                self.step(
                    to,
                    Input::Synced {
                        peer: by,
                        block,
                        certificate,
                    },
                );
            }
        }
    }

    /// As the network does: admission by header, then the signature, then the machine.
    pub(crate) fn gossip(&mut self, by: Peer, to: usize, message: Outgoing) {
        let header = match &message {
            Outgoing::Vote(vote) => EnvelopeHeader::parse(&seal_vote(vote)).ok(),
            Outgoing::Proposal(proposal, _) => {
                EnvelopeHeader::parse(&seal_proposal(proposal, &[])).ok()
            }
            Outgoing::Certificate(_) => None,
        };
        let Some(machine) = &self.nodes[to].machine else {
            return;
        };
        if let Some(header) = header {
            match machine.window().admit(&header) {
                Admission::Admit | Admission::Late => {}
                Admission::Ahead => {
                    let tip = header.height.previous();
                    return self.step(to, Input::Status { peer: by, tip });
                }
                Admission::Foreign => {
                    self.foreign += 1;
                    return;
                }
                _ => return,
            }
        }
        match message {
            Outgoing::Vote(vote) => {
                if let Ok(vote) = vote.verify(&chain()) {
                    self.step(to, Input::Message(by, Received::Vote(vote)));
                }
            }
            Outgoing::Proposal(proposal, block) => {
                let id = proposal.message.block;
                if let Ok(proposal) = proposal.verify(&chain()) {
                    self.step(to, Input::Message(by.clone(), Received::Proposal(proposal)));
                    if let Some(block) = block {
                        self.step(to, Input::Body(by, id, block));
                    }
                }
            }
            Outgoing::Certificate(certificate) => self.relay(by, to, certificate),
        }
    }

    pub(crate) fn relay(&mut self, by: Peer, to: usize, certificate: Certificate) {
        let relay = secret(100);
        let message = RelayedCertificate {
            certificate,
            signer: relay.public(),
        };
        let verified = Signed::sign(message, &relay, &chain())
            .verify(&chain())
            .unwrap();
        self.step(to, Input::Message(by, Received::Certificate(verified)));
    }
}
