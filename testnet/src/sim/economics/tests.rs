//! Money is conserved, chance is seeded, and one strategy comes to what one computes by hand.

use protocol::keys::simulated::Scope;
use protocol::units::Amount;

use super::play::{self, Table};
use super::strategy::{Group, Idea, Strategy};
use super::{EconomicsArgs, Preset, Verdict, report};
use crate::sim::rng::Rng;

fn named(name: &str, group: Group) -> Strategy {
    let mut all = Strategy::all().into_iter();
    all.find(|s| s.name == name && s.group == group).unwrap()
}

/// Goal: no strategy makes or loses a unit, and every job ends. Method: each plays twenty batches; a
/// batch recounts all compartments at its end and is an error otherwise.
#[test]
fn money_is_conserved_in_every_strategy() {
    let args = EconomicsArgs {
        presets: vec![Preset::Local],
        jobs: 20,
        seed: 3,
    };
    let report = report(&args).unwrap();
    let rows = &report.sections[0].rows;
    assert_eq!(rows.len(), Strategy::all().len());
    assert!(report.table().lines().count() > rows.len());
    // What no parameter of either preset may turn into gain.
    let cheat = rows
        .iter()
        .find(|row| row.strategy == "double-sign, report")
        .unwrap();
    assert_eq!(cheat.verdict, Verdict::Negative);
}

#[test]
fn the_same_seed_gives_the_same_profits() {
    let scope = Scope::enter();
    let play = |seed| {
        let guess = named("guess", Group::One);
        play::strategy(Preset::Local, guess, 3, seed, &scope).unwrap()
    };
    let (one, same, other) = (play(5), play(5), play(6));
    assert_eq!((&one.profits, one.runs), (&same.profits, same.runs));
    assert_ne!(one.profits, other.profits);
}

/// Goal: the table's arithmetic is the rule's. Method: by hand, a double vote takes 5 % of 1,000 PAL,
/// 50 PAL, and whoever reports it gets 5 % of those, 2.5 PAL, its fee back: 47.5 PAL are lost.
#[test]
fn reporting_oneself_loses_forty_seven_and_a_half_pal() {
    let scope = Scope::enter();
    let strategy = named("double-sign, report", Group::One);
    let mut table = Table::open(Preset::Local, strategy, Rng::new(9), &scope).unwrap();
    table.market.block(&[]).unwrap();
    let before = table.market.wealth();
    table.double_sign().unwrap();
    assert_eq!(before - table.market.wealth(), 47_500_000);
    assert_eq!(table.market.state.pools().burned, Amount(47_500_000));
    table.market.check().unwrap();
}

/// By hand: members with all else equal that share one run save the others' cost, and nothing else
/// changes: what they own grows alike.
#[test]
fn sharing_saves_runs_and_changes_no_payment() {
    let scope = Scope::enter();
    let share = named("share off-chain", Group::Third);
    let play = |strategy| {
        let mut table = Table::open(Preset::Local, strategy, Rng::new(4), &scope).unwrap();
        let before = table.market.wealth();
        for _ in 0..12 {
            table.job().unwrap();
        }
        (table.market.wealth() - before, table.runs)
    };
    let (shared, few) = play(share);
    let (alone, many) = play(share.at_honest_work());
    assert_eq!(share.idea, Idea::Share);
    assert_eq!(shared, alone);
    assert!(few < many && few <= 12, "{few} runs instead of {many}");
}
