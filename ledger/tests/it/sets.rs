//! Validator sets: what a change of one of them leaves behind, and for how long.

use ledger::{State, TxError};
use protocol::params::Params;
use protocol::signed::Verified;
use protocol::tx::{Bond, Tx, TxBody, Unbond};
use protocol::units::{Amount, Height};
use protocol::validators::ValidatorSet;

use crate::world::{World, genesis_of};

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

fn world() -> World {
    let stakes: Vec<_> = NAMES.iter().map(|name| (*name, 1_000)).collect();
    World::with(Params::local(), &stakes)
}

fn bond(world: &World, name: &str, amount: Amount) -> Verified<Tx> {
    world.wallet(&format!("{name}/operator"), TxBody::Bond(Bond { amount }))
}

fn unbond(world: &World, name: &str, amount: Amount) -> Verified<Tx> {
    world.wallet(
        &format!("{name}/operator"),
        TxBody::Unbond(Unbond { amount }),
    )
}

fn state_bytes(world: &World) -> usize {
    let leaves = world.state.leaves();
    leaves
        .iter()
        .fold(0, |sum, (key, value)| sum + key.len() + value.len())
}

/// Goal: whoever changes its own stake again and again makes the chain keep no more than it pays for.
/// Method: forty changes of one of twelve members; each adds less than its own transaction has bytes.
#[test]
fn a_changed_bond_does_not_store_a_whole_set() {
    let mut world = world();
    world.blocks(3);
    let mut before = state_bytes(&world);
    for _ in 0..40 {
        let tx = bond(&world, "a", Amount::pal(1));
        let paid_for = tx.byte_len();
        world.block(&[tx]);
        let grown = state_bytes(&world) - before;
        assert!(grown < paid_for, "{grown} bytes for {paid_for}");
        before = state_bytes(&world);
    }
    assert_eq!(world.state.powers.len(), 12 + 40);
    assert_eq!(world.state.recent_sets().count(), 3);
}

#[test]
fn changes_below_a_hundredth_of_the_least_bond_are_refused() {
    let mut world = world();
    let least = Amount::pal(1);
    for amount in [Amount(1), Amount(999_999)] {
        let error = TxError::BondChangeTooSmall { amount, least };
        let tx = bond(&world, "a", amount);
        assert_eq!(world.refused(tx), error);
        let tx = unbond(&world, "a", amount);
        assert_eq!(world.refused(tx), error);
    }
    world.block(&[bond(&world, "a", least), unbond(&world, "b", least)]);
    // All of it may be less than the least change: a slash can leave so little.
    let most = Amount(Amount::pal(999).0 - 5);
    world.block(&[unbond(&world, "b", most)]);
    world.block(&[unbond(&world, "b", Amount(5))]);
    assert!(world.row("b").exit.is_some());
}

/// Goal: the set of each height of the window is told right from the powers, by a state as it grew and
/// by one loaded from its leaves; and nothing is left of what no rule looks back on.
#[test]
fn old_sets_are_rebuilt_from_powers_and_then_forgotten() {
    let mut world = world();
    let mut known: Vec<(Height, ValidatorSet)> = Vec::new();
    let mut note = |world: &World| {
        let height = world.height();
        let set = world.state.validator_set(height).unwrap().clone();
        known.push((height, set));
    };
    for round in 0..30 {
        let name = NAMES[round % 5];
        let txs = match round % 3 {
            0 => vec![bond(&world, name, Amount::pal(3))],
            1 => vec![unbond(&world, name, Amount::pal(2))],
            _ if round == 20 => vec![unbond(&world, "k", Amount::pal(1_000))],
            _ if round == 23 => {
                let height = world.height();
                vec![crate::evidence::double_vote(&world, "l", height)]
            }
            _ => Vec::new(),
        };
        world.block(&txs);
        note(&world);
    }
    let loaded = State::from_leaves(&world.genesis, world.state.leaves()).unwrap();
    for state in [&world.state, &loaded] {
        for (height, set) in &known {
            assert_eq!(state.set_at(*height).as_ref(), Some(set), "height {height}");
            for member in set.members() {
                let found = state.member_at(*height, &member.consensus_key);
                assert_eq!(found, Some(*member));
            }
        }
        let history = state.set_history();
        for (height, set) in &known {
            let at = history.iter().rev().find(|(from, _)| from <= height);
            assert_eq!(at.map(|(_, set)| set), Some(set), "height {height}");
        }
        for ahead in 0..3 {
            let height = world.height().plus(ahead);
            assert_eq!(
                state.validator_set(height),
                world.state.validator_set(height)
            );
            assert!(state.validator_set(height).is_some());
        }
        assert_eq!(state.validator_set(world.height().plus(3)), None);
        assert_eq!(state.set_at(world.height().plus(3)), None);
    }
    let session = crate::world::key("a/session").public();
    assert_eq!(
        world.state.member_at(Height(3), &session),
        None,
        "no voting key"
    );
    let out = crate::world::key("k/consensus").public();
    assert!(world.state.member_at(Height(3), &out).is_some());
    world.blocks(1_060);
    assert_eq!(world.state.powers.len(), 10);
    assert_eq!(
        world.state.set_at(Height(3)),
        None,
        "forgotten, not guessed"
    );
    assert_eq!(world.state.member_at(Height(3), &out), None);
}

/// A set of a genesis with one validator is found at heights 1 and 2 and not at 0.
#[test]
fn genesis_fixes_the_first_two_sets() {
    let genesis = genesis_of(Params::local(), &[("a", 1_000)]);
    let state = State::genesis(&genesis).unwrap();
    assert_eq!(state.validator_set(Height(0)), None);
    assert_eq!(state.set_at(Height(0)), None);
    assert_eq!(state.validator_set(Height(1)).unwrap().len(), 1);
    assert_eq!(
        state.set_at(Height(2)),
        state.validator_set(Height(2)).cloned()
    );
    assert_eq!(state.validator_set(Height(3)), None);
}
