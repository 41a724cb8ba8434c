//! Answers that come from somebody who is not being asked any more.

use consensus::{Effect, Input, Machine, Peer, TimerId};
use protocol::block::{Block, Body, HEADER_VERSION, Header};
use protocol::digest::{Digest, ValidatorId};
use protocol::units::{Height, Round, TimeMs};
use protocol::vote::CommitCertificate;

use crate::node::Node;
use crate::world::{members, peer};

fn asked(effects: &[Effect]) -> Option<Peer> {
    effects.iter().find_map(|effect| match effect {
        Effect::AskHeight { peer, .. } => Some(peer.clone()),
        _ => None,
    })
}

fn timer_of(effects: &[Effect]) -> Option<TimerId> {
    let asks = effects
        .iter()
        .skip_while(|effect| !matches!(effect, Effect::AskHeight { .. }));
    asks.into_iter().find_map(|effect| match effect {
        Effect::SetTimer(id, _) => Some(*id),
        _ => None,
    })
}

fn forged() -> Input {
    let body = Body(Vec::new());
    let header = Header {
        version: HEADER_VERSION,
        height: Height(1),
        time_ms: TimeMs(1),
        parent: Digest::ZERO,
        state_root: Digest::ZERO,
        body_hash: body.hash(),
        next_set: Digest::ZERO,
        builder: ValidatorId(Digest::ZERO),
    };
    let block = Block { header, body };
    let certificate = CommitCertificate {
        height: Height(1),
        round: Round(0),
        block: block.id(),
        signatures: Vec::new(),
    };
    Input::Synced {
        peer: peer(1),
        block: block.to_bytes().into(),
        certificate,
    }
}

/// Goal: a liar's late answer does not make a node wait for ever for another's that was lost.
#[test]
fn a_late_forgery_does_not_stop_the_clock_of_another() {
    let boot = Node::validator(0).start_values(|_| members(4));
    let (mut machine, _) = Machine::boot(boot).unwrap();
    let status = |index| Input::Status {
        peer: peer(index),
        tip: Height(9),
    };
    let first = machine.step(status(1));
    assert_eq!(asked(&first), Some(peer(1)), "who is far ahead is asked");
    machine.step(status(2));
    let second = machine.step(Input::Timeout(timer_of(&first).unwrap()));
    assert_eq!(asked(&second), Some(peer(2)), "silence: somebody else");
    assert_eq!(asked(&machine.step(forged())), None, "one at a time");
    machine.step(status(3));
    let third = machine.step(Input::Timeout(timer_of(&second).unwrap()));
    assert_eq!(asked(&third), Some(peer(3)), "silence again");
}
