//! What must hold after every event, whatever the seed.
//!
//! | oracle | what |
//! |---|---|
//! | O1 | one id per height |
//! | O2 | each certificate verifies against that height's set |
//! | O3 | no honest key signs two values for a slot, across crashes |
//! | W | nothing is released before its log batch and sign mark are durable |
//! | A1 | nobody honest is accused; every pair verifies |
//! | A2 | who was seen contradicting itself is accused at once, and everywhere by GST and a bound |
//! | L1 | all honest nodes reach the goal by GST and a bound |
//! | R | equal states at equal heights |
//! | T | a timer of an earlier height or life does nothing |
//! | B | every queue is within its limit |
//! | H | nobody honest stops |
//! | P | with nothing failing, every height is decided in its first round |
//!
//! D, the same digest on another run, is checked by whoever runs a seed twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consensus::{Delivery, Machine, Outgoing, Received, SignMark, SignPoint, Step, WalSeq};
use protocol::block::Block;
use protocol::codec::encode;
use protocol::digest::{BlockId, ChainId, Digest, sha256};
use protocol::evidence::ContradictingPair;
use protocol::keys::PublicKey;
use protocol::signed::Message;
use protocol::units::{Height, Round};
use protocol::validators::ValidatorSet;
use protocol::vote::{CommitCertificate, Proposal, Vote, VoteKind};

use super::app::{App, Broken};
use super::keys::{Keyring, Purpose};
use super::plan::{Plan, Profile, Role};
use super::world::World;

/// What oracles remember of the whole world.
#[derive(Debug)]
pub(crate) struct Oracles {
    chain: ChainId,
    keys: Vec<PublicKey>,
    roles: Vec<Role>,
    is_calm: bool,
    ids: BTreeMap<Height, BlockId>,
    pub(crate) roots: BTreeMap<Height, Digest>,
    signed: BTreeMap<(PublicKey, SignPoint), Digest>,
    /// Certificates that verified: a decision has as many as there are quorums.
    verified: BTreeSet<(Height, Digest)>,
}

/// Slot, signer and value of a message; what is compared where equivocation is in question.
pub(crate) type Said = (SignPoint, PublicKey, Option<BlockId>);

fn of_vote(vote: &Vote) -> Said {
    let step = match vote.kind {
        VoteKind::Prevote => Step::Prevote,
        VoteKind::Precommit => Step::Precommit,
    };
    let (height, round) = (vote.height, vote.round);
    (
        SignPoint {
            height,
            round,
            step,
        },
        vote.signer,
        vote.block,
    )
}

fn of_proposal(proposal: &Proposal) -> Said {
    let (height, round) = (proposal.height, proposal.round);
    let step = Step::Propose;
    (
        SignPoint {
            height,
            round,
            step,
        },
        proposal.signer,
        Some(proposal.block),
    )
}

pub(crate) fn said(received: &Received) -> Option<Said> {
    match received {
        Received::Vote(vote) => Some(of_vote(vote.message())),
        Received::Proposal(proposal) => Some(of_proposal(proposal.message())),
        Received::Certificate(_) => None,
    }
}

impl Oracles {
    pub(crate) fn new(plan: &Plan, keys: &Keyring, chain: ChainId) -> Self {
        Self {
            chain,
            keys: (0..plan.members)
                .map(|m| keys.public(Purpose::Consensus, m))
                .collect(),
            roles: plan.roles.clone(),
            is_calm: plan.profile == Profile::Calm,
            ids: BTreeMap::new(),
            roots: BTreeMap::new(),
            signed: BTreeMap::new(),
            verified: BTreeSet::new(),
        }
    }

    pub(crate) const fn is_calm(&self) -> bool {
        self.is_calm
    }

    pub(crate) fn is_hostile(&self, key: &PublicKey) -> bool {
        let member = self.keys.iter().position(|known| known == key);
        member.is_some_and(|m| self.roles.get(m).is_some_and(|role| role.is_hostile()))
    }

    pub(crate) fn hostile_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(|key| self.is_hostile(key))
    }

    /// O3 and W.
    pub(crate) fn released(
        &mut self,
        node: usize,
        (after, durable): (WalSeq, WalSeq),
        mark: Option<SignMark>,
        message: &Outgoing,
        delivery: Delivery,
    ) -> Result<(), Broken> {
        if durable < after {
            let text = format!("n{node} sends {message:?} before its log is durable");
            return Err(Broken::new("W", text));
        }
        let ((point, signer, _), digest) = match message {
            Outgoing::Vote(vote) => (
                of_vote(&vote.message),
                vote.message.signing_digest(&self.chain),
            ),
            Outgoing::Proposal(proposal, _) => (
                of_proposal(&proposal.message),
                proposal.message.signing_digest(&self.chain),
            ),
            Outgoing::Certificate(_) => return Ok(()),
        };
        if self.is_hostile(&signer) {
            return Ok(());
        }
        let first = *self.signed.entry((signer, point)).or_insert(digest);
        if first != digest {
            let text = format!("n{node} signed two values at {point:?}");
            return Err(Broken::new("O3", text));
        }
        if delivery == Delivery::First && mark.is_none_or(|mark| mark.point < point) {
            let text = format!(
                "n{node} sends {point:?}, durable is {:?}",
                mark.map(|m| m.point)
            );
            return Err(Broken::new("W", text));
        }
        Ok(())
    }

    /// O1, O2 and P. What a hostile node commits binds nobody.
    pub(crate) fn committed(
        &mut self,
        node: usize,
        is_bound: bool,
        set: Option<&ValidatorSet>,
        certificate: &CommitCertificate,
        block: &Arc<[u8]>,
    ) -> Result<(), Broken> {
        if !is_bound {
            return Ok(());
        }
        let (height, id, round) = (certificate.height, certificate.block, certificate.round);
        let first = *self.ids.entry(height).or_insert(id);
        if first != id {
            return Err(Broken::new(
                "O1",
                format!("n{node} commits {id} at {height}, others {first}"),
            ));
        }
        let proof = sha256(&encode(certificate));
        if self.verified.insert((height, proof)) {
            if Block::from_bytes(block).map(|block| block.id()) != Ok(id) {
                return Err(Broken::new(
                    "O2",
                    format!("n{node}: the block of {height} is another"),
                ));
            }
            let set =
                set.ok_or_else(|| Broken::new("O2", format!("n{node}: no set of {height}")))?;
            certificate.verify(set, &self.chain).map_err(|error| {
                Broken::new("O2", format!("n{node}: certificate of {height}: {error}"))
            })?;
        }
        if self.is_calm && round > Round::ZERO {
            let text =
                format!("n{node}: {height} was decided in round {round} with nothing failing");
            return Err(Broken::new("P", text));
        }
        Ok(())
    }

    /// A1.
    pub(crate) fn accused(&self, node: usize, pair: &ContradictingPair) -> Result<(), Broken> {
        if let Err(error) = pair.verify(&self.chain) {
            return Err(Broken::new(
                "A1",
                format!("n{node}: a pair that proves nothing: {error}"),
            ));
        }
        let key = pair.signer();
        if self.is_hostile(&key) {
            return Ok(());
        }
        Err(Broken::new(
            "A1",
            format!("n{node} accuses {key}, who is honest"),
        ))
    }
}

impl<A: App> World<A> {
    /// A2, its first half: takes note of a message, before the machine sees it.
    pub(crate) fn hear(&mut self, to: usize, height: Height, received: &Received) {
        let Some((point, signer, value)) = said(received) else {
            return;
        };
        if point.height > height || !self.oracles.is_hostile(&signer) {
            return;
        }
        let Some(node) = self.nodes.get_mut(to) else {
            return;
        };
        let first = *node.heard.entry((signer, point)).or_insert(value);
        if first != value && node.key != signer {
            node.owes.insert(signer);
        }
    }

    /// A2: after the machine has seen it, the contradiction is known.
    pub(crate) fn check_heard(&mut self, to: usize) {
        let Some(node) = self.nodes.get(to) else {
            return;
        };
        let Some(app) = node.app.as_ref() else { return };
        let missed = node.owes.iter().find(|key| !app.accuses(key));
        if let (Some(key), false) = (missed, self.plan.role(to).is_hostile()) {
            let text = format!("n{to} saw {key} contradict itself and says nothing");
            self.fail(Broken::new("A2", text));
        }
    }

    /// A2, in the end: who is accused by one honest node is accused by all.
    pub(crate) fn unpunished(&self) -> Option<Broken> {
        let accuses = |node: usize, key: &PublicKey| {
            let app = self.nodes.get(node).and_then(|node| node.app.as_ref());
            app.is_some_and(|app| app.accuses(key))
        };
        self.oracles.hostile_keys().find_map(|key| {
            let accuser = self.plan.honest().find(|node| accuses(*node, key))?;
            let silent = self.plan.honest().find(|node| !accuses(*node, key))?;
            let text = format!("n{accuser} accuses {key}, n{silent} does not");
            Some(Broken::new("A2", text))
        })
    }
}

/// B: what a machine keeps is bounded, whatever arrives.
pub(crate) fn within_limits(machine: &Machine) -> Result<(), String> {
    let sizes = machine.sizes();
    match sizes.first_over() {
        None => Ok(()),
        Some((what, size, limit)) => Err(format!("{what}: {size}, at most {limit} allowed")),
    }
}
