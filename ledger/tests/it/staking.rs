//! Registration, bonds, jail terms, and who is in the set.

use ledger::TxError;
use ledger::staking::Exit;
use protocol::digest::{BlockId, ValidatorId, sha256};
use protocol::params::Params;
use protocol::signed::Verified;
use protocol::tx::{
    Bond, RegisterValidator, Tx, TxBody, Unbond, Unjail, heartbeat_digest, possession_digest,
};
use protocol::units::{Amount, Height};

use crate::world::{Conduct, World, address, key};

pub(crate) fn registration_body(
    world: &World,
    name: &str,
    operator: &str,
    pal: u64,
) -> RegisterValidator {
    let nonce = world.state.account(&address(operator)).nonce;
    let (consensus, session) = (
        key(&format!("{name}/consensus")),
        key(&format!("{name}/session")),
    );
    let digest = |pk| possession_digest(&world.chain(), &address(operator), nonce, &pk);
    RegisterValidator {
        moniker: name.to_owned(),
        consensus_pk: consensus.public(),
        session_pk: session.public(),
        consensus_proof: consensus.sign(&digest(consensus.public())),
        session_proof: session.sign(&digest(session.public())),
        peer_id: "16Uiu2HAm".to_owned(),
        self_bond: Amount::pal(pal),
    }
}

pub(crate) fn registration(world: &World, name: &str, operator: &str, pal: u64) -> Verified<Tx> {
    let body = registration_body(world, name, operator, pal);
    world.wallet(operator, TxBody::RegisterValidator(body))
}

pub(crate) fn unjail(world: &World, name: &str, height: Height) -> Verified<Tx> {
    let block = world.state.blocks.get(&height).unwrap().block;
    let digest = heartbeat_digest(&world.chain(), &world.validator(name), &block);
    let body = Unjail {
        height,
        block,
        consensus_heartbeat: key(&format!("{name}/consensus")).sign(&digest),
        session_heartbeat: key(&format!("{name}/session")).sign(&digest),
    };
    world.wallet(&format!("{name}/operator"), TxBody::Unjail(body))
}

fn bond(world: &World, operator: &str, pal: u64) -> Verified<Tx> {
    world.wallet(
        operator,
        TxBody::Bond(Bond {
            amount: Amount::pal(pal),
        }),
    )
}

fn unbond(world: &World, operator: &str, pal: u64) -> Verified<Tx> {
    world.wallet(
        operator,
        TxBody::Unbond(Unbond {
            amount: Amount::pal(pal),
        }),
    )
}

#[test]
fn candidates_vote_after_their_delay_and_two_blocks() {
    let mut world = World::new();
    world.names.push("late".to_owned());
    let tx = registration(&world, "late", "rich", 300);
    let expected = ValidatorId::derive(&world.chain(), &address("rich"), 0);
    world.block(&[tx]);
    let id = world.validator("late");
    assert_eq!(id, expected);
    assert_eq!(world.row("late").active_from, Height(6));
    world.blocks(5);
    let set = |world: &World, height: u64| {
        world
            .state
            .validator_set(Height(height))
            .unwrap()
            .get(&id)
            .map(|entry| entry.power)
    };
    assert_eq!(set(&world, 7), None);
    assert_eq!(
        set(&world, 8),
        Some(300_000_000),
        "active at 6, in force from 8"
    );
}

#[test]
fn registrations_are_refused_for_each_reason() {
    let mut world = World::new();
    let own = registration(&world, "other", "alice/operator", 200);
    assert!(matches!(
        world.refused(own),
        TxError::AlreadyOperator { .. }
    ));
    let low = registration(&world, "late", "rich", 99);
    assert!(matches!(world.refused(low), TxError::BelowMinBond { .. }));
    let broke = registration(&world, "late", "rich", 9_000);
    assert!(matches!(
        world.refused(broke),
        TxError::InsufficientBalance { .. }
    ));
    let taken = registration(&world, "alice", "rich", 200);
    assert_eq!(world.refused(taken), TxError::KeyTaken);
    type Change = fn(&mut RegisterValidator);
    let rows: [(&str, Change); 6] = [
        ("staking.key_taken", |b| b.session_pk = b.consensus_pk),
        ("staking.bad_possession", |b| {
            b.consensus_proof = b.session_proof
        }),
        ("staking.bad_possession", |b| {
            b.session_pk = key("stranger").public()
        }),
        ("staking.bad_moniker", |b| b.moniker = "m".repeat(33)),
        ("staking.bad_moniker", |b| b.moniker = "\u{7}".to_owned()),
        ("staking.bad_peer_id", |b| {
            b.peer_id = "not base58!".to_owned()
        }),
    ];
    for (code, change) in rows {
        let mut body = registration_body(&world, "late", "rich", 200);
        change(&mut body);
        let tx = world.wallet("rich", TxBody::RegisterValidator(body));
        assert_eq!(world.refused(tx).code(), code);
    }
    let mut old = registration_body(&world, "late", "rich", 200);
    world.block(&[world.transfer("rich", "x", Amount(1))]);
    old.moniker = "replay".to_owned();
    let replay = world.wallet("rich", TxBody::RegisterValidator(old));
    assert_eq!(
        world.refused(replay),
        TxError::BadPossession,
        "a proof is for one nonce"
    );
}

#[test]
fn bonds_move_and_only_for_operators() {
    let mut world = World::new();
    world.block(&[bond(&world, "alice/operator", 50)]);
    assert_eq!(world.row("alice").bonded, Amount::pal(1_050));
    let stranger = bond(&world, "rich", 1);
    assert_eq!(world.refused(stranger), TxError::NotOperator);
    let broke = bond(&world, "alice/operator", 50_000);
    assert!(matches!(
        world.refused(broke),
        TxError::InsufficientBalance { .. }
    ));
    let zero = bond(&world, "alice/operator", 0);
    assert_eq!(world.refused(zero), TxError::ZeroAmount);
    let much = unbond(&world, "alice/operator", 2_000);
    assert!(matches!(world.refused(much), TxError::NotBonded { .. }));
    let zero = unbond(&world, "alice/operator", 0);
    assert_eq!(world.refused(zero), TxError::ZeroAmount);
}

/// Both limits: 120 blocks and 60 s. Blocks of 500 ms reach them together; faster blocks wait for time.
#[test]
fn unbonding_matures_past_both_limits() {
    let mut world = World::new();
    let tx = unbond(&world, "alice/operator", 100);
    world.block(&[tx]);
    let balance = world.balance("alice/operator");
    world.blocks(119);
    assert_eq!(world.balance("alice/operator"), balance);
    world.blocks(1);
    assert_eq!(world.balance("alice/operator").0, balance.0 + 100_000_000);
    assert_eq!(world.row("alice").unbonding_entries, 0);

    let mut params = Params::local();
    params.unbonding_ms.0 = 100_000;
    let mut world = World::with(params, &[("alice", 1_000), ("bob", 1_000)]);
    world.block(&[unbond(&world, "alice/operator", 100)]);
    world.blocks(199);
    assert_eq!(
        world.row("alice").unbonding_entries,
        1,
        "blocks alone do not free stake"
    );
    world.blocks(1);
    assert_eq!(world.row("alice").unbonding_entries, 0);
}

#[test]
fn unbonding_everything_ends_the_validator_and_a_new_one_may_follow() {
    let mut world = World::new();
    world.block(&[unbond(&world, "alice/operator", 1_000)]);
    assert_eq!(world.row("alice").exit, Some(Exit::Gone));
    let again = bond(&world, "alice/operator", 1);
    assert_eq!(world.refused(again), TxError::Gone);
    let old_keys = registration(&world, "alice", "alice/operator", 200);
    assert_eq!(
        world.refused(old_keys),
        TxError::KeyTaken,
        "old keys stay accountable"
    );
    world.names.push("second".to_owned());
    let fresh = registration(&world, "second", "alice/operator", 200);
    world.block(&[fresh]);
    world.block(&[bond(&world, "alice/operator", 5)]);
    assert_eq!(world.row("second").bonded, Amount::pal(205));
    let loaded = ledger::State::from_leaves(&world.genesis, world.state.leaves()).unwrap();
    assert_eq!(
        loaded.operated(&address("alice/operator")).unwrap().0,
        world.validator("second")
    );
}

/// Goal: what an operator's audit anchor changes depends on the leaves alone. Method: operators whose
/// validators have all left send an anchor to a state as it grew and to one loaded from its leaves.
#[test]
fn an_anchor_of_one_who_left_twice_is_kept_nowhere() {
    let mut world = World::new();
    for (first, second) in [("alice", "second"), ("bob", "third")] {
        let operator = format!("{first}/operator");
        world.block(&[unbond(&world, &operator, 1_000)]);
        world.names.push(second.to_owned());
        let fresh = registration(&world, second, &operator, 200);
        world.block(&[fresh]);
        world.block(&[unbond(&world, &operator, 200)]);
    }
    let grown = world.state.clone();
    let loaded = ledger::State::from_leaves(&world.genesis, grown.leaves()).unwrap();
    assert_eq!(loaded.root(), grown.root());
    let anchored = |world: &World, operator: &str| {
        let mut tx = world
            .transfer(operator, "client-0", Amount(1))
            .message()
            .clone();
        tx.anchor = Some(sha256(b"checkpoint"));
        tx.fee = Amount(100_000);
        world.sign(operator, tx)
    };
    let txs = [
        anchored(&world, "alice/operator"),
        anchored(&world, "bob/operator"),
    ];
    world.block(&txs);
    let root = world.state.root();
    world.state = loaded;
    world.block(&txs);
    assert_eq!(world.state.root(), root);
}

#[test]
fn seat_bonds_hold_half_of_the_stake() {
    let mut world = World::with(Params::local(), &[("a", 100), ("b", 100), ("c", 100)]);
    let job = world.submit(world.spec("m"));
    world.blocks(2);
    assert_eq!(world.row("a").seat_locked, Amount::pal(5));
    let tx = unbond(&world, "a/operator", 95);
    assert!(matches!(world.refused(tx), TxError::SeatBondsLocked { .. }));
    let tx = unbond(&world, "a/operator", 90);
    world.block(&[tx]);
    world.run(job);
    assert_eq!(world.row("a").seat_locked, Amount::ZERO);
}

#[test]
fn at_most_32_amounts_unbond_at_once() {
    let mut world = World::new();
    let body = || {
        TxBody::Unbond(Unbond {
            amount: Amount::pal(1),
        })
    };
    let txs: Vec<_> = (1..33)
        .map(|nonce| world.wallet_at("alice/operator", nonce, body()))
        .collect();
    world.block(&txs);
    let tx = world.wallet("alice/operator", body());
    assert_eq!(world.refused(tx), TxError::TooManyUnbonding { entries: 32 });
}

/// Goal: whoever holds less than the minimum neither votes nor sits, by whatever way it got there.
#[test]
fn below_min_bond_never_in_set() {
    let stakes = [
        ("a", 1_000),
        ("b", 1_000),
        ("c", 1_000),
        ("poor", 100),
        ("liar", 101),
    ];
    let mut world = World::with(Params::local(), &stakes);
    let tx = unbond(&world, "poor/operator", 1);
    world.block(&[tx]);
    world.run_with_seat("liar", Conduct::Lie(9));
    assert_eq!(world.row("liar").bonded, Amount(101_000_000 - 5_050_000));
    let below = [world.validator("poor"), world.validator("liar")];
    world.conduct.clear();
    for round in 0..40 {
        let job = world.submit(world.spec(&format!("m{round}")));
        world.run(job);
        let seats = world.state.jobs.get(&job).unwrap().seats.clone();
        assert!(seats.iter().all(|seat| !below.contains(&seat.validator)));
        let set = world.state.validator_set(world.height().plus(2)).unwrap();
        assert!(below.iter().all(|id| set.get(id).is_none()));
    }
    assert!(world.row("liar").jail.is_some());
    let tx = unjail(&world, "liar", world.height());
    assert!(matches!(world.refused(tx), TxError::BelowMinBond { .. }));
    world.block(&[bond(&world, "liar/operator", 10)]);
    world.block(&[unjail(&world, "liar", world.height())]);
    world.blocks(2);
    let liar = world.validator("liar");
    assert!(
        world
            .state
            .validator_set(world.height().plus(2))
            .unwrap()
            .get(&liar)
            .is_some()
    );
}

#[test]
fn unjail_needs_time_served_and_a_live_node() {
    let mut world = World::new();
    let free = unjail(&world, "alice", Height(0));
    assert_eq!(world.refused(free), TxError::NotJailed);
    world.run_with_seat("mallory", Conduct::Lie(9));
    let until = world.row("mallory").jail.unwrap().until;
    let early = unjail(&world, "mallory", world.height());
    assert_eq!(world.refused(early), TxError::Jailed { until });
    world.blocks(40);
    let stale = unjail(&world, "mallory", world.height().minus(20));
    assert!(matches!(
        world.refused(stale),
        TxError::StaleHeartbeat { .. }
    ));
    let good = unjail(&world, "mallory", world.height());
    let body = |change: fn(&mut Unjail)| match &good.message().body {
        TxBody::Unjail(body) => {
            let mut body = body.clone();
            change(&mut body);
            TxBody::Unjail(body)
        }
        _ => unreachable!(),
    };
    let foreign = body(|b| b.block = BlockId(sha256(b"other")));
    let swapped = body(|b| std::mem::swap(&mut b.consensus_heartbeat, &mut b.session_heartbeat));
    let tx = world.wallet("mallory/operator", foreign);
    assert!(matches!(world.refused(tx), TxError::StaleHeartbeat { .. }));
    let tx = world.wallet("mallory/operator", swapped);
    assert_eq!(world.refused(tx), TxError::BadHeartbeat);
    let oldest = unjail(&world, "mallory", world.height().next().minus(20));
    world.block(&[oldest]);
    assert_eq!(world.row("mallory").jail, None);
}

#[test]
fn the_set_holds_the_largest_stakes_ties_to_the_lower_id() {
    let mut params = Params::local();
    params.validators_max = 3;
    let mut world = World::with(params, &[("a", 500), ("b", 500)]);
    world.names.extend(["x", "y", "z"].map(str::to_owned));
    for (name, operator, pal) in [
        ("x", "rich", 300),
        ("y", "client-0", 300),
        ("z", "client-1", 200),
    ] {
        world.block(&[registration(&world, name, operator, pal)]);
    }
    world.blocks(9);
    let set = world.state.validator_set(world.height()).unwrap().clone();
    let third = world.validator("x").min(world.validator("y"));
    assert_eq!(set.len(), 3);
    assert!(set.get(&third).is_some() && set.get(&world.validator("z")).is_none());
    let tx = bond(&world, "client-1", 101);
    world.block(&[tx]);
    let later = world.state.validator_set(world.height().plus(2)).unwrap();
    assert!(later.get(&world.validator("z")).is_some() && later.get(&third).is_none());
}

#[test]
fn the_last_set_goes_on_when_nobody_is_active() {
    let mut world = World::with(Params::local(), &[("a", 100), ("b", 100)]);
    let txs = [
        unbond(&world, "a/operator", 100),
        unbond(&world, "b/operator", 100),
    ];
    world.block(&txs);
    world.blocks(5);
    assert_eq!(world.state.validator_set(world.height()).unwrap().len(), 2);
}

#[test]
fn anchors_are_kept_per_validator() {
    let mut world = World::new();
    let anchor = Some(sha256(b"checkpoint"));
    let tx = world.transfer("alice/operator", "x", Amount(1));
    let mut tx = tx.message().clone();
    tx.anchor = anchor;
    tx.fee = Amount(5_000);
    let tx = world.sign("alice/operator", tx);
    world.block(&[tx]);
    assert_eq!(world.row("alice").anchor, anchor);
    assert_eq!(world.row("bob").anchor, None);
}
