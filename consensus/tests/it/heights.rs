//! The ordinary course.

use protocol::units::{Height, Round};

use crate::world::{Faults, World, members};

fn run(seed: u64) -> World {
    let mut world = World::new(4, seed, Faults::default());
    world.boot_all();
    assert!(
        world.run_until(120_000, |w| (0..4).all(|n| w.tip(n) >= Height(50))),
        "seed {seed}"
    );
    world
}

/// Goal: four machines agree on fifty heights, paced, in the first round each.
#[test]
fn four_machines_commit_fifty_heights() {
    let world = run(1);
    let rounds: Vec<Round> = world.nodes[0]
        .blocks
        .values()
        .map(|(_, c)| c.round)
        .collect();
    assert!(
        rounds.iter().filter(|round| **round == Round(0)).count() >= 48,
        "{rounds:?}"
    );
    assert!(
        world.now >= 49 * 500,
        "the interval is kept: {} ms",
        world.now
    );
    assert!(
        world.now < 60 * 500,
        "and not exceeded by much: {} ms",
        world.now
    );
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.halted.is_none() && node.contradictions.is_empty())
    );
}

/// Goal: no clock, no randomness, no hash order: same seed, same effects, byte for byte.
#[test]
fn digest_equal_over_three_runs() {
    let first = run(7).trace;
    assert_eq!(first, run(7).trace);
    assert_eq!(first, run(7).trace);
    assert_ne!(first, run(8).trace, "the digest does see the run");
}

/// Goal: a lone validator's precommit decides inside the core before it is published. The commit still
/// waits for the log and mark of that precommit (oracle W in the world).
#[test]
fn decide_inside_own_precommit() {
    let faults = Faults {
        set: |_| members(1),
        ..Faults::default()
    };
    let mut world = World::new(1, 3, faults);
    world.boot_all();
    assert!(world.run_until(20_000, |w| w.tip(0) >= Height(10)));
    let own = world.nodes[0]
        .log
        .iter()
        .filter(|r| matches!(r, consensus::Record::Own { .. }))
        .count();
    assert_eq!(own, 30, "a proposal and two votes a height are in the log");
}

/// Goal: lost messages cost rounds, not agreement.
#[test]
fn lossy_network_agrees() {
    for seed in 0..24 {
        let faults = Faults {
            lose: |now, from, to, _| {
                now < 15_000 && (now ^ (from as u64) << 3 ^ (to as u64) << 5).is_multiple_of(5)
            },
            ..Faults::default()
        };
        let mut world = World::new(4, seed, faults);
        world.boot_all();
        let done = world.run_until(300_000, |w| (0..4).all(|n| w.tip(n) >= Height(20)));
        let tips: Vec<_> = (0..4).map(|n| world.tip(n)).collect();
        assert!(done, "seed {seed}: {tips:?} at {} ms", world.now);
    }
}

/// Goal: a block that honest nodes judge invalid gets their nil prevotes, and the next round decides.
#[test]
fn invalid_block_gets_nil_prevotes() {
    let faults = Faults {
        is_invalid: |height, round| height == Height(2) && round == Round(0),
        ..Faults::default()
    };
    let mut world = World::new(4, 5, faults);
    world.boot_all();
    assert!(world.run_until(30_000, |w| (0..4).all(|n| w.tip(n) >= Height(4))));
    assert!(world.nil_prevotes.contains(&Height(2)));
    assert_eq!(world.nodes[0].blocks[&Height(2)].1.round, Round(1));
}

/// Goal: a header from the future delays the vote, never changes it.
#[test]
fn early_header_is_held_then_voted() {
    let faults = Faults {
        early_by_ms: |_, height, round| {
            if height == Height(2) && round == Round(0) {
                1_150
            } else {
                0
            }
        },
        ..Faults::default()
    };
    let mut world = World::new(4, 6, faults);
    world.boot_all();
    assert!(world.run_until(30_000, |w| (0..4).all(|n| w.tip(n) >= Height(3))));
    // 150 ms of holding fit into the proposal timeout: the block is decided in its own round.
    assert_eq!(world.nodes[0].blocks[&Height(2)].1.round, Round(0));

    let faults = Faults {
        early_by_ms: |_, height, round| {
            if height == Height(2) && round == Round(0) {
                9_000
            } else {
                0
            }
        },
        ..Faults::default()
    };
    let mut world = World::new(4, 6, faults);
    world.boot_all();
    assert!(world.run_until(60_000, |w| (0..4).all(|n| w.tip(n) >= Height(3))));
    assert!(
        world.nodes[0].blocks[&Height(2)].1.round > Round(0),
        "eight seconds do not fit"
    );
}
