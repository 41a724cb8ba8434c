//! The set changes under way.

use protocol::units::Height;
use protocol::validators::ValidatorSet;

use crate::world::{Faults, World, member, members};

/// Four members; from height 6 on node 4 instead of node 0.
fn shifting(height: Height) -> ValidatorSet {
    if height < Height(6) {
        return members(4);
    }
    ValidatorSet::new((1..5).map(|index| member(index, 10)).collect())
}

/// Goal: the state after height h fixes the set of h+2: a newcomer waits as a looker-on and then
/// signs, the one that left follows and signs no more, certificates verify against each height's set (O2).
#[test]
fn set_change_at_h_plus_two() {
    let mut world = World::new(
        5,
        31,
        Faults {
            set: shifting,
            ..Faults::default()
        },
    );
    world.boot_all();
    assert!(world.run_until(60_000, |w| (0..5).all(|n| w.tip(n) >= Height(12))));
    let signers = |height: u64| {
        let (_, certificate) = &world.nodes[1].blocks[&Height(height)];
        certificate
            .signatures
            .iter()
            .map(|part| part.signer)
            .collect::<Vec<_>>()
    };
    let key = |index| crate::world::secret(index).public();
    assert!((1..6).all(|h| !signers(h).contains(&key(4))));
    assert!((6..=12).all(|h| !signers(h).contains(&key(0))));
    assert!(
        (6..=12).any(|h| signers(h).contains(&key(4))),
        "the newcomer signs"
    );
}

/// Goal: sets may change at every height.
#[test]
fn set_changes_each_height() {
    let set = |height: Height| {
        let out = height.0 % 5;
        ValidatorSet::new(
            (0..5)
                .filter(|i| *i as u64 != out)
                .map(|i| member(i, 5 + height.0))
                .collect(),
        )
    };
    let mut world = World::new(
        5,
        32,
        Faults {
            set,
            ..Faults::default()
        },
    );
    world.boot_all();
    assert!(world.run_until(60_000, |w| (0..5).all(|n| w.tip(n) >= Height(25))));
}
