//! Drawing a plan.

use super::{Crash, CrashKind, Links, Partition, Plan, Profile, Role, Setup, sets};
use crate::sim::rng::Rng;
use crate::sim::time::Micros;

const GOOD: Links = Links {
    delay_min: Micros::from_ms(2),
    delay_max: Micros::from_ms(25),
    loss: 0,
    twice: 10,
};

const HOSTILE: [Role; 9] = [
    Role::Silent,
    Role::DoubleVote,
    Role::DoubleProposal,
    Role::Withhold,
    Role::Flood,
    Role::ForgedSync,
    Role::InvalidBody,
    Role::StaleRound,
    Role::ForgedEvidence,
];

pub(super) fn plan(seed: u64, setup: Setup) -> Plan {
    let mut rng = Rng::new(seed).fork(0x706c_616e);
    let members = setup.nodes;
    let number = rng.draw();
    let profile = setup.profile.drawn(number);
    let mut plan = Plan {
        seed,
        setup,
        profile,
        members,
        roles: vec![Role::Honest; members],
        key_of: (0..members).collect(),
        power: vec![10; members],
        gst: Micros::from_ms(0),
        before: GOOD,
        after: GOOD,
        partitions: Vec::new(),
        crashes: Vec::new(),
        skew_ms: vec![0; members],
        sync_max: Micros::from_ms(4),
        sets_change: profile == Profile::Sets,
        large_blocks: if rng.chance(100) && profile != Profile::Calm {
            200
        } else {
            0
        },
    };
    if profile != Profile::Calm {
        disturb(&mut plan, profile, &mut rng);
    }
    plan.skew_ms.resize(plan.nodes(), 0);
    plan
}

fn disturb(plan: &mut Plan, profile: Profile, rng: &mut Rng) {
    plan.gst = Micros::from_ms(rng.between(1_500, 5_000));
    plan.sync_max = Micros::from_ms(rng.between(2, 60));
    plan.before = links(rng, profile);
    for skew in &mut plan.skew_ms {
        *skew = i64::try_from(rng.below(3_000)).unwrap_or(0) - 1_500;
    }
    if rng.chance(300) {
        let mixed: Vec<u64> = plan.power.iter().map(|_| rng.between(5, 15)).collect();
        plan.power = mixed;
    }
    let is_everything = profile == Profile::Everything;
    match profile {
        Profile::Byzantine | Profile::Everything => hostile(plan, rng),
        Profile::Disk => bad_disks(plan, rng),
        Profile::Twins => twins(plan, rng),
        _ => {}
    }
    if is_everything || profile == Profile::Partition || profile == Profile::Twins {
        partitions(plan, rng);
    }
    match profile {
        Profile::Crash | Profile::Everything | Profile::Sets => crashes(plan, rng),
        Profile::PowerCut => power_cuts(plan, rng),
        _ => {}
    }
    if is_everything && rng.chance(500) {
        plan.sets_change = true;
    }
    plan.crashes.sort_by_key(|crash| (crash.at, crash.node));
}

fn links(rng: &mut Rng, profile: Profile) -> Links {
    let is_bad = profile == Profile::Lossy || rng.chance(400);
    if !is_bad {
        return GOOD;
    }
    Links {
        delay_min: Micros::from_ms(2),
        delay_max: Micros::from_ms(rng.between(20, 600)),
        loss: rng.below(350),
        twice: rng.below(100),
    }
}

/// Gives as many members a role as may fail, in an order drawn by chance.
fn assign(plan: &mut Plan, rng: &mut Rng, mut role: impl FnMut(&mut Rng) -> Role) {
    let mut left: Vec<usize> = (0..plan.members).collect();
    while !left.is_empty() {
        let member = left.swap_remove(rng.index(left.len()));
        let drawn = role(rng);
        if let Some(role) = plan.roles.get_mut(member) {
            *role = drawn;
        }
        if !sets::is_safe(plan, &plan.power) {
            if let Some(role) = plan.roles.get_mut(member) {
                *role = Role::Honest;
            }
            return;
        }
    }
}

fn hostile(plan: &mut Plan, rng: &mut Rng) {
    // Half of the runs hold one sort only, so that it is not lost among others.
    let single = rng.chance(500).then(|| rng.index(HOSTILE.len()));
    assign(plan, rng, |rng| {
        let index = single.unwrap_or_else(|| rng.index(HOSTILE.len()));
        HOSTILE.get(index).copied().unwrap_or(Role::Silent)
    });
}

fn bad_disks(plan: &mut Plan, rng: &mut Rng) {
    assign(plan, rng, |_| Role::BadDisk);
    let bad: Vec<usize> = (0..plan.members)
        .filter(|node| plan.role(*node) == Role::BadDisk)
        .collect();
    let kinds = [
        CrashKind::FlipLog,
        CrashKind::FlipSlots,
        CrashKind::FlipBlocks,
        CrashKind::FlipOwn,
        CrashKind::LyingLog,
        CrashKind::LyingSlots,
        CrashKind::LyingBlocks,
        CrashKind::LyingOwn,
    ];
    // One file of one node: a damaged log and a damaged sign-state together are more than the
    // design bears.
    for node in bad {
        let kind = kinds.get(rng.index(kinds.len())).copied();
        let kind = kind.unwrap_or(CrashKind::Power);
        let crash = one_crash(plan, rng, node, kind);
        plan.crashes.push(crash);
        if kind.is_lie() {
            // The lie shows when the power goes again.
            let at = Micros(rng.between(crash.at.0, plan.gst.0));
            let kind = CrashKind::Power;
            plan.crashes.push(Crash { at, kind, ..crash });
        }
    }
    crashes(plan, rng);
}

/// The second halves are further nodes with the keys of the first.
fn twins(plan: &mut Plan, rng: &mut Rng) {
    assign(plan, rng, |_| Role::Twin);
    for member in 0..plan.members {
        if plan.role(member) == Role::Twin {
            plan.roles.push(Role::Twin);
            plan.key_of.push(member);
        }
    }
}

fn partitions(plan: &mut Plan, rng: &mut Rng) {
    let mut from = Micros::from_ms(rng.below(800));
    while from < plan.gst {
        let until = from.plus(Micros::from_ms(rng.between(200, 2_500)));
        let mut side: Vec<bool> = (0..plan.nodes()).map(|_| rng.chance(500)).collect();
        for second in plan.members..plan.nodes() {
            let first = side.get(plan.member_of(second)).copied().unwrap_or(false);
            if let Some(side) = side.get_mut(second) {
                *side = !first;
            }
        }
        let one_way = rng.chance(200);
        let until = until.min(plan.gst);
        plan.partitions.push(Partition {
            from,
            until,
            side,
            one_way,
        });
        from = until.plus(Micros::from_ms(rng.below(600)));
    }
}

fn one_crash(plan: &Plan, rng: &mut Rng, node: usize, kind: CrashKind) -> Crash {
    let at = Micros(rng.below(plan.gst.0));
    let rest = plan.gst.0.saturating_sub(at.0).max(1);
    let down = Micros(rng.below(rest.min(1_500_000)));
    Crash {
        at,
        node,
        down,
        kind,
    }
}

fn crashes(plan: &mut Plan, rng: &mut Rng) {
    let count = rng.between(1, 2 * u64::try_from(plan.members).unwrap_or(1));
    for _ in 0..count {
        let node = rng.index(plan.nodes());
        let kind = if rng.chance(250) {
            CrashKind::Process
        } else {
            CrashKind::Power
        };
        let crash = one_crash(plan, rng, node, kind);
        plan.crashes.push(crash);
    }
}

fn power_cuts(plan: &mut Plan, rng: &mut Rng) {
    for _ in 0..rng.between(1, 4) {
        let at = Micros(rng.below(plan.gst.0));
        for node in 0..plan.nodes() {
            let down = Micros::from_ms(rng.below(200));
            let kind = CrashKind::Power;
            plan.crashes.push(Crash {
                at,
                node,
                down,
                kind,
            });
        }
    }
}
