//! What a seed draws for this layer: parameters, hosts, hostile conduct, and what clients will do.

use protocol::params::Params;
use protocol::units::{Fuel, TimeMs};

use super::conduct::Conduct;
use crate::sim::rng::Rng;

/// Clients with an account.
pub(super) const CLIENTS: usize = 3;
/// Accounts that only ask for jobs in bulk.
pub(super) const CROWD: usize = 8;
/// Virtual time between two looks at what operators have to do.
pub(super) const OPERATORS_MS: u64 = 1_000;

/// Short windows, so that stake matures and records expire within a run. All relations between
/// parameters hold.
pub(super) fn params() -> Params {
    let local = Params::local();
    let mut params = Params {
        activation_blocks: 2,
        evidence_age_blocks: 14,
        evidence_age_ms: TimeMs(7_000),
        unbonding_ms: TimeMs(8_000),
        job_fuel_max: Fuel(500_000_000),
        reveal_blocks: 5,
        jail_wrong_blocks: 8,
        jail_absence_blocks: 6,
        jail_doubling_blocks: 60,
        job_record_blocks: 16,
        cohort_freeze_blocks: 10,
        ..local
    };
    params.unbonding_blocks = params
        .evidence_age_blocks
        .saturating_add(params.longest_job_blocks());
    params
}

/// What a job asks for, as far as hosts and rules treat it differently.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum JobKind {
    /// A small answer.
    Plain,
    /// An answer that does not fit a reveal.
    Long,
    /// The model fails on this input, the same way everywhere.
    Trap,
    /// No host can finish it.
    Poison,
    /// Nobody has the model.
    NoInput,
    /// More seats than there are validators: it waits until it expires.
    Unfillable,
    /// The price does not cover the seats: refused.
    Underpaid,
    /// Somebody else locks the price.
    Sponsored,
    /// Taken back soon after.
    Regretted,
}

/// Every kind, the usual ones more often.
const KINDS: [JobKind; 14] = [
    JobKind::Plain,
    JobKind::Plain,
    JobKind::Plain,
    JobKind::Plain,
    JobKind::Plain,
    JobKind::Long,
    JobKind::Trap,
    JobKind::Trap,
    JobKind::Poison,
    JobKind::NoInput,
    JobKind::Unfillable,
    JobKind::Underpaid,
    JobKind::Sponsored,
    JobKind::Regretted,
];

/// One thing somebody outside the nodes does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// A client moves money, now and then more than it has.
    Transfer { client: usize },
    /// A client asks for a job.
    Job { client: usize, kind: JobKind },
    /// A client sends more than the pool takes, with nonces used twice.
    Spam { client: usize },
    /// Many accounts ask for jobs that all expire at one height.
    Crowd { jobs: usize },
    /// An operator adds to its stake.
    Bond { node: usize, pal: u64 },
    /// An operator takes from its stake.
    Unbond { node: usize, permille: u64 },
    /// Somebody reports two votes that nobody signed.
    ForgedEvidence { node: usize },
    /// A hostile key signs two votes that only one reporter sees, who waits.
    KeptEvidence { node: usize, wait_blocks: u64 },
}

/// How one node's host behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HostPlan {
    pub(super) conduct: Conduct,
    pub(super) slots: usize,
    /// Of a thousand runs so many take longer than any window.
    pub(super) slow_permille: u64,
    /// Of a thousand runs so many end for a reason of the host.
    pub(super) decline_permille: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) params: Params,
    /// By node.
    pub(super) hosts: Vec<HostPlan>,
    /// With the virtual time of each, in milliseconds.
    pub(super) acts: Vec<(u64, Act)>,
    /// A run goes on to this height at least: now and then until stake has matured.
    pub(super) heights: u64,
}

impl Scene {
    /// `hostile` says which nodes may misbehave; they hold less than a third of the stake.
    pub(super) fn draw(hostile: &[bool], span_ms: u64, rng: &mut Rng) -> Self {
        let hosts = hostile.iter().map(|bad| HostPlan::draw(*bad, rng));
        let hosts: Vec<HostPlan> = hosts.collect();
        let mut acts = Vec::new();
        let mut add = |rng: &mut Rng, act| acts.push((rng.between(100, span_ms), act));
        let node = |rng: &mut Rng| rng.index(hostile.len());
        let client = |rng: &mut Rng| rng.index(CLIENTS);
        for _ in 0..rng.between(2, 6) {
            let kind = KINDS[rng.index(KINDS.len())];
            let act = Act::Job {
                client: client(rng),
                kind,
            };
            add(rng, act);
        }
        for _ in 0..rng.between(0, 3) {
            let act = Act::Transfer {
                client: client(rng),
            };
            add(rng, act);
        }
        for _ in 0..rng.between(0, 3) {
            let act = Act::Bond {
                node: node(rng),
                pal: rng.between(1, 40),
            };
            add(rng, act);
        }
        for _ in 0..rng.between(0, 2) {
            let act = Act::Unbond {
                node: node(rng),
                permille: rng.between(1, 60),
            };
            add(rng, act);
        }
        misdeeds(hostile, rng, |rng, act| {
            acts.push((rng.between(100, span_ms), act));
        });
        acts.sort_by_key(|(at, _)| *at);
        let heights = if rng.chance(150) { 60 } else { 0 };
        Self {
            params: params(),
            hosts,
            acts,
            heights,
        }
    }
}

/// What strains or deceives: spam, crowds, forged and late evidence, the flight of guilty stake.
fn misdeeds(hostile: &[bool], rng: &mut Rng, mut add: impl FnMut(&mut Rng, Act)) {
    if rng.chance(60) {
        let act = Act::Spam {
            client: rng.index(CLIENTS),
        };
        add(rng, act);
    }
    if rng.chance(15) {
        let jobs = 100 + rng.index(220);
        add(rng, Act::Crowd { jobs });
    }
    if rng.chance(150) {
        let act = Act::ForgedEvidence {
            node: rng.index(hostile.len()),
        };
        add(rng, act);
    }
    for (node, _) in hostile.iter().enumerate().filter(|(_, bad)| **bad) {
        if rng.chance(300) {
            let wait_blocks = rng.between(0, 24);
            add(rng, Act::KeptEvidence { node, wait_blocks });
        }
        if rng.chance(200) {
            let permille = rng.between(500, 1_000);
            add(rng, Act::Unbond { node, permille });
        }
    }
}

impl HostPlan {
    fn draw(hostile: bool, rng: &mut Rng) -> Self {
        let conduct = if hostile {
            Conduct::draw(rng)
        } else {
            Conduct::Honest
        };
        Self {
            conduct,
            slots: 1 + rng.index(3),
            slow_permille: if rng.chance(100) { 150 } else { 0 },
            decline_permille: if rng.chance(100) { 150 } else { 10 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_windows_make_a_chain() {
        assert_eq!(params().check(), Ok(()));
    }
}
