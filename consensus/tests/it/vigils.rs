//! The wait before the first signature: it finds a second host with the same key, and costs a cluster
//! that starts all at once a minute, not its life.

use consensus::{Halt, SignPoint};
use protocol::units::Height;

use crate::node::Node;
use crate::world::{Faults, World, members, secret};

fn signed_by(world: &World, node: usize) -> Vec<SignPoint> {
    let key = secret(node).public();
    let own = world.signed.keys().filter(|(signer, _)| *signer == key);
    own.map(|(_, point)| *point).collect()
}

/// Goal: a node that comes back into a running net is silent for ten heights, then votes again.
#[test]
fn node_is_silent_for_ten_heights() {
    let mut world = World::new(4, 70, Faults::default());
    world.boot_all();
    assert!(world.run_until(60_000, |w| w.tip(3) >= Height(6)));
    world.nodes[3].crash(0);
    world.nodes[3].vigil = true;
    let (from, before) = (world.tip(3), signed_by(&world, 3));
    world.boot(3);
    assert!(world.run_until(60_000, |w| w.tip(3) >= from.plus(30)));
    let after: Vec<SignPoint> = signed_by(&world, 3)
        .into_iter()
        .filter(|point| !before.contains(point))
        .collect();
    let first = after.iter().map(|point| point.height).min().unwrap();
    assert!(first > from.plus(10), "signed at {first}, back at {from}");
    assert!(first < from.plus(16), "signed at {first}, back at {from}");
    assert_eq!(world.nodes[3].halted, None);
}

/// Goal: when all start at once nobody commits, so all wait a minute and then go on where their logs
/// say, locks included. Oracle O3 watches the votes of the height that was interrupted.
#[test]
fn all_at_once_wait_a_minute_and_go_on() {
    for seed in 71..81 {
        let mut world = World::new(4, seed, Faults::default());
        world.boot_all();
        let pause = 2_000 + world.draw(800);
        world.run_for(pause);
        for node in 0..4 {
            let kept = world.draw(3) as usize;
            world.nodes[node].crash(kept);
            world.nodes[node].vigil = true;
        }
        let before = world.now;
        for node in 0..4 {
            // Not all in the same instant: the first to wake speaks to those who still wait.
            let pause = world.draw(3_000);
            world.run_for(pause);
            world.boot(node);
        }
        let goal = (0..4).map(|node| world.tip(node)).max().unwrap().plus(5);
        let done = world.run_until(180_000, |w| (0..4).all(|n| w.tip(n) >= goal));
        let states: Vec<_> = world.nodes.iter().map(|n| (n.tip(), &n.halted)).collect();
        assert!(done, "seed {seed}: {states:?}");
        assert!(world.now - before >= 60_000, "seed {seed}: nobody waited");
    }
}

/// Goal: a second host with a key that is at work ends within its wait, before it has signed anything.
#[test]
fn second_host_with_the_key_halts_in_its_wait() {
    let mut world = World::new(4, 82, Faults::default());
    world.boot_all();
    assert!(world.run_until(60_000, |w| w.tip(3) >= Height(6)));
    let mut twin = Node::validator(3);
    twin.vigil = true;
    world.nodes.push(twin);
    world.boot(4);
    assert!(world.run_until(30_000, |w| w.nodes[4].halted.is_some()));
    let halted = world.nodes[4].halted.clone().unwrap();
    assert!(matches!(halted, Halt::OwnKeyElsewhere { .. }), "{halted}");
    assert_eq!(halted.exit_code(), 72);
    assert!(world.nodes[4].log.is_empty() && world.nodes[4].unsynced.is_empty());
}

/// Goal: a chain of one has nobody to wait for and starts after a minute.
#[test]
fn lone_validator_starts_after_a_minute() {
    let faults = Faults {
        set: |_| members(1),
        ..Faults::default()
    };
    let mut world = World::new(1, 83, faults);
    world.nodes[0].vigil = true;
    world.boot_all();
    world.run_for(59_000);
    assert_eq!(world.tip(0), Height(0));
    assert!(world.run_until(20_000, |w| w.tip(0) >= Height(3)));
}
