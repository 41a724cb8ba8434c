//! A sign-state above what the log leads to: an import on a fresh directory, `sign-state init`, a
//! block log that lost its end. Nothing is signed up to the end of that height, the heights come from
//! others, and then the node signs again.

use consensus::{Halt, Input, Received, SignMark, SignPoint, Step};
use protocol::digest::Digest;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{Vote, VoteKind};

use crate::world::{Faults, World, chain, peer, secret};

/// A point whose bytes nobody knows any more.
fn mark(height: Height, round: u32, step: Step) -> SignMark {
    let point = SignPoint {
        height,
        round: Round(round),
        step,
    };
    SignMark {
        point,
        digest: Digest::ZERO,
    }
}

fn points(world: &World, node: usize) -> Vec<SignPoint> {
    let key = secret(node).public();
    let own = world.signed.keys().filter(|(signer, _)| *signer == key);
    own.map(|(_, point)| *point).collect()
}

/// A net at some height, and its node 3 moved to an empty directory with this sign-state alone.
fn moved(seed: u64, floor: fn(Height) -> SignMark) -> (World, SignMark) {
    let mut world = World::new(4, seed, Faults::default());
    world.boot_all();
    assert!(world.run_until(60_000, |w| w.tip(3) >= Height(8)));
    let node = &mut world.nodes[3];
    node.crash(0);
    let last = node.tip().next();
    let mark = floor(last);
    node.blocks.clear();
    node.log.clear();
    node.mark = Some(mark);
    world.boot(3);
    (world, mark)
}

/// Goal: an imported sign-state on a fresh directory neither stops the node nor lets it sign a height
/// again, at whatever step it was taken. Oracle O3 watches every signature.
#[test]
fn imported_floor_on_a_fresh_directory_catches_up_and_signs_above() {
    let floors: [fn(Height) -> SignMark; 4] = [
        |height| mark(height, 0, Step::Propose),
        |height| mark(height, 0, Step::Precommit),
        |height| mark(height, 3, Step::Prevote),
        |height| mark(height.plus(5), u32::MAX, Step::Precommit),
    ];
    for (seed, floor) in (30..).zip(floors) {
        let (mut world, floor) = moved(seed, floor);
        let before = points(&world, 3);
        let machine = world.nodes[3].machine.as_ref().unwrap();
        assert_eq!(machine.silent_through(), Some(floor.point.height));
        let goal = floor.point.height.plus(10);
        let done = world.run_until(60_000, |w| (0..4).all(|n| w.tip(n) >= goal));
        assert!(done, "seed {seed}: {:?}", world.nodes[3].halted);
        let (silent, signed): (Vec<_>, Vec<_>) = points(&world, 3)
            .into_iter()
            .filter(|point| !before.contains(point))
            .partition(|point| point.height <= floor.point.height);
        assert_eq!(silent, [], "seed {seed}: signed at or below the floor");
        assert!(signed.len() > 10, "seed {seed}: it signs again: {signed:?}");
        assert!(world.nodes.iter().all(|node| node.halted.is_none()));
    }
}

/// Goal: a node that may not sign asks for blocks when it hears of them, not when its timers run out.
#[test]
fn silent_node_asks_at_the_first_status() {
    let (mut world, floor) = moved(41, |height| mark(height, 0, Step::Precommit));
    let tip = world.tip(0);
    let (before, from) = (world.now, peer(0));
    world.step(3, Input::Status { peer: from, tip });
    assert!(world.run_until(5_000, |w| w.tip(3) >= floor.point.height.previous()));
    let took = world.now - before;
    assert!(took < 500, "{took} ms for {tip} heights");
}

/// Goal: the log of a height that the node was in the middle of explains the floor, so an ordinary
/// restart keeps its vote.
#[test]
fn floor_that_the_log_explains_silences_nobody() {
    for seed in 0..10 {
        let mut world = World::new(4, seed, Faults::default());
        world.boot_all();
        let pause = 1_000 + world.draw(1_000);
        world.run_for(pause);
        for node in 0..4 {
            world.nodes[node].crash(0);
            world.boot(node);
            let machine = world.nodes[node].machine.as_ref().unwrap();
            assert_eq!(machine.silent_through(), None, "seed {seed}, node {node}");
        }
    }
}

/// Goal: a log that lost its end, with the slots intact, does not vote in the height again, though the
/// rest of the log replays.
#[test]
fn log_behind_the_slots_is_silent_for_the_height() {
    let mut world = World::new(4, 44, Faults::default());
    world.boot_all();
    assert!(world.run_until(60_000, |w| w.tip(3) >= Height(5)));
    let node = &mut world.nodes[3];
    node.crash(0);
    let height = node.tip().next();
    node.mark = Some(mark(height, 40, Step::Precommit));
    world.boot(3);
    let machine = world.nodes[3].machine.as_ref().unwrap();
    assert_eq!(machine.silent_through(), Some(height));
    assert!(world.run_until(60_000, |w| (0..4).all(|n| w.tip(n) >= height.plus(5))));
    assert_eq!(world.nodes[3].halted, None);
}

fn own_vote(height: Height, round: u32) -> Input {
    let signer = secret(3).public();
    let message = Vote {
        kind: VoteKind::Precommit,
        height,
        round: Round(round),
        block: None,
        signer,
    };
    let vote = Signed::sign(message, &secret(3), &chain());
    Input::Message(peer(1), Received::Vote(vote.verify(&chain()).unwrap()))
}

/// Goal: what this key signed on its former host is no second host, what it signs above is one.
#[test]
fn own_vote_at_the_imported_floor_is_no_double() {
    let (mut world, floor) = moved(42, |height| mark(height, 0, Step::Precommit));
    let height = floor.point.height;
    assert!(world.run_until(60_000, |w| w.tip(3) >= height.previous()));
    world.step(3, own_vote(height, 0));
    assert_eq!(world.nodes[3].halted, None);
    world.step(3, own_vote(height, 1));
    let halted = world.nodes[3].halted.clone();
    assert!(
        matches!(halted, Some(Halt::OwnKeyElsewhere { .. })),
        "{halted:?}"
    );
}
