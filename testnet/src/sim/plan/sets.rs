//! Validator sets that change by chance, a function of seed and height.

use protocol::digest::{ValidatorId, sha256};
use protocol::units::Height;
use protocol::validators::{ValidatorEntry, ValidatorSet};

use super::Plan;
use crate::sim::keys::{Keyring, Purpose};
use crate::sim::rng::Rng;

/// The id of a member, where a layer has no ledger to say so.
pub(crate) fn id_of(member: usize) -> ValidatorId {
    ValidatorId(sha256(&u64::try_from(member).unwrap_or(0).to_be_bytes()))
}

pub(super) fn set_at(plan: &Plan, keys: &Keyring, height: Height) -> ValidatorSet {
    let power = if plan.sets_change && height.0 > 2 {
        changed(plan, height)
    } else {
        plan.power.clone()
    };
    let member = |(member, power): (usize, &u64)| {
        (*power > 0).then(|| ValidatorEntry {
            id: id_of(member),
            consensus_key: keys.public(Purpose::Consensus, member),
            power: *power,
        })
    };
    ValidatorSet::new(power.iter().enumerate().filter_map(member).collect())
}

/// Other powers, and somebody left out; never so that those who may fail hold a third.
fn changed(plan: &Plan, height: Height) -> Vec<u64> {
    let mut rng = Rng::new(plan.seed).fork(height.0);
    for _ in 0..8 {
        let mut power: Vec<u64> = plan.power.iter().map(|_| rng.between(5, 15)).collect();
        if plan.members > 3 {
            let out = rng.index(plan.members);
            if let Some(power) = power.get_mut(out) {
                *power = 0;
            }
        }
        if is_safe(plan, &power) {
            return power;
        }
    }
    plan.power.clone()
}

/// Whether those who may fail hold less than a third.
pub(super) fn is_safe(plan: &Plan, power: &[u64]) -> bool {
    let total: u64 = power.iter().sum();
    let failing = power.iter().enumerate();
    let failing: u64 = failing
        .filter(|(member, _)| plan.role(*member) != super::Role::Honest)
        .map(|(_, power)| power)
        .sum();
    failing * 3 < total
}
