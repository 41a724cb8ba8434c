//! Slash amounts and destinations, to the unit.

use ledger::jobs::Phase;
use protocol::digest::ValidatorId;
use protocol::events::{Event, JailCause, Offence};
use protocol::params::Params;
use protocol::tx::{TxBody, Unbond};
use protocol::units::{Amount, Height};

use crate::world::{Conduct, World};

const R: u64 = 15_000;

fn slashed(world: &World) -> Vec<(ValidatorId, Offence, Amount, Amount)> {
    let each = world.events.iter().filter_map(|event| match event {
        Event::Slashed {
            validator,
            offence,
            amount,
            burned,
            ..
        } => Some((*validator, *offence, *amount, *burned)),
        _ => None,
    });
    each.collect()
}

/// A liar with 1,000 PAL: 5 % (50 PAL) above the seat bond of 5. The juror's pay and the client's cost
/// come out of it, the rest burns; the client is made whole but for its transaction fee.
#[test]
fn a_wrong_result_costs_five_percent_and_the_client_is_made_whole() {
    let mut world = World::new();
    let job = world.run_with_seat("mallory", Conduct::Lie(9));
    assert_eq!(world.phase(job), Phase::Resolved);
    let mallory = world.validator("mallory");
    let cost = 2 * R + 600;
    let burned = 50_000_000 - R - cost;
    assert_eq!(
        slashed(&world),
        [(
            mallory,
            Offence::WrongResult,
            Amount(50_000_000),
            Amount(burned)
        )]
    );
    assert_eq!(world.row("mallory").bonded, Amount::pal(950));
    let amounts = world.state.jobs.get(&job).unwrap().amounts;
    assert_eq!((amounts.paid, amounts.fee), (Amount(2 * R), Amount(600)));
    assert_eq!(amounts.compensated, Amount(cost));
    assert_eq!(
        amounts.refunded.0 + amounts.compensated.0,
        amounts.locked.0,
        "made whole"
    );
    let jail = world.row("mallory").jail.unwrap();
    assert_eq!(jail.cause, JailCause::WrongResult);
    assert_eq!(jail.until, world.height().plus(40));
    assert_eq!(world.row("mallory").seat_locked, Amount::ZERO);
    for honest in ["alice", "bob", "carol"] {
        assert_eq!(world.row(honest).bonded, Amount::pal(1_000));
    }
}

/// At the smallest bond the seat bond, 5 PAL, is what five percent is too; a larger one rules.
#[test]
fn the_seat_bond_rules_when_it_is_more_than_five_percent() {
    let mut params = Params::local();
    params.seat_bond_min = Amount::pal(60);
    let stakes = [
        ("alice", 1_000),
        ("bob", 1_000),
        ("carol", 1_000),
        ("mallory", 1_000),
    ];
    let mut world = World::with(params, &stakes);
    world.run_with_seat("mallory", Conduct::Lie(9));
    assert_eq!(world.row("mallory").bonded, Amount::pal(940));
}

/// The client gets a quarter of the slash at most, even if the job cost it more.
#[test]
fn the_client_gets_a_quarter_at_most() {
    let mut params = Params::local();
    params.seat_base = Amount::pal(40);
    params.seat_bond_multiple = 0;
    let stakes = [
        ("alice", 1_000),
        ("bob", 1_000),
        ("carol", 1_000),
        ("mallory", 1_000),
    ];
    let mut world = World::with(params, &stakes);
    let job = world.run_with_seat("mallory", Conduct::Lie(9));
    let amounts = world.state.jobs.get(&job).unwrap().amounts;
    assert_eq!(amounts.compensated, Amount(12_500_000));
    let juror_from_slash = 37_500_000;
    let each = 40_005_000;
    assert_eq!(
        amounts.paid.0,
        2 * each + (each - juror_from_slash),
        "then from escrow"
    );
    assert_eq!(
        slashed(&world)[0].3,
        Amount::ZERO,
        "nothing is left to burn"
    );
}

#[test]
fn wrong_jurors_lose_half_a_percent_and_stay() {
    let stakes: Vec<(&str, u64)> = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .map(|n| (*n, 1_000))
        .collect();
    let mut world = World::with(Params::local(), &stakes);
    let job = world.submit(world.spec("m"));
    world.blocks(2);
    let head = world.state.jobs.get(&job).unwrap().clone();
    let names: Vec<_> = head
        .seats
        .iter()
        .map(|seat| world.name_of(&seat.validator))
        .collect();
    let juror = world
        .names
        .iter()
        .find(|name| !names.contains(name))
        .unwrap()
        .clone();
    world.conduct.insert(names[0].clone(), Conduct::Lie(9));
    world.conduct.insert(juror.clone(), Conduct::Lie(9));
    assert_eq!(world.run(job), Phase::Resolved);
    assert_eq!(world.row(&names[0]).bonded, Amount::pal(950));
    assert_eq!(world.row(&juror).bonded, Amount::pal(995));
    assert_eq!(world.row(&juror).jail, None);
    let paid: Vec<_> = slashed(&world)
        .iter()
        .map(|(_, offence, amount, _)| (*offence, *amount))
        .collect();
    assert_eq!(
        paid,
        [
            (Offence::WrongResult, Amount::pal(50)),
            (Offence::WrongJuror, Amount::pal(5))
        ]
    );
}

/// Jail doubles with the second wrong result; the third ends the validator, its rest unbonds.
#[test]
fn wrong_results_double_the_jail_and_the_third_ends_it() {
    let mut world = World::new();
    for (term, wrongs) in [(40_u64, 1), (80, 2)] {
        world.run_with_seat("mallory", Conduct::Lie(9));
        let row = world.row("mallory");
        assert_eq!(row.wrong_results.len(), wrongs);
        assert_eq!(row.jail.unwrap().until, world.height().plus(term));
        world.conduct.clear();
        world.blocks(term);
        let unjail = crate::staking::unjail(&world, "mallory", world.height());
        world.block(&[unjail]);
        assert_eq!(world.row("mallory").jail, None);
    }
    world.run_with_seat("mallory", Conduct::Lie(9));
    let row = world.row("mallory");
    assert_eq!(row.exit, Some(ledger::staking::Exit::Gone));
    assert_eq!(row.bonded, Amount::ZERO);
    let rest: u64 = world
        .state
        .unbonding_of(&world.validator("mallory"))
        .fold(0, |sum, (_, entry)| sum + entry.amount.0);
    assert_eq!(rest, 1_000_000_000 - 50_000_000 - 47_500_000 - 45_125_000);
    assert_eq!(rest, 857_375_000);
}

/// Goal: stake on its way out pays its share. Method: the liar unbonds most of its stake after the
/// freeze and lies; the slash is still five percent of what it was drawn with, by shares.
#[test]
fn slash_follows_unbonding() {
    let mut world = World::new();
    for _ in 0..40 {
        let job = world.submit(world.spec("m"));
        world.blocks(2);
        let mallory = world.validator("mallory");
        let head = world.state.jobs.get(&job).unwrap().clone();
        if !head.seats.iter().any(|seat| seat.validator == mallory) {
            world.run(job);
            continue;
        }
        let body = TxBody::Unbond(Unbond {
            amount: Amount::pal(800),
        });
        let tx = world.wallet("mallory/operator", body);
        world.block(&[tx]);
        world.conduct.insert("mallory".to_owned(), Conduct::Lie(9));
        assert_eq!(world.run(job), Phase::Resolved);
        assert_eq!(slashed(&world)[0].2, Amount::pal(50));
        assert_eq!(world.row("mallory").bonded, Amount::pal(190));
        let entries: Vec<_> = world
            .state
            .unbonding_of(&mallory)
            .map(|(_, entry)| entry.amount)
            .collect();
        assert_eq!(entries, [Amount::pal(760)]);
        return;
    }
    panic!("mallory was never drawn");
}

/// Three misses of twenty jail, unless two thirds of the stake could then not vote any more.
#[test]
fn absence_jails_but_never_below_two_thirds() {
    let mut world = World::new();
    world.conduct.insert("carol".to_owned(), Conduct::Silent);
    world.conduct.insert("mallory".to_owned(), Conduct::Silent);
    for round in 0..30 {
        let job = world.submit(world.spec(&format!("m{round}")));
        world.run(job);
    }
    let jailed = |name: &str| {
        world.events.iter().any(|event| {
            matches!(event, Event::Jailed { validator, cause: JailCause::Absence, .. }
                if *validator == world.validator(name))
        })
    };
    assert!(
        jailed("carol") != jailed("mallory"),
        "one of four may go, two may not"
    );
    assert!(!jailed("alice") && !jailed("bob"));
    let out = if jailed("carol") { "mallory" } else { "carol" };
    assert!(world.row(out).misses.count_ones() >= 3);
    assert!(
        world
            .state
            .validator_set(world.height().plus(2))
            .unwrap()
            .len()
            >= 3
    );
    assert_eq!(
        world.row("carol").bonded,
        Amount::pal(1_000),
        "absence costs no stake"
    );
}

#[test]
fn jail_takes_effect_two_blocks_later() {
    let mut world = World::new();
    world.run_with_seat("mallory", Conduct::Lie(9));
    let mallory = world.validator("mallory");
    let at = world.height();
    let sits = |height: Height| {
        world
            .state
            .validator_set(height)
            .unwrap()
            .get(&mallory)
            .is_some()
    };
    assert!(sits(at) && sits(at.plus(1)) && !sits(at.plus(2)));
    assert_eq!(
        world.state.validator_set(at.plus(3)),
        None,
        "not decided yet"
    );
}
