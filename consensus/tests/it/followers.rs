//! Those that are behind, and those that only look on.

use std::sync::Arc;

use consensus::{Input, Outgoing};
use protocol::units::Height;
use protocol::vote::CommitCertificate;

use crate::node::Role;
use crate::world::{Faults, Wire, World, members, peer};

/// Node 3 hears no votes of height 3; then node 2 dies, so that nobody goes on without node 3.
fn one_behind(swallow_ask: fn(u64) -> bool) -> World {
    let faults = Faults {
        lose: |_, _, to, wire| {
            to == 3
                && match wire {
                    Wire::Gossip(Outgoing::Vote(vote)) => vote.message.height == Height(3),
                    Wire::Gossip(Outgoing::Certificate(c)) => c.height() == Height(3),
                    _ => false,
                }
        },
        swallow_ask,
        ..Faults::default()
    };
    let mut world = World::new(4, 21, faults);
    world.boot_all();
    let left_behind = |w: &World| (0..3).all(|n| w.tip(n) == Height(3)) && w.tip(3) == Height(2);
    assert!(world.run_until(10_000, left_behind), "node 3 is one behind");
    world.nodes[2].crash(0);
    world
}

/// Goal: a node one height behind asks its peers and catches up (circlefin/malachite#971).
#[test]
fn one_behind_recovers() {
    let mut world = one_behind(|_| false);
    assert!(world.run_until(30_000, |w| [0, 1, 3].iter().all(|n| w.tip(*n) >= Height(8))));
}

/// Goal: the test above can fail. Under "ask only from two behind" the same net stands for ever.
#[test]
fn naive_sync_rule_stalls() {
    let mut world = one_behind(|gap| gap < 2);
    assert!(!world.run_until(120_000, |w| w.tip(0) > Height(4)));
    assert_eq!(world.tip(3), Height(2));
}

/// Goal: a node that slept through many heights takes them from peers, without pacing.
#[test]
fn far_behind_catches_up_unpaced() {
    let mut world = World::new(4, 22, Faults::default());
    world.boot_all();
    world.run_until(5_000, |w| w.tip(0) >= Height(2));
    world.nodes[3].crash(0);
    assert!(world.run_until(60_000, |w| w.tip(0) >= Height(80)));
    world.boot(3);
    let before = world.now;
    assert!(world.run_until(60_000, |w| w.tip(3) >= Height(80)));
    assert!(
        world.now - before < 78 * 500 / 4,
        "{} ms for 78 heights",
        world.now - before
    );
}

/// Goal: a node without a key follows by votes and certificates, logs nothing, signs nothing.
#[test]
fn observer_follows() {
    let mut world = World::new(5, 23, Faults::default());
    world.nodes[4].role = Role::Observer;
    world.boot_all();
    assert!(world.run_until(60_000, |w| w.tip(4) >= Height(20)));
    assert!(world.nodes[4].log.is_empty() && world.nodes[4].unsynced.is_empty());
}

/// Goal: a liar's tip costs requests, but neither progress nor the pace.
#[test]
fn lying_status_costs_one_request() {
    let mut world = World::new(4, 24, Faults::default());
    world.boot_all();
    let (peer, tip) = (peer(2), Height(1 << 63));
    world.step(0, Input::Status { peer, tip });
    assert!(world.run_until(40_000, |w| (0..4).all(|n| w.tip(n) >= Height(20))));
}

/// What a liar makes of a decided block and its certificate.
type Forgery = fn(&mut Arc<[u8]>, &mut CommitCertificate);

/// A net of seven, where node 0 is silent and answers requests for decided blocks with these forgeries
/// of them, and node 6 has slept for sixty heights. Says how long node 6 took, in milliseconds.
fn catch_up_beside_a_forger(seed: u64, forge: Forgery) -> u64 {
    let faults = Faults {
        set: |_| members(7),
        ..Faults::default()
    };
    let mut world = World::new(7, seed, faults);
    world.byzantine.insert(0);
    world.boot_all();
    assert!(world.run_until(60_000, |w| w.tip(6) >= Height(2)));
    world.nodes[6].crash(0);
    assert!(world.run_until(90_000, |w| w.tip(1) >= Height(62)));
    let mut forged = world.nodes[1].blocks.clone();
    for (block, certificate) in forged.values_mut() {
        forge(block, certificate);
    }
    world.nodes[0].blocks = forged;
    world.boot(6);
    let tip = world.tip(1);
    let liar = peer(0);
    world.step(6, Input::Status { peer: liar, tip });
    let before = world.now;
    assert!(
        world.run_until(60_000, |w| w.tip(6) >= Height(62)),
        "seed {seed}"
    );
    world.now - before
}

/// Goal: a batch of false answers costs its one request: none of it is kept, and another peer is asked
/// at once rather than at the next timeout, for each of the sixty.
#[test]
fn junk_answers_cost_one_request() {
    let forgeries: [Forgery; 3] = [
        |_, certificate| certificate.signatures[0].signature.0[9] ^= 1,
        |_, certificate| certificate.signatures.truncate(1),
        |block, _| *block = Arc::from(&block[..block.len() - 1]),
    ];
    for (seed, forge) in (60..).zip(forgeries) {
        let took = catch_up_beside_a_forger(seed, forge);
        assert!(took < 5_000, "seed {seed}: {took} ms");
    }
}

/// Goal: a peer whose first answer is true and whose later ones are forged gets no further than one
/// forgery.
#[test]
fn one_false_answer_spoils_the_rest_of_the_batch() {
    let took = catch_up_beside_a_forger(63, |_, certificate| {
        if certificate.height > Height(10) {
            certificate.signatures[0].signature.0[9] ^= 1;
        }
    });
    assert!(took < 5_000, "{took} ms");
}
