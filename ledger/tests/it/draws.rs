//! Lists, draws and queues under clients and validators that abuse them.

use ledger::TxError;
use ledger::execution::SeatState;
use ledger::jobs::Phase;
use protocol::digest::{JobId, ValidatorId, sha256};
use protocol::events::{Event, FailCode, Level};
use protocol::params::Params;
use protocol::signed::Verified;
use protocol::tx::{CancelJob, Tx, TxBody, Unbond};
use protocol::units::{Amount, Fuel, Height};

use crate::world::{Conduct, World, address};

fn eight() -> World {
    let stakes: Vec<(&str, u64)> = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .map(|name| (*name, 1_000))
        .collect();
    World::with(Params::local(), &stakes)
}

/// This many jobs of client-1, in one block.
fn flood(world: &mut World, count: u64) -> Vec<JobId> {
    let first = world.state.account(&address("client-1")).nonce;
    let (jobs, txs): (Vec<_>, Vec<_>) = (0..count)
        .map(|n| world.submission("client-1", first + n, world.spec(&format!("flood {n}"))))
        .unzip();
    world.block(&txs);
    jobs
}

/// Goal: a client that submits and cancels ties up nobody's stake, and pays for the draws it calls off.
#[test]
fn frozen_lists_lock_no_stake() {
    let mut world = World::new();
    let jobs = flood(&mut world, 40);
    for name in world.names.clone() {
        assert_eq!(world.row(&name).seat_locked, Amount::ZERO);
    }
    let first = world.state.account(&address("client-1")).nonce;
    let cancels: Vec<_> = (first..)
        .zip(&jobs)
        .map(|(nonce, job)| {
            let body = TxBody::CancelJob(CancelJob { job: *job });
            world.wallet_at("client-1", nonce, body)
        })
        .collect();
    let burned = world.state.pools().burned;
    world.block(&cancels);
    let half = |sum: u64, tx: &Verified<Tx>| sum + tx.message().fee.0 / 2;
    let fees = cancels.iter().fold(0, half);
    let cost = world.state.pools().burned.0 - burned.0 - fees;
    assert_eq!(
        cost,
        40 * 3 * 10_000,
        "what the seats would have earned at least"
    );
    assert_eq!(world.state.promised_bonds(), 0);
}

/// Goal: an operator under a stream of jobs leaves within the longest job, whatever clients do.
#[test]
fn a_stream_of_jobs_does_not_keep_an_operator() {
    let mut world = eight();
    let longest = world.state.params().longest_job_blocks();
    let mut leaving = false;
    for round in 0..40_u64 {
        let _jobs = flood(&mut world, 4);
        let messages: Vec<_> = world
            .state
            .live_jobs()
            .into_iter()
            .flat_map(|job| world.seat_messages(job))
            .collect();
        world.block(&messages);
        if round == 10 {
            let locked = world.row("a").seat_locked;
            assert!(locked > Amount::ZERO, "the stream keeps it busy");
            let amount = Amount(Amount::pal(1_000).0 - 2 * locked.0);
            let body = TxBody::Unbond(Unbond { amount });
            world.block(&[world.wallet("a/operator", body)]);
            leaving = true;
        }
        if leaving && world.row("a").seat_locked == Amount::ZERO {
            break;
        }
        assert!(round < 10 + longest, "seats still lock its stake");
    }
    let amount = world.row("a").bonded;
    let body = TxBody::Unbond(Unbond { amount });
    world.block(&[world.wallet("a/operator", body)]);
    assert!(world.row("a").exit.is_some());
}

/// Goal: draws never lock more than half of anybody's stake (I7, checked each block), a burst waits its
/// turn instead of being drawn into the void, and nobody misses a seat it never had.
#[test]
fn a_burst_beyond_all_stake_waits_its_turn() {
    let mut params = Params::local();
    params.seat_bond_min = Amount::pal(50);
    let stakes = [("a", 1_000), ("b", 1_000), ("c", 1_000), ("d", 1_000)];
    let mut world = World::with(params, &stakes);
    let jobs = flood(&mut world, 60);
    let frozen = jobs
        .iter()
        .filter(|job| world.phase(**job) == Phase::Frozen);
    let frozen = frozen.count();
    // 2,000 PAL are free and a committee takes 150: 150 + 2 * 150 * m fits up to m = 6.
    assert_eq!(frozen, 7);
    assert_eq!(world.state.promised_bonds(), 7 * 150_000_000);
    for _ in 0..200 {
        let live = world.state.live_jobs();
        if live.is_empty() {
            break;
        }
        let messages: Vec<_> = live
            .iter()
            .flat_map(|job| world.seat_messages(*job))
            .collect();
        world.block(&messages);
    }
    let settled = jobs
        .iter()
        .filter(|job| world.phase(**job) == Phase::Settled);
    assert_eq!(settled.count(), 60);
    for name in ["a", "b", "c", "d"] {
        assert_eq!(world.row(name).misses, 0);
    }
}

/// Goal: the list stays as frozen, and whoever has spent its stake elsewhere meanwhile is a no-show.
/// Method: an operator takes out all but twice its locked stake between freeze and draw.
#[test]
fn winners_without_free_stake_are_no_shows() {
    let mut world = World::new();
    let job = world.submit(world.spec("m"));
    let members = world.state.snapshots.get(&job).unwrap().members.clone();
    for name in ["alice", "bob"] {
        let amount = Amount::pal(995);
        let body = TxBody::Unbond(Unbond { amount });
        world.block(&[world.wallet(&format!("{name}/operator"), body)]);
    }
    let head = world.state.jobs.get(&job).unwrap().clone();
    assert_eq!(head.seats.len(), 3);
    assert_eq!(world.state.snapshots.get(&job).unwrap().members, members);
    for (_, seat) in world.seats(job) {
        let name = world.name_of(&seat.validator);
        let poor = name == "alice" || name == "bob";
        assert_eq!(seat.state == SeatState::NoShow, poor, "{name}");
        assert_eq!(seat.bond, if poor { Amount::ZERO } else { Amount::pal(5) });
        assert_eq!(world.row(&name).seat_locked, seat.bond);
    }
    world.run(job);
    assert_eq!(world.row("alice").misses, 0);
    assert_eq!(world.row("alice").seat_locked, Amount::ZERO);
}

/// Goal: jobs that wait for a committee delay no deadline. Method: 600 that can never be drawn are
/// retried again and again; a job with a committee still moves at its very heights.
#[test]
fn waiting_jobs_delay_no_deadline() {
    let stakes = [("a", 1_000), ("b", 1_000), ("c", 1_000), ("d", 1_000)];
    let mut world = World::with(Params::local(), &stakes);
    let mut names = Vec::new();
    for account in 0..6 {
        let name = format!("crowd-{account}");
        let gift = world.transfer("rich", &name, Amount::pal(300));
        world.block(&[gift]);
        names.push(name);
    }
    let mut crowd = Vec::new();
    for name in &names {
        let txs = (0..100).map(|nonce| {
            let mut spec = world.spec("never");
            spec.k = 16;
            spec.max_price = Amount::pal(1);
            world.submission(name, nonce, spec)
        });
        let (jobs, txs): (Vec<_>, Vec<_>) = txs.unzip();
        world.block(&txs);
        crowd.extend(jobs);
    }
    for name in ["b", "c", "d"] {
        world.conduct.insert(name.to_owned(), Conduct::Silent);
    }
    for round in 0..4 {
        let submitted = world.height().next();
        let job = world.submit(world.spec(&format!("m{round}")));
        assert_eq!(
            world.phase(job),
            Phase::Frozen,
            "a fresh job is not crowded out"
        );
        world.blocks(2);
        assert_eq!(world.phase(job), Phase::Commit(Level::Committee));
        let closes = world.state.jobs.get(&job).unwrap().deadline;
        assert_eq!(closes, submitted.plus(2 + 6));
        assert_eq!(world.run(job), Phase::Expired);
        assert_eq!(world.height(), closes, "not one block late");
        assert_eq!(world.state.jobs_past_deadline(), 0);
    }
    for job in crowd {
        assert_eq!(world.phase(job), Phase::Queued);
    }
}

/// Goal: of more deadlines than one block performs the oldest 256 come first, and lists wait until they
/// are done. Method: two hundred jobs with a window of six blocks, a hundred more a block later with one
/// of five; nobody speaks, so that three hundred windows close in one block.
#[test]
fn deadlines_come_before_lists() {
    let mut params = Params::local();
    (params.seat_bond_min, params.seat_bond_multiple) = (Amount(1), 0);
    // Four: absence jails one of them, and three can still sit.
    let stakes = [("a", 1_000), ("b", 1_000), ("c", 1_000), ("d", 1_000)];
    let mut world = World::with(params, &stakes);
    let batch = |world: &World, name: &str, fuel: u64| {
        let jobs = (0..100).map(|nonce| {
            let mut spec = world.spec("m");
            spec.fuel_limit = Fuel(fuel);
            world.submission(name, nonce, spec)
        });
        jobs.unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let (mut jobs, mut txs) = batch(&world, "client-0", 500_000_000);
    let (more, others) = batch(&world, "client-1", 500_000_000);
    jobs.extend(more);
    txs.extend(others);
    world.block(&txs);
    let (short, txs) = batch(&world, "rich", 1_000_000);
    jobs.extend(short);
    world.block(&txs);
    let closes = Height(1 + 2 + 6);
    for job in &jobs {
        assert_eq!(world.phase(*job), Phase::Frozen);
    }
    world.blocks(closes.0 - 1 - world.height().0);
    for job in &jobs {
        assert_eq!(world.state.jobs.get(job).unwrap().deadline, closes);
    }
    let (fresh, tx) = world.submission("sponsor", 0, world.spec("fresh"));
    world.block(&[tx]);
    let ended = |world: &World| {
        jobs.iter()
            .filter(|job| world.phase(**job).is_end())
            .count()
    };
    assert_eq!((ended(&world), world.state.jobs_past_deadline()), (256, 44));
    assert_eq!(
        world.phase(fresh),
        Phase::Queued,
        "no budget was left for it"
    );
    world.block(&[]);
    assert_eq!((ended(&world), world.state.jobs_past_deadline()), (300, 0));
    assert_eq!(world.phase(fresh), Phase::Frozen);
}

/// Goal: who was refuted on a model judges nobody's answer to it, neither in jobs drawn later nor in one
/// that was under way. Method: two jobs of one model; the first refutes two of its seats, then the second
/// escalates.
#[test]
fn the_refuted_are_no_jurors() {
    let mut tried = 0;
    for salt in 0..40 {
        let mut world = eight();
        world.blocks(salt);
        let first = world.submit(world.spec("m"));
        let second = world.submit(world.spec("m"));
        world.blocks(2);
        let seats = |world: &World, job| {
            let seats = &world.state.jobs.get(&job).unwrap().seats;
            seats
                .iter()
                .map(|seat| seat.validator)
                .collect::<Vec<ValidatorId>>()
        };
        let (one, two) = (seats(&world, first), seats(&world, second));
        let liars = [one[0], one[1]];
        if liars.iter().any(|id| two.contains(id)) {
            continue;
        }
        tried += 1;
        for id in liars {
            world.conduct.insert(world.name_of(&id), Conduct::Lie(7));
        }
        assert_eq!(world.run(first), Phase::Failed(FailCode::CohortFrozen));
        world.conduct.clear();
        world
            .conduct
            .insert(world.name_of(&two[0]), Conduct::Lie(8));
        assert_eq!(world.run(second), Phase::Resolved, "the rest is enough");
        let all = seats(&world, second);
        assert_eq!(all.len(), 6, "eight less the two refuted");
        assert!(liars.iter().all(|id| !all.contains(id)));
        let asked = world.events.iter().any(|event| {
            matches!(event, Event::Escalated { job, jurors, .. }
                if *job == second && jurors.len() == 3)
        });
        assert!(asked);
        assert_eq!(world.row(&world.name_of(&two[0])).bonded, Amount::pal(950));
        let cohort = world.state.cohorts.get(&(sha256(b"m"), 1)).unwrap();
        assert_eq!(cohort.refuted.len(), 2);
        break;
    }
    assert_eq!(tried, 1, "no draw fitted");
}

/// Goal: a client that shows its input to some seats and not to others gets nobody into jail. Method:
/// thirty jobs in which one seat, always the same validator, never gets the input.
#[test]
fn a_hidden_input_is_nobodys_miss() {
    let mut world = World::new();
    world
        .conduct
        .insert("mallory".to_owned(), Conduct::Unavailable);
    let mut sat = 0;
    for round in 0..30 {
        let job = world.submit(world.spec(&format!("m{round}")));
        assert_eq!(world.run(job), Phase::Settled, "two of three are enough");
        let amounts = world.state.jobs.get(&job).unwrap().amounts;
        let hidden = world
            .seats(job)
            .iter()
            .any(|(_, s)| s.state == SeatState::Unavailable);
        sat += u32::from(hidden);
        let served = if hidden { 2 } else { 3 };
        assert_eq!(amounts.paid, Amount(served * 15_000), "no pay without work");
    }
    assert!(sat >= 3, "it sat {sat} times");
    assert_eq!(
        (world.row("mallory").misses, world.row("mallory").jail),
        (0, None)
    );
    // Hidden from a quorum, the client pays the rule's amount, and still nobody missed anything.
    for name in ["alice", "bob", "carol"] {
        world.conduct.insert(name.to_owned(), Conduct::Unavailable);
    }
    let job = world.submit(world.spec("hidden"));
    assert_eq!(world.run(job), Phase::Failed(FailCode::InputUnavailable));
    let amounts = world.state.jobs.get(&job).unwrap().amounts;
    assert_eq!(
        (amounts.paid, amounts.refunded),
        (Amount(30_000), Amount(15_900))
    );
    for name in ["alice", "bob", "carol", "mallory"] {
        assert_eq!(world.row(name).misses, 0, "{name}");
    }
}

/// A job that waits is taken back for nothing: it holds nobody up.
#[test]
fn waiting_jobs_are_cancelled_for_nothing() {
    let mut world = World::with(Params::local(), &[("a", 1_000), ("b", 1_000)]);
    let job = world.submit(world.spec("m"));
    assert_eq!(world.phase(job), Phase::Queued);
    let body = TxBody::CancelJob(CancelJob { job });
    world.block(&[world.wallet("client-0", body.clone())]);
    let amounts = world.state.jobs.get(&job).unwrap().amounts;
    assert_eq!(amounts.refunded, amounts.locked);
    let again = world.wallet("client-0", body);
    assert_eq!(world.refused(again), TxError::NotQueued);
    assert_eq!(world.height(), Height(3));
}
