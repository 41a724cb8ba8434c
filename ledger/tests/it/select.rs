//! What a proposer takes, in which order, and what it leaves.

use ledger::{BlockInvalid, State, select};
use protocol::signed::Verified;
use protocol::tx::{CancelJob, KeyKind, Transfer, Tx, TxBody};
use protocol::units::{Amount, Height, TimeMs};

use crate::world::{World, address};

fn with_fee(world: &World, from: &str, nonce: u64, fee: u64) -> Verified<Tx> {
    let body = TxBody::Transfer(Transfer {
        to: address("x"),
        amount: Amount(1),
    });
    let mut tx = world.draft(from, KeyKind::Wallet, nonce, body);
    tx.fee = Amount(fee);
    world.sign(from, tx)
}

fn choose(world: &World, pool: &[Verified<Tx>], bytes_max: usize) -> ledger::Selection {
    let refs: Vec<_> = pool.iter().collect();
    let builder = world
        .state
        .validator_set(world.height().next())
        .unwrap()
        .members()[0]
        .id;
    let time = TimeMs(world.state.head().time_ms.0 + 500);
    select(&world.state, builder, time, &refs, bytes_max).unwrap()
}

/// Goal: a state that contradicts itself stops the node that builds on it, as it stops one that
/// applies; the transaction that shows it is not dropped. Method: a state loaded without the request
/// of a job, which its client takes back.
#[test]
fn a_broken_invariant_is_no_reason_to_drop_a_transaction() {
    let mut world = World::new();
    let job = world.submit(world.spec("m"));
    // Module 4, kind 1: see docs/protocol/state.md.
    let leaves = world.state.leaves().into_iter();
    let torn: Vec<_> = leaves
        .filter(|(key, _)| !key.starts_with(&[4, 1]))
        .collect();
    world.state = State::from_leaves(&world.genesis, torn).unwrap();
    let cancel = world.wallet("client-0", TxBody::CancelJob(CancelJob { job }));
    let builder = world.validator("alice");
    let time = TimeMs(world.state.head().time_ms.0 + 500);
    let breach = select(&world.state, builder, time, &[&cancel], 1 << 20).unwrap_err();
    assert_eq!(breach.0, format!("request of job {job} is missing"));
    let refused = world.try_block(&[cancel]).unwrap_err();
    assert_eq!(refused, BlockInvalid::Breach(breach));
}

#[test]
fn evidence_then_seats_then_fee_and_arrival_with_nonces_in_order() {
    let mut world = World::new();
    let job = world.submit(world.spec("m"));
    world.blocks(2);
    let seats = world.seat_messages(job);
    let mut pool = vec![
        with_fee(&world, "client-1", 0, 2_000),
        with_fee(&world, "sponsor", 0, 2_000),
        with_fee(&world, "client-0", 2, 9_000),
        with_fee(&world, "client-0", 1, 1_000),
    ];
    pool.extend(seats);
    pool.push(crate::evidence::double_vote(&world, "mallory", Height(2)));
    let selection = choose(&world, &pool, 1 << 20);
    assert_eq!(selection.taken, [7, 4, 5, 6, 0, 1, 3, 2]);
    assert!(selection.dropped.is_empty());
    let txs: Vec<_> = selection.taken.iter().map(|at| pool[*at].clone()).collect();
    world.block(&txs);
}

#[test]
fn bytes_bound_the_block() {
    let mut world = World::new();
    let pool: Vec<_> = (0..10)
        .map(|nonce| with_fee(&world, "client-0", nonce, 2_000))
        .collect();
    let each = pool[0].to_bytes().len() + 8;
    let selection = choose(&world, &pool, 8 + 4 * each);
    assert_eq!(selection.taken, [0, 1, 2, 3]);
    let body = protocol::block::Body(
        selection
            .taken
            .iter()
            .map(|at| pool[*at].to_bytes())
            .collect(),
    );
    assert_eq!(
        protocol::codec::encode(&body).len(),
        8 + 4 * each,
        "the bound is exact"
    );
    let txs: Vec<_> = selection.taken.iter().map(|at| pool[*at].clone()).collect();
    world.block(&txs);
    let later = choose(&world, &pool, 1 << 20);
    assert_eq!(later.taken, [4, 5, 6, 7, 8, 9]);
    assert_eq!(
        later
            .dropped
            .iter()
            .map(|(at, error)| (*at, error.code()))
            .collect::<Vec<_>>(),
        [0, 1, 2, 3].map(|at| (at, "tx.stale_nonce"))
    );
}

#[test]
fn gaps_wait_and_what_does_not_apply_is_dropped_with_its_reason() {
    let world = World::new();
    let poor = {
        let body = TxBody::Transfer(Transfer {
            to: address("x"),
            amount: Amount::pal(9_999),
        });
        world.wallet_at("client-1", 0, body)
    };
    let pool = vec![with_fee(&world, "client-0", 1, 2_000), poor];
    let selection = choose(&world, &pool, 1 << 20);
    assert!(selection.taken.is_empty());
    assert_eq!(selection.dropped.len(), 1);
    assert_eq!(selection.dropped[0].0, 1);
    assert_eq!(selection.dropped[0].1.code(), "tx.insufficient_balance");
}
