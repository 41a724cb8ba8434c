//! Goal: nobody who pays for deadlines holds back the refund of a job that nobody could serve.
//! Method: more committees than one block can draw or close, and beside them jobs with more seats than
//! there are validators, which expire in blocks of the deadlines' own choosing.

use std::collections::BTreeMap;

use ledger::jobs::Phase;
use proptest::prelude::*;
use protocol::digest::JobId;
use protocol::limits::{EXPIRIES_PER_BLOCK, TRANSITIONS_PER_BLOCK};
use protocol::params::Params;
use protocol::units::{Amount, Height};

use crate::world::World;

/// A little more than one block can move on.
const FLOOD: u64 = 300;
/// The price is locked and nobody works: deadlines of the flood are at its draw and six blocks later.
const BLOCKS: u64 = 24;

/// Three validators whose stake covers any number of seats.
fn world() -> World {
    let mut params = Params::local();
    (params.seat_bond_min, params.seat_bond_multiple) = (Amount(1), 0);
    World::with(params, &[("a", 1_000), ("b", 1_000), ("c", 1_000)])
}

fn heads(world: &World) -> BTreeMap<JobId, (Phase, Height)> {
    let rows = world.state.jobs.iter();
    rows.map(|(job, head)| (*job, (head.phase, head.deadline)))
        .collect()
}

/// A flood of three clients and, of a fourth, one job too large for the set for each of these terms.
fn submit(world: &mut World, terms: &[u64]) -> Vec<JobId> {
    let flooders = ["client-1", "rich", "sponsor"];
    let mut txs: Vec<_> = (0..FLOOD)
        .map(|n| {
            let client = flooders[usize::try_from(n % 3).unwrap()];
            let spec = world.spec(&format!("flood {n}"));
            world.submission(client, n / 3, spec).1
        })
        .collect();
    let (jobs, too_large): (Vec<_>, Vec<_>) = (0_u64..)
        .zip(terms)
        .map(|(nonce, term)| {
            let mut spec = world.spec(&format!("too large {nonce}"));
            spec.k = 5;
            spec.max_price = world.state.params().price_min(5, spec.fuel_limit);
            spec.expiry = world.height().plus(1 + term);
            world.submission("client-0", nonce, spec)
        })
        .unzip();
    txs.extend(too_large);
    world.block(&txs);
    jobs
}

/// Runs the flood out. No block moves more than the limit, and none leaves a deadline for a list.
fn run_out(world: &mut World) {
    for _ in 0..BLOCKS {
        let before = heads(world);
        world.block(&[]);
        let after = heads(world);
        let height = world.height();
        let moved = after
            .iter()
            .filter(|(job, now)| before.get(*job) != Some(now));
        let moved: Vec<_> = moved.collect();
        assert!(moved.len() <= TRANSITIONS_PER_BLOCK, "{}", moved.len());
        let froze = moved.iter().any(|(_, (phase, _))| *phase == Phase::Frozen);
        let overdue = world.state.jobs_past_deadline();
        assert!(!froze || overdue == 0, "{overdue} overdue at {height}");
    }
    assert_eq!(world.state.live_jobs(), []);
}

fn ended_at(world: &World, job: &JobId) -> Height {
    let head = world.state.jobs.get(job).unwrap();
    assert_eq!(head.phase, Phase::Expired);
    assert_eq!(head.amounts.refunded, head.amounts.locked);
    head.deadline
}

#[test]
fn a_refund_is_on_time_in_the_block_of_a_flood_of_deadlines() {
    let mut world = world();
    let began = world.height().next();
    // The draws of the first 256 lists are due two blocks on, the ends of their windows six later.
    let jobs = submit(&mut world, &[8; EXPIRIES_PER_BLOCK]);
    world.blocks(8);
    for job in &jobs {
        assert_eq!(ended_at(&world, job), began.plus(8));
    }
    assert!(world.state.jobs_past_deadline() > 0, "deadlines gave way");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// With no more expiries a block than it is sure of, each is on time; with more, the earlier expiry
    /// goes first, and the backlog falls by no less than that share a block.
    #[test]
    fn expiries_wait_for_earlier_expiries_alone(
        terms in prop::collection::vec(3_u64..12, 0..100),
    ) {
        let mut world = world();
        let began = world.height().next();
        let jobs = submit(&mut world, &terms);
        run_out(&mut world);
        for (job, term) in jobs.iter().zip(&terms) {
            let not_later = terms.iter().filter(|other| *other <= term).count();
            let blocks = u64::try_from(not_later.div_ceil(EXPIRIES_PER_BLOCK)).unwrap();
            let ended = ended_at(&world, job);
            prop_assert!(ended >= began.plus(*term), "{ended}");
            prop_assert!(ended < began.plus(term + blocks), "{ended}, due in {term}");
        }
    }
}
