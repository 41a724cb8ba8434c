//! Too much of everything.

use std::sync::Arc;

use consensus::{Effect, Input, Outgoing};
use protocol::digest::{BlockId, sha256};
use protocol::keys::Signature;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{BodyPlace, Proposal, VoteKind};

use crate::equivocation::{three_honest, vote};
use crate::world::{chain, peer, secret};

/// Goal: a member's flood of votes for the next height and beyond, forged or signed, keeps no honest vote
/// out: every height is decided by all, in the first round wherever an honest node proposes.
#[test]
fn flood_future_votes() {
    let mut world = three_honest(51);
    for goal in 1..12 {
        for to in 0..3 {
            let current = world.nodes[to].machine.as_ref().unwrap().height();
            for n in 0..60 {
                let signed = vote(
                    current.plus(1 + n % 3),
                    (n % 14) as u32,
                    VoteKind::Prevote,
                    Some(&[n as u8]),
                );
                let forged = Signed {
                    signature: Signature([n as u8; 64]),
                    ..signed.clone()
                };
                world.gossip(peer(3), to, Outgoing::Vote(forged));
                world.gossip(peer(3), to, Outgoing::Vote(signed));
            }
        }
        assert!(
            world.run_until(20_000, |w| (0..3).all(|n| w.tip(n) >= Height(goal))),
            "height {goal}"
        );
    }
    let late = world.nodes[0]
        .blocks
        .values()
        .filter(|(_, c)| c.round > Round(1))
        .count();
    assert_eq!(late, 0, "at most the flooder's own round is lost");
}

/// Goal: copies of an honest early vote, however many peers bring it, do not use up its sender's quota.
#[test]
fn copies_do_not_use_up_the_quota() {
    let mut world = three_honest(55);
    let next = Height(2);
    for _ in 0..50 {
        world.gossip(
            peer(1),
            0,
            Outgoing::Vote(vote(next, 0, VoteKind::Prevote, None)),
        );
    }
    world.gossip(
        peer(1),
        0,
        Outgoing::Vote(vote(next, 0, VoteKind::Precommit, None)),
    );
    let held = world.nodes[0]
        .machine
        .as_ref()
        .unwrap()
        .window()
        .messages(next, Round(0));
    assert_eq!(held.len(), 2, "the later vote was taken too");
}

/// Goal: a stranger's votes are refused by header, before any signature is checked.
#[test]
fn strangers_are_refused_at_the_door() {
    let mut world = three_honest(52);
    let stranger = secret(77);
    let mut message = vote(Height(1), 0, VoteKind::Prevote, None).message;
    message.signer = stranger.public();
    let signed = Signed::sign(message, &stranger, &chain());
    world.gossip(peer(3), 0, Outgoing::Vote(signed));
    assert_eq!(world.foreign, 1);
    // A member proposes out of turn: refused alike.
    let window = world.nodes[0].machine.as_ref().unwrap().window();
    let turn = (0..4)
        .map(Round)
        .find(|r| window.proposer(Height(1), *r) != Some(secret(3).public()))
        .unwrap();
    let proposal = Proposal {
        height: Height(1),
        round: turn,
        pol_round: None,
        block: BlockId::ZERO,
        body: BodyPlace::Apart,
        signer: secret(3).public(),
    };
    let signed = Signed::sign(proposal, &secret(3), &chain());
    world.gossip(peer(3), 0, Outgoing::Proposal(signed, None));
    assert_eq!(world.foreign, 2);
}

/// Goal: blocks that nobody named, and bytes that are not the block they claim, never block the real
/// one. The core holds two values per round; two pieces of junk would have filled it.
#[test]
fn flood_junk_bodies() {
    let mut world = three_honest(53);
    for goal in 1..8 {
        for to in 0..3 {
            let height = world.nodes[to].machine.as_ref().unwrap().height();
            for n in 0..20 {
                let mut block = world.make_block(to, height, Round(0));
                block.body.0.push(vec![n]);
                block.header.body_hash = block.body.hash();
                let (id, bytes) = (block.id(), Arc::from(block.to_bytes()));
                world.step(to, Input::Body(peer(3), id, bytes));
                let claimed = BlockId(sha256(&[n]));
                world.step(to, Input::Body(peer(3), claimed, Arc::from(vec![n; 300])));
                let window = world.nodes[to].machine.as_ref().unwrap().window();
                assert!(window.block(&id).is_none() && window.block(&claimed).is_none());
            }
        }
        assert!(
            world.run_until(20_000, |w| (0..3).all(|n| w.tip(n) >= Height(goal))),
            "height {goal}"
        );
    }
}

/// Goal: a timer of an earlier height or life does nothing.
#[test]
fn stale_timers_are_ignored() {
    let mut world = three_honest(54);
    assert!(world.run_until(10_000, |w| w.tip(0) >= Height(3)));
    let machine = world.nodes[0].machine.as_mut().unwrap();
    for kind in [
        consensus::TimerKind::Propose,
        consensus::TimerKind::Precommit,
        consensus::TimerKind::Pace,
    ] {
        let id = consensus::TimerId {
            epoch: 1,
            kind,
            round: Round(0),
        };
        let effects: Vec<Effect> = machine.step(Input::Timeout(id));
        assert_eq!(effects, vec![]);
    }
}
