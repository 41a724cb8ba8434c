//! Crashes: the log is replayed, and no slot is signed twice (oracle O3 of the world).

use consensus::{Effect, Halt, Machine, Record, SignMark};
use protocol::units::Height;

use crate::node::Node;
use crate::world::{Faults, World};

/// Goal: machines that die at any moment, in the middle of a write too, sign nothing else afterwards,
/// and the chain goes on.
#[test]
fn restart_mid_height_never_double_signs() {
    for seed in 0..10 {
        let mut world = World::new(4, seed, Faults::default());
        world.boot_all();
        for _ in 0..30 {
            let pause = world.draw(400);
            world.run_for(pause);
            let victim = world.draw(4) as usize;
            let kept = world.draw(4) as usize;
            world.nodes[victim].crash(kept);
            let pause = world.draw(200);
            world.run_for(pause);
            world.boot(victim);
        }
        let goal = world.tip(0).plus(5);
        let done = world.run_until(60_000, |w| (0..4).all(|n| w.tip(n) >= goal));
        let states: Vec<_> = world.nodes.iter().map(|n| (n.tip(), &n.halted)).collect();
        assert!(done, "seed {seed}: {states:?}");
        assert!(world.nodes.iter().all(|n| n.halted.is_none()));
    }
}

/// Goal: all nodes lose power at once, between precommit and commit too; the block that they are
/// locked on is in their logs.
#[test]
fn power_cut_of_all_goes_on() {
    for seed in 0..20 {
        let mut world = World::new(4, seed, Faults::default());
        world.boot_all();
        for _ in 0..6 {
            let pause = 300 + world.draw(700);
            world.run_for(pause);
            (0..4).for_each(|n| {
                let kept = world.draw(3) as usize;
                world.nodes[n].crash(kept);
            });
            (0..4).for_each(|n| world.boot(n));
        }
        let goal = world.tip(0).plus(3);
        assert!(
            world.run_until(60_000, |w| (0..4).all(|n| w.tip(n) >= goal)),
            "seed {seed}"
        );
    }
}

pub(crate) fn floor(log: &[Record]) -> Option<SignMark> {
    let marks = log.iter().filter_map(|r| match r {
        Record::Own { mark, .. } => Some(*mark),
        _ => None,
    });
    marks.max_by_key(|mark| mark.point)
}

/// The log of a node in the middle of a height, with rounds behind it.
fn node_with_log() -> Node {
    let faults = Faults {
        is_invalid: |height, _| height == Height(3),
        ..Faults::default()
    };
    let mut world = World::new(4, 11, faults);
    world.boot_all();
    world.run_for(6_000);
    world.nodes.swap_remove(1)
}

/// Goal: a log cut after any record starts a machine that neither halts nor signs another value.
#[test]
fn log_cut_after_every_record_replays() {
    let mut node = node_with_log();
    let log = node.log.clone();
    let height = node.tip().next();
    assert!(
        log.iter().filter(|r| r.height() == height).count() > 20,
        "{} records",
        log.len()
    );
    for cut in 0..=log.len() {
        node.log = log[..cut].to_vec();
        node.mark = floor(&node.log);
        let (mut machine, effects) =
            Machine::boot(node.start_values(|_| crate::world::members(4))).unwrap();
        let halt = effects.iter().find(|e| matches!(e, Effect::Halt(_)));
        assert_eq!(halt, None, "cut after {cut} of {} records", log.len());
        // What it signs anew must be above what the cut log holds.
        for effect in &effects {
            if let Effect::Wal { records, .. } = effect {
                let known = floor(&node.log).map(|mark| mark.point);
                let fresh = records.iter().filter_map(|r| match r {
                    Record::Own { mark, .. } => Some(mark.point),
                    _ => None,
                });
                fresh.for_each(|point| assert!(Some(point) > known));
            }
        }
        drop(machine.window());
        let _ = machine.step(consensus::Input::Durable(consensus::WalSeq(u64::MAX)));
    }
}

/// Goal: a damaged record is noticed, not skipped.
#[test]
fn malformed_record_halts() {
    let mut node = node_with_log();
    node.log.insert(
        0,
        Record::Input {
            height: node.tip().next(),
            bytes: vec![1, 99],
        },
    );
    let (_, effects) = Machine::boot(node.start_values(|_| crate::world::members(4))).unwrap();
    assert!(effects.contains(&Effect::Halt(Halt::Record)));
}

/// Goal: the oracle can fail. A node that loses its log and sign-state signs a slot twice, and the
/// world notices.
#[test]
#[should_panic(expected = "O3")]
fn lost_log_and_sign_state_double_sign() {
    for seed in 0..20 {
        let mut world = World::new(4, seed, Faults::default());
        world.boot_all();
        for _ in 0..30 {
            let pause = world.draw(400);
            world.run_for(pause);
            let victim = world.draw(4) as usize;
            world.nodes[victim].crash(0);
            world.nodes[victim].log.clear();
            world.nodes[victim].mark = None;
            world.boot(victim);
        }
    }
}
