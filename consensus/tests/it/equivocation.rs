//! Validators that contradict themselves, and signatures that only look different.

use consensus::{Input, Outgoing, Received};
use protocol::digest::{BlockId, sha256};
use protocol::evidence::ContradictingPair;
use protocol::keys::Signature;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{
    BodyPlace, Certificate, CertificateSignature, PolkaCertificate, Proposal, Vote, VoteKind,
};

use crate::world::{Faults, World, chain, peer, secret};

/// A vote of node 3, whose machine does not run.
pub(crate) fn vote(
    height: Height,
    round: u32,
    kind: VoteKind,
    block: Option<&[u8]>,
) -> Signed<Vote> {
    let block = block.map(|b| BlockId(sha256(b)));
    let signer = secret(3).public();
    Signed::sign(
        Vote {
            kind,
            height,
            round: Round(round),
            block,
            signer,
        },
        &secret(3),
        &chain(),
    )
}

pub(crate) fn three_honest(seed: u64) -> World {
    let mut world = World::new(4, seed, Faults::default());
    world.byzantine.insert(3);
    world.boot_all();
    world
}

fn send(world: &mut World, to: usize, vote: &Signed<Vote>) {
    world.gossip(peer(3), to, Outgoing::Vote(vote.clone()));
}

/// Goal: a second vote that comes after its height was decided still is evidence.
#[test]
fn late_second_vote_is_evidence() {
    let mut world = three_honest(41);
    let second = vote(Height(2), 0, VoteKind::Prevote, None);
    assert!(world.run_until(20_000, |w| w.tip(0) == Height(1)));
    world.run_until(2_000, |w| {
        w.nodes[0].machine.as_ref().unwrap().height() == Height(2)
    });
    send(
        &mut world,
        0,
        &vote(Height(2), 0, VoteKind::Prevote, Some(b"x")),
    );
    assert!(world.run_until(20_000, |w| w.tip(0) == Height(6)));
    assert!(world.nodes[0].contradictions.is_empty());
    send(&mut world, 0, &second);
    send(
        &mut world,
        0,
        &vote(Height(2), 0, VoteKind::Prevote, Some(b"third")),
    );
    assert_eq!(
        world.nodes[0].contradictions.len(),
        1,
        "once, however many follow"
    );
    assert_eq!(
        world.nodes[0].contradictions[0].signer(),
        secret(3).public()
    );
}

/// Goal: a second vote for a round below the lock, whose votes the core has forgotten, is evidence.
#[test]
fn pre_lock_round_is_evidence() {
    let faults = Faults {
        is_invalid: |height, round| height == Height(2) && round == Round(0),
        lose: |_, _, _, wire| {
            matches!(wire, crate::world::Wire::Gossip(Outgoing::Vote(v))
                if v.message.kind == VoteKind::Precommit && v.message.height == Height(2) && v.message.block.is_some())
        },
        ..Faults::default()
    };
    let mut world = World::new(4, 42, faults);
    world.byzantine.insert(3);
    world.boot_all();
    let at = |w: &World, round| {
        let machine = w.nodes[0].machine.as_ref().unwrap();
        machine.height() == Height(2) && machine.round() >= Round(round)
    };
    assert!(world.run_until(20_000, |w| at(w, 0)));
    send(
        &mut world,
        0,
        &vote(Height(2), 0, VoteKind::Prevote, Some(b"x")),
    );
    let locked = |w: &World| {
        w.nodes[0].log.iter().any(|r| matches!(r, consensus::Record::Own { mark, .. }
            if mark.point.height == Height(2) && mark.point.round >= Round(1) && mark.point.step == consensus::Step::Precommit))
    };
    assert!(
        world.run_until(20_000, |w| at(w, 1) && locked(w)),
        "locked in a later round"
    );
    send(&mut world, 0, &vote(Height(2), 0, VoteKind::Prevote, None));
    assert_eq!(world.nodes[0].contradictions.len(), 1);
}

/// Goal: two proposals for one round are evidence, whichever comes first.
#[test]
fn double_proposal_is_evidence() {
    let mut world = three_honest(43);
    let round = |w: &World| {
        let window = w.nodes[0].machine.as_ref().unwrap().window();
        let height = window.height();
        (0..4)
            .map(Round)
            .find(|r| window.proposer(height, *r) == Some(secret(3).public()))
            .map(|r| (height, r))
    };
    let (height, round) = round(&world).unwrap();
    for text in [b"a", b"b"] {
        let message = Proposal {
            height,
            round,
            pol_round: None,
            block: BlockId(sha256(text)),
            body: BodyPlace::Apart,
            signer: secret(3).public(),
        };
        let signed = Signed::sign(message, &secret(3), &chain());
        world.gossip(peer(3), 0, Outgoing::Proposal(signed, None));
    }
    assert!(matches!(
        world.nodes[0].contradictions[..],
        [ContradictingPair::Proposals(..)]
    ));
}

/// Goal: a certificate may hold the only copy of a contradicting vote; it is found there.
#[test]
fn vote_inside_a_certificate_is_evidence() {
    let mut world = three_honest(44);
    let height = Height(1);
    send(&mut world, 0, &vote(height, 0, VoteKind::Prevote, None));
    let hidden = vote(height, 0, VoteKind::Prevote, Some(b"x"));
    let part = CertificateSignature {
        signer: hidden.message.signer,
        signature: hidden.signature,
    };
    let polka = |signature| PolkaCertificate {
        height,
        round: Round(0),
        block: hidden.message.block.unwrap(),
        signatures: vec![CertificateSignature { signature, ..part }],
    };
    world.relay(peer(1), 0, Certificate::Polka(polka(Signature([5; 64]))));
    assert!(
        world.nodes[0].contradictions.is_empty(),
        "a forged part proves nothing"
    );
    world.relay(peer(1), 0, Certificate::Polka(polka(part.signature)));
    assert_eq!(world.nodes[0].contradictions.len(), 1);
}

/// Goal: with two double voters of seven the chain goes on and both are found.
#[test]
fn two_equivocators_of_seven() {
    let faults = Faults {
        set: |_| crate::world::members(7),
        ..Faults::default()
    };
    let mut world = World::new(7, 45, faults);
    world.byzantine.extend([5, 6]);
    world.boot_all();
    for height in 1..15 {
        assert!(
            world.run_until(30_000, |w| w.nodes[0].machine.as_ref().unwrap().height()
                >= Height(height))
        );
        for liar in [5, 6] {
            for to in 0..5 {
                let block = (to % 2 == 0).then(|| BlockId(sha256(&[liar as u8])));
                for kind in [VoteKind::Prevote, VoteKind::Precommit] {
                    let message = Vote {
                        kind,
                        height: Height(height),
                        round: Round(0),
                        block,
                        signer: secret(liar).public(),
                    };
                    let signed = Signed::sign(message, &secret(liar), &chain());
                    world.gossip(peer(liar), to, Outgoing::Vote(signed.clone()));
                    world.send(
                        liar,
                        (to + 1) % 5,
                        crate::world::Wire::Gossip(Outgoing::Vote(signed)),
                    );
                }
            }
        }
    }
    assert!(world.run_until(30_000, |w| (0..5).all(|n| w.tip(n) >= Height(14))));
    for node in 0..5 {
        let found: std::collections::BTreeSet<_> = world.nodes[node]
            .contradictions
            .iter()
            .map(|p| p.signer())
            .collect();
        assert_eq!(found.len(), 2, "node {node} found {found:?}");
    }
}

/// `n - s` for the order n of secp256k1.
fn high_s_twin(signature: &Signature) -> Signature {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];
    let mut twin = signature.0;
    let mut borrow = 0;
    for index in (0..32).rev() {
        let difference = i32::from(ORDER[index]) - i32::from(signature.0[32 + index]) - borrow;
        borrow = i32::from(difference < 0);
        twin[32 + index] = difference.rem_euclid(256) as u8;
    }
    Signature(twin)
}

/// Goal: the twin `(r, n - s)` of a good signature verifies nowhere: not alone, not in a certificate.
#[test]
fn high_s_twin_rejected() {
    let good = vote(Height(1), 0, VoteKind::Prevote, None);
    let twin = Signed {
        signature: high_s_twin(&good.signature),
        ..good.clone()
    };
    assert_ne!(twin.signature, good.signature);
    assert_eq!(high_s_twin(&twin.signature), good.signature);
    assert!(twin.verify(&chain()).is_err());

    let mut world = three_honest(46);
    world.nodes[2].crash(0);
    assert!(world.run_until(3_000, |w| w.tip(0) == Height(0)));
    let mut donor = three_honest(46);
    assert!(donor.run_until(9_000, |w| w.tip(0) == Height(1)));
    let (block, certificate) = donor.nodes[0].blocks[&Height(1)].clone();
    let mut forged = certificate.clone();
    forged.signatures[0].signature = high_s_twin(&forged.signatures[0].signature);
    world.step(
        0,
        Input::Synced {
            peer: peer(1),
            block: block.clone(),
            certificate: forged,
        },
    );
    world.run_for(100);
    assert_eq!(world.tip(0), Height(0), "the twin was refused");
    world.step(
        0,
        Input::Synced {
            peer: peer(2),
            block,
            certificate,
        },
    );
    assert!(
        world.run_until(1_000, |w| w.tip(0) == Height(1)),
        "the genuine one is taken"
    );
}

/// Goal: a duplicate costs no verification, not even of what the core checks again by itself.
#[test]
fn duplicate_costs_no_verify() {
    let mut world = three_honest(47);
    let message = vote(Height(1), 0, VoteKind::Prevote, None)
        .verify(&chain())
        .unwrap();
    for _ in 0..100 {
        world.step(0, Input::Message(peer(3), Received::Vote(message.clone())));
    }
    assert!(world.run_until(30_000, |w| (0..3).all(|n| w.tip(n) >= Height(10))));
    for node in 0..3 {
        let machine = world.nodes[node].machine.as_ref().unwrap();
        assert_eq!(
            machine.verifications(),
            0,
            "all were verified before they came, or made here"
        );
    }
}
