//! Goal: the block that a machine is locked on is at hand after a restart, however many other blocks
//! the height saw. Method: one machine by hand, whose peers' keys the test holds.

use std::sync::Arc;

use consensus::{Boot, Effect, Input, Judgement, Machine, Received, Record, SignMark, Signer};
use protocol::block::{Block, Body, HEADER_VERSION, Header};
use protocol::digest::{BlockId, Digest};
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::units::{Height, Round, TimeMs};
use protocol::vote::{BodyPlace, Proposal, Vote, VoteKind};

use crate::world::{chain, member, members, peer, secret, timing};

const HEIGHT: Height = Height(1);
/// Whose machine it is.
const OWN: usize = 3;

/// A machine and what its disk holds.
struct Hand {
    machine: Machine,
    log: Vec<Record>,
    mark: Option<SignMark>,
}

fn boot(log: Vec<Record>, mark: Option<SignMark>) -> Hand {
    let values = Boot {
        chain: chain(),
        committed: Height(0),
        sets: vec![(Height(1), members(4)), (Height(2), members(4))],
        timing: timing(),
        signer: Some(Signer::new(secret(OWN))),
        floor: mark,
        log: log.clone(),
        epoch: 0,
    };
    let (machine, effects) = Machine::boot(values).unwrap();
    let mut hand = Hand { machine, log, mark };
    hand.perform(effects);
    hand
}

impl Hand {
    fn step(&mut self, input: Input) {
        let effects = self.machine.step(input);
        self.perform(effects);
    }

    /// Every block is valid, every write is durable at once.
    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Wal {
                    records,
                    sign_mark,
                    seq,
                } => {
                    self.log.extend(records);
                    self.mark = sign_mark.or(self.mark);
                    self.step(Input::Durable(seq));
                }
                Effect::Judge { height, id, .. } => {
                    let verdict = Judgement::Valid { early_by_ms: 0 };
                    self.step(Input::Verdict {
                        height,
                        id,
                        verdict,
                    });
                }
                Effect::Halt(halt) => panic!("{halt}"),
                _ => {}
            }
        }
    }

    fn vote(&mut self, node: usize, kind: VoteKind, round: u32, block: Option<BlockId>) {
        let vote = Vote {
            kind,
            height: HEIGHT,
            round: Round(round),
            block,
            signer: secret(node).public(),
        };
        let vote = Signed::sign(vote, &secret(node), &chain());
        let vote = vote.verify(&chain()).unwrap();
        self.step(Input::Message(peer(node), Received::Vote(vote)));
    }

    /// The round's proposer proposes a block of its own. `None` if that is this machine.
    fn propose(&mut self, round: u32) -> Option<BlockId> {
        let key = self
            .machine
            .window()
            .proposer(HEIGHT, Round(round))
            .unwrap();
        let is_key = |node: &usize| secret(*node).public() == key;
        let proposer = (0..4).find(is_key).filter(|node| *node != OWN)?;
        let (id, block) = block(round);
        let proposal = Proposal {
            height: HEIGHT,
            round: Round(round),
            pol_round: None,
            block: id,
            body: BodyPlace::Inline,
            signer: key,
        };
        let signer: SecretKey = secret(proposer);
        let proposal = Signed::sign(proposal, &signer, &chain());
        let proposal = proposal.verify(&chain()).unwrap();
        let from = peer(proposer);
        self.step(Input::Message(from.clone(), Received::Proposal(proposal)));
        self.step(Input::Body(from, id, block));
        Some(id)
    }

    fn bodies(&self) -> usize {
        let bodies = self.log.iter();
        bodies
            .filter(|record| matches!(record, Record::Body { .. }))
            .count()
    }
}

fn block(round: u32) -> (BlockId, Arc<[u8]>) {
    let body = Body(vec![round.to_be_bytes().to_vec()]);
    let header = Header {
        version: HEADER_VERSION,
        height: HEIGHT,
        time_ms: TimeMs(1),
        parent: chain().0,
        state_root: Digest::ZERO,
        body_hash: body.hash(),
        next_set: members(4).digest(),
        builder: member(0, 1).id,
    };
    let block = Block { header, body };
    (block.id(), block.to_bytes().into())
}

#[test]
fn locked_block_survives_the_replay_of_many_others() {
    let mut hand = boot(Vec::new(), None);
    // The first block that is not our own gets its polka, and we lock on it.
    let mut round = 0;
    let locked = loop {
        if let Some(id) = hand.propose(round) {
            break id;
        }
        round += 1;
        (0..2).for_each(|node| hand.vote(node, VoteKind::Prevote, round, None));
    };
    (0..2).for_each(|node| hand.vote(node, VoteKind::Prevote, round, Some(locked)));
    // Then others come, each valid, none with a polka: enough to push out the oldest twice over.
    while hand.bodies() < 17 {
        round += 1;
        (0..2).for_each(|node| hand.vote(node, VoteKind::Prevote, round, None));
        hand.propose(round);
        assert!(round < 100);
    }
    assert!(hand.machine.window().block(&locked).is_some(), "before");
    let again = boot(hand.log, hand.mark);
    assert!(again.machine.window().block(&locked).is_some(), "after");
    assert_eq!(again.machine.round(), Round(round));
}
