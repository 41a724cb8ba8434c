//! What evidence does with a contradiction: keep it, tell others, report it until it is punished.
//! Pure.
//!
//! ```text
//!  Found -> Keeping -Kept-> Reported (gossip, SubmitEvidence; again every few heights) -Accepted-> gone
//! ```
//! Durable before gossip: a pair that was told to others and then forgotten could be denied.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic,
        clippy::as_conversions
    )
)]

use std::collections::BTreeMap;

use ledger::State;
use ledger::staking::Exit;
use protocol::digest::{EvidenceId, ValidatorId};
use protocol::events::Event;
use protocol::evidence::{ContradictingPair, evidence_id};
use protocol::keys::PublicKey;
use protocol::limits::VALIDATORS_MAX;
use protocol::units::Height;

/// A pair not yet punished is told to peers again after so many heights.
pub const GOSSIP_BLOCKS: u64 = 5;
/// Pairs held at once.
pub const PAIRS_MAX: usize = 512;
/// Pairs held of one validator. One puts it out for good; a liar that signs hundreds must not fill the
/// pool, or nobody would be left to report its accomplices.
pub const PAIRS_PER_VALIDATOR: usize = 2;
const _: () = assert!(PAIRS_MAX >= PAIRS_PER_VALIDATOR * VALIDATORS_MAX);

/// A pair whose two signatures were checked, with the validator it proves guilty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whose keys they were.
    pub validator: ValidatorId,
    /// The two messages.
    pub pair: ContradictingPair,
}

impl Proof {
    /// One offence, however many pairs prove it.
    #[must_use]
    pub fn id(&self) -> EvidenceId {
        let pair = &self.pair;
        evidence_id(pair.kind(), &self.validator, pair.height(), pair.round())
    }
}

/// Where a proof came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Our own machine saw both messages.
    Seen,
    /// A peer told us.
    Gossip,
    /// It was on disk at start.
    Disk,
}

/// What the reducer hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A contradiction.
    Found(Box<Proof>, Source),
    /// A contradiction that [`Evidence::is_moot`].
    Moot(EvidenceId, Source),
    /// From storage: it is durable.
    Kept(EvidenceId),
    /// From consensus.
    Committed {
        /// The height.
        height: Height,
        /// The lowest height of which a proof still counts, by blocks and by time.
        floor: Height,
        /// Those of this domain.
        events: Vec<Event>,
    },
}

/// What the shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Make it durable.
    Keep(EvidenceId, Proof),
    /// Tell peers.
    Gossip(Proof),
    /// Sign and send `SubmitEvidence`.
    Submit(Proof),
    /// It is settled; the disk may forget it.
    Done(EvidenceId),
    /// Write into the audit log that it was seen, received or punished.
    Audit(&'static str, EvidenceId),
    /// Others hold proof against our own key: somebody else signs with it.
    OwnKey(Proof),
    /// The height is dealt with.
    Note(Height),
}

#[derive(Clone, Debug)]
struct Held {
    proof: Proof,
    kept: bool,
    /// When peers were last told.
    told: Option<Height>,
}

/// See the module. The pairs are durable, the rest is ephemeral.
#[derive(Clone, Debug)]
pub struct Evidence {
    own_key: Option<PublicKey>,
    held: BTreeMap<EvidenceId, Held>,
    height: Height,
}

impl Evidence {
    /// `height` is the last one dealt with.
    #[must_use]
    pub const fn new(own_key: Option<PublicKey>, height: Height) -> Self {
        Self {
            own_key,
            held: BTreeMap::new(),
            height,
        }
    }

    /// Proofs held and not yet punished.
    #[must_use]
    pub fn open(&self) -> usize {
        self.held.len()
    }

    /// Whether the chain takes no proof of this any more: it has this one, or one that put the validator
    /// out. A proof against our own key says that somebody else has it, whatever the chain knows.
    #[must_use]
    pub fn is_moot(&self, state: &State, proof: &Proof) -> bool {
        let row = state.validators.get(&proof.validator);
        let is_out = row.is_some_and(|row| matches!(row.exit, Some(Exit::Tombstoned(_))));
        state.evidence.contains(&proof.id()) || (is_out && !self.is_own(proof))
    }

    fn is_own(&self, proof: &Proof) -> bool {
        self.own_key == Some(proof.pair.signer())
    }

    /// One step.
    pub fn step(&mut self, input: Input) -> Vec<Intent> {
        match input {
            Input::Found(proof, source) => self.found(*proof, source),
            // Only a pair that lies on disk is there to be done with.
            Input::Moot(id, Source::Disk) => vec![Intent::Done(id)],
            Input::Moot(..) => Vec::new(),
            Input::Kept(id) => self.kept(id),
            Input::Committed {
                height,
                floor,
                events,
            } => self.committed(height, floor, &events),
        }
    }

    fn found(&mut self, proof: Proof, source: Source) -> Vec<Intent> {
        if self.is_own(&proof) {
            return vec![Intent::OwnKey(proof)];
        }
        let id = proof.id();
        let others = self.held.values().map(|held| held.proof.validator);
        let of_same = others.filter(|other| *other == proof.validator).count();
        let is_full = self.held.len() >= PAIRS_MAX || of_same >= PAIRS_PER_VALIDATOR;
        if self.held.contains_key(&id) || is_full {
            return Vec::new();
        }
        let kept = source == Source::Disk;
        self.held.insert(
            id,
            Held {
                proof: proof.clone(),
                kept,
                told: None,
            },
        );
        match source {
            Source::Seen => vec![Intent::Audit("evidence_seen", id), Intent::Keep(id, proof)],
            Source::Gossip => vec![
                Intent::Audit("evidence_received", id),
                Intent::Keep(id, proof),
            ],
            Source::Disk => vec![Intent::Submit(proof)],
        }
    }

    fn kept(&mut self, id: EvidenceId) -> Vec<Intent> {
        let height = self.height;
        let Some(held) = self.held.get_mut(&id) else {
            return Vec::new();
        };
        if std::mem::replace(&mut held.kept, true) {
            return Vec::new();
        }
        held.told = Some(height);
        vec![
            Intent::Gossip(held.proof.clone()),
            Intent::Submit(held.proof.clone()),
        ]
    }

    fn committed(&mut self, height: Height, floor: Height, events: &[Event]) -> Vec<Intent> {
        if height <= self.height {
            return Vec::new();
        }
        self.height = height;
        let mut intents = Vec::new();
        for event in events {
            if let Event::EvidenceAccepted {
                evidence,
                validator,
                ..
            } = event
            {
                intents.push(Intent::Audit("evidence_punished", *evidence));
                intents.push(Intent::Done(*evidence));
                self.held.remove(evidence);
                intents.extend(self.drop_moot(validator));
            }
        }
        self.held.retain(|id, held| {
            let expired = held.proof.pair.height() < floor;
            if expired {
                intents.push(Intent::Done(*id));
            }
            !expired
        });
        for (id, held) in &mut self.held {
            if !held.kept {
                // A full journal takes nothing and says nothing; one pair twice is one.
                intents.push(Intent::Keep(*id, held.proof.clone()));
                continue;
            }
            intents.push(Intent::Submit(held.proof.clone()));
            if held
                .told
                .is_none_or(|told| told.plus(GOSSIP_BLOCKS) <= height)
            {
                held.told = Some(height);
                intents.push(Intent::Gossip(held.proof.clone()));
            }
        }
        intents.push(Intent::Note(height));
        intents
    }

    /// A validator is out for ever: the chain takes no other proof against it.
    fn drop_moot(&mut self, validator: &ValidatorId) -> Vec<Intent> {
        let of_it = |held: &Held| held.proof.validator == *validator;
        let moot: Vec<EvidenceId> = self
            .held
            .iter()
            .filter(|(_, held)| of_it(held))
            .map(|(id, _)| *id)
            .collect();
        self.held.retain(|_, held| !of_it(held));
        moot.into_iter().map(Intent::Done).collect()
    }
}
