//! Jobs: every way through the state machine, its money to the unit, and every refusal at the door.

use ledger::TxError;
use ledger::jobs::{JobHead, Phase, quorum};
use protocol::digest::{JobId, sha256};
use protocol::events::{Event, FailCode, Level};
use protocol::job::{JobSpec, Sponsor, sponsor_digest};
use protocol::params::Params;
use protocol::tx::{CancelJob, SubmitJob, TxBody};
use protocol::units::{Amount, Fuel, Height};

use crate::world::{Conduct, World, address, key};

const R: u64 = 15_000;
const PRICE: u64 = 45_900;

fn head(world: &World, job: JobId) -> JobHead {
    world.state.jobs.get(&job).unwrap().clone()
}

/// Everybody but those drawn first stays as told; returns the committee's names, seat order.
fn seated(world: &mut World) -> (JobId, Vec<String>) {
    let job = world.submit(world.spec("m"));
    world.blocks(2);
    let names = head(world, job)
        .seats
        .iter()
        .map(|s| world.name_of(&s.validator))
        .collect();
    (job, names)
}

#[test]
fn unanimous_jobs_settle_and_pay_to_the_unit() {
    let mut world = World::new();
    let before = world.balance("client-0");
    let (job, names) = seated(&mut world);
    let fee = Amount(before.0 - PRICE - world.balance("client-0").0);
    assert_eq!(world.phase(job), Phase::Commit(Level::Committee));
    assert_eq!(world.run(job), Phase::Settled);
    let amounts = head(&world, job).amounts;
    assert_eq!(
        (amounts.locked, amounts.paid),
        (Amount(PRICE), Amount(3 * R))
    );
    assert_eq!((amounts.fee, amounts.refunded), (Amount(900), Amount::ZERO));
    for name in names {
        assert!(world.balance(&format!("{name}/operator")).0 >= 5_000_000_000 + R);
    }
    assert_eq!(world.balance("client-0"), Amount(before.0 - PRICE - fee.0));
    assert_eq!(
        world.names_of_events(job),
        [
            "Locked",
            "Queued",
            "Assigned",
            "CommitWindow",
            "Committed",
            "Committed",
            "Committed",
            "RevealWindow",
            "Revealed",
            "Revealed",
            "Revealed",
            "Released",
            "Released",
            "Released",
            "Settled",
        ]
    );
    assert_eq!(world.row("alice").seat_locked, Amount::ZERO);
    assert_eq!(world.state.account(&address("client-0")).live_jobs, 0);
    assert!(world.state.snapshots.is_empty());
}

#[test]
fn what_is_not_needed_goes_back() {
    let mut world = World::new();
    let mut spec = world.spec("m");
    spec.max_price = Amount::pal(5);
    let job = world.submit(spec);
    assert_eq!(world.run(job), Phase::Settled);
    let amounts = head(&world, job).amounts;
    assert_eq!(amounts.refunded, Amount(5_000_000 - PRICE));
}

#[test]
fn the_draw_comes_two_blocks_after_inclusion() {
    let mut world = World::new();
    let job = world.submit(world.spec("m"));
    assert_eq!(
        (world.phase(job), world.height()),
        (Phase::Frozen, Height(1))
    );
    world.block(&[]);
    assert_eq!(world.phase(job), Phase::Frozen);
    world.block(&[]);
    assert_eq!(world.phase(job), Phase::Commit(Level::Committee));
    let id = world.last.as_ref().unwrap().state.head().block;
    let seed = protocol::draw::committee_seed(&world.chain(), &id.0, &job, 0);
    let list: Vec<_> = world
        .state
        .standing(world.height())
        .iter()
        .map(|(i, s)| (*i, s.0))
        .collect();
    let drawn: Vec<_> = head(&world, job)
        .seats
        .iter()
        .map(|seat| seat.validator)
        .collect();
    assert_eq!(drawn, protocol::draw::draw(&seed, &list, 3));
}

#[test]
fn too_few_commits_expire_and_cost_the_base() {
    let mut world = World::new();
    let (job, names) = seated(&mut world);
    for name in &names[1..] {
        world.conduct.insert(name.clone(), Conduct::Silent);
    }
    assert_eq!(world.run(job), Phase::Expired);
    let amounts = head(&world, job).amounts;
    assert_eq!(
        (amounts.paid, amounts.refunded),
        (Amount(10_000), Amount(PRICE - 10_000))
    );
    assert_eq!(world.row(&names[0]).misses, 0, "a commit was served");
    assert_eq!(world.row(&names[1]).misses, 1);
    assert_eq!(
        world.height(),
        Height(3 + 6),
        "the window is one and a half times the run and slack"
    );
}

#[test]
fn a_quorum_of_declines_fails_the_job_and_is_no_miss() {
    let mut world = World::new();
    let (job, names) = seated(&mut world);
    world.conduct.insert(names[0].clone(), Conduct::Decline);
    world.conduct.insert(names[1].clone(), Conduct::Decline);
    assert_eq!(world.run(job), Phase::Failed(FailCode::Declined));
    let amounts = head(&world, job).amounts;
    assert_eq!(
        (amounts.burned, amounts.refunded),
        (Amount(20_000), Amount(PRICE - 20_000))
    );
    assert_eq!(amounts.paid, Amount::ZERO);
    assert_eq!(
        (world.row(&names[0]).misses, world.row(&names[1]).misses),
        (0, 0)
    );
}

#[test]
fn a_quorum_without_input_is_paid_the_base() {
    let mut world = World::new();
    let (job, names) = seated(&mut world);
    world.conduct.insert(names[0].clone(), Conduct::Unavailable);
    world.conduct.insert(names[2].clone(), Conduct::Unavailable);
    assert_eq!(world.run(job), Phase::Failed(FailCode::InputUnavailable));
    let amounts = head(&world, job).amounts;
    assert_eq!(
        (amounts.paid, amounts.refunded),
        (Amount(20_000), Amount(PRICE - 20_000))
    );
}

#[test]
fn one_decline_is_a_miss_and_the_rest_settle() {
    let mut world = World::new();
    let (job, names) = seated(&mut world);
    world.conduct.insert(names[1].clone(), Conduct::Decline);
    assert_eq!(world.run(job), Phase::Settled);
    assert_eq!(head(&world, job).amounts.paid, Amount(2 * R));
    assert_eq!(world.row(&names[1]).misses, 1);
}

#[test]
fn withheld_reveals_end_without_quorum() {
    let mut world = World::new();
    let (job, names) = seated(&mut world);
    world.conduct.insert(names[0].clone(), Conduct::Withhold);
    world.conduct.insert(names[1].clone(), Conduct::Withhold);
    assert_eq!(world.run(job), Phase::Failed(FailCode::NoQuorum));
    let amounts = head(&world, job).amounts;
    assert_eq!(
        (amounts.paid, amounts.refunded),
        (Amount(10_000), Amount(PRICE - 10_000))
    );
    assert_eq!(world.row(&names[0]).misses, 1);
    assert_eq!(world.row(&names[2]).misses, 0);
}

/// Four validators, three liars with three different answers: no answer reaches two thirds.
#[test]
fn no_majority_is_ambiguous_and_slashes_nobody() {
    let mut world = World::new();
    let (job, names) = seated(&mut world);
    for (code, name) in (50..).zip(&names) {
        world.conduct.insert(name.clone(), Conduct::Lie(code));
    }
    assert_eq!(world.run(job), Phase::Ambiguous);
    let amounts = head(&world, job).amounts;
    assert_eq!(
        amounts.paid,
        Amount(40_000),
        "three seats and the juror, the base each"
    );
    assert_eq!(amounts.refunded, Amount(PRICE - 40_000));
    for name in &names {
        assert_eq!(world.row(name).bonded, Amount::pal(1_000));
        assert_eq!(world.row(name).jail, None);
    }
}

/// Two of three seats are refuted by the whole set: three times, the last one for ever.
#[test]
fn a_refuted_majority_freezes_the_cohort_and_slashes_nobody() {
    // Twelve: the refuted judge nobody, and what is left must still hold two thirds.
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let stakes = names.map(|name| (name, 1_000));
    let mut world = World::with(Params::local(), &stakes);
    let mut times = 0;
    for expected in [1_000_u64, 1_000, u64::MAX] {
        let job = world.submit(world.spec("m"));
        world.blocks(2);
        let names: Vec<_> = head(&world, job)
            .seats
            .iter()
            .map(|s| world.name_of(&s.validator))
            .collect();
        world.conduct.clear();
        world.conduct.insert(names[0].clone(), Conduct::Lie(7));
        world.conduct.insert(names[1].clone(), Conduct::Lie(7));
        assert_eq!(world.run(job), Phase::Failed(FailCode::CohortFrozen));
        times += 1;
        let cohort = world.state.cohorts.get(&(sha256(b"m"), 1)).unwrap().clone();
        assert_eq!(cohort.times, times);
        for name in &names[..2] {
            assert_eq!(world.row(name).bonded, Amount::pal(1_000));
            assert!(cohort.refuted.contains(&world.validator(name)));
        }
        let until = if expected == u64::MAX {
            Height::MAX
        } else {
            world.height().plus(expected)
        };
        assert_eq!(cohort.frozen_until, until);
        let again = world.wallet(
            "client-0",
            TxBody::SubmitJob(SubmitJob {
                spec: world.spec("m"),
                sponsor: None,
            }),
        );
        assert_eq!(world.refused(again), TxError::CohortFrozen { until });
        let other = world.submit(world.spec("another model"));
        world.conduct.clear();
        assert_eq!(world.run(other), Phase::Settled, "the scope is one model");
        if expected != u64::MAX {
            world.blocks(1_000);
            let job = world.submit(world.spec("m"));
            world.blocks(2);
            let refuted = &cohort.refuted;
            assert!(
                head(&world, job)
                    .seats
                    .iter()
                    .all(|s| !refuted.contains(&s.validator))
            );
            world.run(job);
        }
    }
}

#[test]
fn too_few_eligible_wait_and_then_get_everything_back() {
    let mut world = World::with(Params::local(), &[("a", 1_000), ("b", 1_000)]);
    let mut spec = world.spec("m");
    spec.expiry = Height(25);
    let before = world.balance("client-0");
    let job = world.submit(spec);
    let fee = before.0 - PRICE - world.balance("client-0").0;
    assert_eq!(world.phase(job), Phase::Queued);
    assert_eq!(world.run(job), Phase::Expired);
    assert_eq!(world.height(), Height(25));
    assert_eq!(world.balance("client-0").0, before.0 - fee);
}

#[test]
fn a_waiting_job_is_drawn_once_enough_can_sit() {
    let mut world = World::with(Params::local(), &[("a", 1_000), ("b", 1_000)]);
    world.names.push("late".to_owned());
    let job = world.submit(world.spec("m"));
    let tx = crate::staking::registration(&world, "late", "rich", 200);
    world.block(&[tx]);
    assert_eq!(world.run(job), Phase::Settled);
}

#[test]
fn only_the_client_cancels_and_only_while_queued() {
    let mut world = World::new();
    let before = world.balance("client-0");
    let job = world.submit(world.spec("m"));
    let foreign = world.wallet("client-1", TxBody::CancelJob(CancelJob { job }));
    assert_eq!(world.refused(foreign), TxError::NotYourJob);
    let unknown = world.wallet(
        "client-0",
        TxBody::CancelJob(CancelJob { job: JobId::ZERO }),
    );
    assert_eq!(
        world.refused(unknown),
        TxError::UnknownJob { job: JobId::ZERO }
    );
    let job = world.submit(world.spec("m"));
    let cancel = world.wallet("client-0", TxBody::CancelJob(CancelJob { job }));
    world.block(&[cancel]);
    assert_eq!(world.phase(job), Phase::Cancelled);
    let amounts = head(&world, job).amounts;
    assert_eq!(
        amounts.burned,
        Amount(30_000),
        "a called-off draw costs the base"
    );
    assert_eq!(amounts.refunded, Amount(PRICE - 30_000));
    let again = world.wallet("client-0", TxBody::CancelJob(CancelJob { job }));
    assert_eq!(world.refused(again), TxError::NotQueued);
    assert!(
        world.balance("client-0") < before,
        "transaction fees never return"
    );
}

#[test]
fn sponsors_lock_and_get_the_rest_back() {
    let mut world = World::new();
    let mut spec = world.spec("m");
    spec.max_price = Amount(100_000);
    let job = spec.job_id(&world.chain(), &address("client-0"), 0);
    let sponsor = Sponsor {
        key: key("sponsor").public(),
        signature: key("sponsor").sign(&sponsor_digest(&job)),
    };
    let forged = Sponsor {
        key: key("rich").public(),
        ..sponsor.clone()
    };
    let body = |sponsor| {
        TxBody::SubmitJob(SubmitJob {
            spec: spec.clone(),
            sponsor: Some(sponsor),
        })
    };
    let tx = world.wallet("client-0", body(forged));
    assert_eq!(world.state.admit(&tx).unwrap_err(), TxError::BadSponsor);
    let tx = world.wallet("client-0", body(sponsor));
    let fee = tx.message().fee;
    world.block(&[tx]);
    assert_eq!(world.balance("sponsor"), Amount(5_000_000_000 - 100_000));
    assert_eq!(world.balance("client-0"), Amount(5_000_000_000 - fee.0));
    world.run(job);
    assert_eq!(world.balance("sponsor"), Amount(5_000_000_000 - PRICE));
}

#[test]
fn clients_never_sit_on_their_own_jobs() {
    let mut world = World::new();
    let spec = world.spec("m");
    let client = "alice/operator";
    let nonce = world.state.account(&address(client)).nonce;
    let job = spec.job_id(&world.chain(), &address(client), nonce);
    let tx = world.wallet(
        client,
        TxBody::SubmitJob(SubmitJob {
            spec,
            sponsor: None,
        }),
    );
    world.block(&[tx]);
    world.blocks(2);
    let alice = world.validator("alice");
    assert_eq!(head(&world, job).seats.len(), 3);
    assert!(
        head(&world, job)
            .seats
            .iter()
            .all(|seat| seat.validator != alice)
    );
}

#[test]
fn every_term_is_checked_at_the_door() {
    let mut world = World::new();
    type Change = fn(&mut JobSpec);
    let rows: [(&str, Change); 18] = [
        ("job.unknown_engine", |s| s.engine = 2),
        ("job.bad_k", |s| s.k = 2),
        ("job.bad_k", |s| s.k = 65),
        ("job.fuel_limit", |s| s.fuel_limit = Fuel(0)),
        ("job.fuel_limit", |s| s.fuel_limit = Fuel(4_000_000_001)),
        ("job.price_too_low", |s| s.max_price = Amount(PRICE - 1)),
        ("job.bad_expiry", |s| s.expiry = Height(3)),
        ("job.bad_expiry", |s| s.expiry = Height(1_100)),
        ("job.bad_params", |s| s.params.out_bytes = 0),
        ("job.bad_params", |s| s.params.out_bytes = (4 << 20) + 1),
        ("job.bad_params", |s| s.params.cpu_ms += 1),
        ("job.bad_params", |s| s.params.wall_ms -= 1),
        ("job.bad_params", |s| s.params.mem_bytes += 1),
        ("job.bad_params", |s| {
            s.params.outputs = vec!["a".to_owned(); 9]
        }),
        ("job.bad_params", |s| {
            s.params.outputs = vec!["a".to_owned(); 2]
        }),
        ("job.bad_params", |s| s.params.outputs = vec![String::new()]),
        ("job.bad_params", |s| {
            s.params.outputs = vec!["a".repeat(256)]
        }),
        ("tx.insufficient_balance", |s| {
            s.max_price = Amount::pal(9_000)
        }),
    ];
    for (code, change) in rows {
        let mut spec = world.spec("m");
        change(&mut spec);
        let tx = world.wallet(
            "client-0",
            TxBody::SubmitJob(SubmitJob {
                spec,
                sponsor: None,
            }),
        );
        assert_eq!(world.refused(tx).code(), code);
    }
    let mut probe = world.spec("m");
    probe.engine = 0;
    world.submit(probe);
}

#[test]
fn a_client_has_a_hundred_live_jobs_at_most() {
    let mut world = World::new();
    let spec = |world: &World| {
        TxBody::SubmitJob(SubmitJob {
            spec: world.spec("m"),
            sponsor: None,
        })
    };
    let txs: Vec<_> = (0..100)
        .map(|n| world.wallet_at("client-0", n, spec(&world)))
        .collect();
    world.block(&txs);
    let more = world.wallet("client-0", spec(&world));
    assert_eq!(world.refused(more), TxError::TooManyJobs { live: 100 });
}

/// 257 lists to freeze in one block, then 257 draws: 256 at once, one a block later.
#[test]
fn one_block_performs_256_transitions() {
    let mut params = Params::local();
    (params.seat_bond_min, params.seat_bond_multiple) = (Amount(1), 0);
    let stakes = [("a", 1_000), ("b", 1_000), ("c", 1_000)];
    let mut world = World::with(params, &stakes);
    let clients = ["client-0", "client-1", "rich"];
    let (jobs, txs): (Vec<_>, Vec<_>) = (0..257_u64)
        .map(|n| {
            let client = clients[usize::try_from(n % 3).unwrap()];
            world.submission(client, n / 3, world.spec(&format!("m{n}")))
        })
        .unzip();
    let count = |world: &World, phase: Phase| {
        let those = jobs.iter().filter(|job| world.phase(**job) == phase);
        those.count()
    };
    world.block(&txs);
    assert_eq!(count(&world, Phase::Frozen), 256);
    world.block(&[]);
    assert_eq!(count(&world, Phase::Frozen), 257);
    world.block(&[]);
    assert_eq!(count(&world, Phase::Commit(Level::Committee)), 256);
    world.block(&[]);
    assert_eq!(count(&world, Phase::Commit(Level::Committee)), 257);
    assert_eq!(world.state.live_jobs().len(), 257);
}

#[test]
fn records_shrink_to_a_trace() {
    let mut params = Params::local();
    params.job_record_blocks = 5;
    let mut world = World::with(params, &[("a", 1_000), ("b", 1_000), ("c", 1_000)]);
    let job = world.submit(world.spec("m"));
    world.run(job);
    let amounts = head(&world, job).amounts;
    world.blocks(4);
    assert!(world.state.jobs.contains(&job));
    world.blocks(1);
    assert!(!world.state.jobs.contains(&job) && !world.state.requests.contains(&job));
    assert!(world.state.seats.is_empty());
    let trace = world.state.traces.get(&job).unwrap();
    assert_eq!((trace.phase, trace.amounts), (Phase::Settled, amounts));
}

#[test]
fn quorums_are_two_thirds_rounded_up() {
    assert_eq!([3, 4, 5, 6, 7].map(quorum), [2, 3, 4, 4, 5]);
}

#[test]
fn events_tell_the_whole_set_story() {
    let mut world = World::new();
    let job = world.run_with_seat("mallory", Conduct::Lie(9));
    let names = world.names_of_events(job);
    let at = |name| names.iter().position(|n| *n == name).unwrap();
    assert!(at("Escalated") < at("Resolved") && at("Slashed") < at("Resolved"));
    let escalated = world.events.iter().find_map(|event| match event {
        Event::Escalated {
            job: of,
            first_seat,
            jurors,
            ..
        } if *of == job => Some((*first_seat, jurors.len())),
        _ => None,
    });
    assert_eq!(escalated, Some((3, 1)));
}

/// Two of three equal stakes are exactly two thirds: not more, so nothing is decided. Nobody is left to
/// be a juror, so the tally is at once.
#[test]
fn exactly_two_thirds_decide_nothing() {
    let mut world = World::with(Params::local(), &[("a", 1_000), ("b", 1_000), ("c", 1_000)]);
    world.conduct.insert("a".to_owned(), Conduct::Lie(9));
    let job = world.submit(world.spec("m"));
    assert_eq!(world.run(job), Phase::Ambiguous);
    let reveals = world.height();
    assert_eq!(head(&world, job).deadline, reveals);
    assert!(!world.names_of_events(job).contains(&"Slashed"));
    assert_eq!(
        world
            .names_of_events(job)
            .iter()
            .filter(|n| **n == "CommitWindow")
            .count(),
        1
    );
    assert_eq!(world.row("a").bonded, Amount::pal(1_000));
}

/// Half of a committee refuted is not most of it: both are slashed, no cohort freezes.
#[test]
fn half_a_committee_refuted_is_slashed() {
    let stakes: Vec<(&str, u64)> = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .map(|name| (*name, 1_000))
        .collect();
    let mut world = World::with(Params::local(), &stakes);
    let mut spec = world.spec("m");
    spec.k = 4;
    spec.max_price = world.state.params().price_min(4, spec.fuel_limit);
    let job = world.submit(spec);
    world.blocks(2);
    let names: Vec<_> = head(&world, job)
        .seats
        .iter()
        .map(|seat| world.name_of(&seat.validator))
        .collect();
    world.conduct.insert(names[0].clone(), Conduct::Lie(7));
    world.conduct.insert(names[1].clone(), Conduct::Lie(7));
    assert_eq!(world.run(job), Phase::Resolved);
    assert_eq!(world.row(&names[0]).bonded, Amount::pal(950));
    assert_eq!(world.row(&names[1]).bonded, Amount::pal(950));
    assert!(world.state.cohorts.is_empty());
}

#[test]
fn neither_the_clients_nor_the_sponsors_validator_sits() {
    let stakes: Vec<(&str, u64)> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| (*name, 1_000))
        .collect();
    let mut world = World::with(Params::local(), &stakes);
    let (client, payer) = ("a/operator", "b/operator");
    let spec = world.spec("m");
    let nonce = world.state.account(&address(client)).nonce;
    let job = spec.job_id(&world.chain(), &address(client), nonce);
    let signature = key(payer).sign(&sponsor_digest(&job));
    let sponsor = Some(Sponsor {
        key: key(payer).public(),
        signature,
    });
    let tx = world.wallet(client, TxBody::SubmitJob(SubmitJob { spec, sponsor }));
    world.block(&[tx]);
    world.blocks(2);
    let mut names: Vec<_> = head(&world, job)
        .seats
        .iter()
        .map(|seat| world.name_of(&seat.validator))
        .collect();
    names.sort();
    assert_eq!(names, ["c", "d", "e"]);
}
