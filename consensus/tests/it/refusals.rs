//! When to stop.

use consensus::{Halt, Input, Machine, Outgoing};
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::validators::ValidatorSet;
use protocol::vote::{CertificateSignature, CommitCertificate, Vote, VoteKind};

use crate::equivocation::three_honest;
use crate::node::Node;
use crate::world::{Faults, World, chain, peer, secret};

fn certificate(height: Height, block: protocol::digest::BlockId) -> CommitCertificate {
    let mut certificate = CommitCertificate {
        height,
        round: Round(0),
        block,
        signatures: vec![],
    };
    for index in 0..4 {
        let signer = secret(index).public();
        let message = Vote {
            kind: VoteKind::Precommit,
            height,
            round: Round(0),
            block: Some(block),
            signer,
        };
        let signature = Signed::sign(message, &secret(index), &chain()).signature;
        certificate
            .signatures
            .push(CertificateSignature { signer, signature });
    }
    certificate.signatures.sort_by_key(|part| part.signer);
    certificate
}

/// Goal: our own key signing where we did not stops the node (a cloned host).
#[test]
fn own_key_elsewhere_halts() {
    let mut world = three_honest(61);
    let message = Vote {
        kind: VoteKind::Precommit,
        height: Height(1),
        round: Round(7),
        block: None,
        signer: secret(0).public(),
    };
    world.gossip(
        peer(1),
        0,
        Outgoing::Vote(Signed::sign(message, &secret(0), &chain())),
    );
    assert!(matches!(
        world.nodes[0].halted,
        Some(Halt::OwnKeyElsewhere { .. })
    ));
    let input = Input::Status {
        peer: peer(1),
        tip: Height(9),
    };
    let machine: &mut Machine = world.nodes[0].machine.as_mut().unwrap();
    assert_eq!(machine.step(input), vec![], "nothing follows a halt");
}

/// Goal: a quorum committed what our ledger refuses: stop, with the code that says so.
#[test]
fn certified_invalid_block_halts() {
    let faults = Faults {
        is_invalid: |_, round| round == Round(9),
        ..Faults::default()
    };
    let mut world = World::new(4, 62, faults);
    world.boot(0);
    let block = world.make_block(1, Height(1), Round(9));
    let certificate = certificate(Height(1), block.id());
    let block = block.to_bytes().into();
    world.step(
        0,
        Input::Synced {
            peer: peer(1),
            block,
            certificate,
        },
    );
    world.run_for(100);
    let halted = world.nodes[0].halted.clone();
    assert!(
        matches!(halted, Some(Halt::CertifiedInvalid { .. })),
        "{halted:?}"
    );
    assert_eq!(halted.map(|h| h.exit_code()), Some(73));
}

/// Goal: two valid certificates for one height freeze the node; it signs and commits nothing more.
#[test]
fn two_certificates_freeze() {
    let mut world = World::new(4, 63, Faults::default());
    world.boot_all();
    assert!(world.run_until(20_000, |w| w.tip(0) >= Height(3)));
    let block = world.make_block(1, Height(2), Round(0));
    let second = certificate(Height(2), block.id());
    let mut weak = second.clone();
    weak.signatures.truncate(2);
    for (certificate, freezes) in [(weak, false), (second, true)] {
        let block = block.to_bytes().into();
        world.step(
            0,
            Input::Synced {
                peer: peer(1),
                block,
                certificate,
            },
        );
        assert_eq!(world.nodes[0].frozen.is_some(), freezes);
    }
    let tip = world.tip(0);
    world.run_for(5_000);
    assert_eq!(world.tip(0), tip);
}

/// Goal: values that make no machine are refused by name.
#[test]
fn boot_without_sets_is_refused() {
    let node = Node::validator(0);
    let mut boot = node.start_values(|_| crate::world::members(4));
    boot.sets.retain(|(height, _)| *height == Height(1));
    assert!(matches!(Machine::boot(boot), Err(Halt::Boot(_))));
    let boot = node.start_values(|_| ValidatorSet::default());
    assert!(matches!(Machine::boot(boot), Err(Halt::Boot(_))));
}
