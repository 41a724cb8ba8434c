//! The committee draw: seats go to members with a chance proportional to their capped stake.
//!
//! ```text
//! seed = TH("palisade/committee/v1", chain ‖ source ‖ job ‖ attempt)
//! r    = first 16 bytes of TH("palisade/draw/v1", seed ‖ seat ‖ counter)
//! ```
//! Members stand in the order of their ids. Each seat takes `r mod T`, T being the weight left,
//! walks the list and removes the winner; an `r` beyond the last whole multiple of T is rejected and
//! the counter advances, so no member gains from the remainder.

use crate::digest::{ChainId, Digest, JobId, Tag, ValidatorId, th};

/// The seed of one committee of one job. In S1 the source is the block id of the draw height.
#[must_use]
pub fn committee_seed(chain: &ChainId, source: &Digest, job: &JobId, attempt: u32) -> Digest {
    let attempt = attempt.to_be_bytes();
    th(
        Tag::Committee,
        &[chain.as_ref(), source.as_ref(), job.as_ref(), &attempt],
    )
}

/// A member's weight: its stake, but no more than a committee of twice the size would let each hold.
#[must_use]
pub fn capped_weight(stake: u64, total: u64, k: u16) -> u64 {
    let seats = u64::from(k).saturating_mul(2);
    stake.min(total.checked_div(seats).unwrap_or(stake))
}

/// Draws up to `k` different members; fewer only if fewer have weight. `members` must be sorted by
/// id, each with its stake; winners come in seat order.
#[must_use]
pub fn draw(seed: &Digest, members: &[(ValidatorId, u64)], k: u16) -> Vec<ValidatorId> {
    let total = members
        .iter()
        .fold(0_u64, |sum, (_, stake)| sum.saturating_add(*stake));
    let mut left: Vec<(ValidatorId, u64)> = members
        .iter()
        .map(|(id, stake)| (*id, capped_weight(*stake, total, k)))
        .collect();
    let mut winners = Vec::new();
    for seat in 0..u32::from(k) {
        let weight = left
            .iter()
            .fold(0_u128, |sum, (_, w)| sum.saturating_add(u128::from(*w)));
        let Some(mut point) = uniform_below(seed, seat, weight) else {
            break;
        };
        let winner = left
            .iter()
            .position(|(_, w)| match point.checked_sub(u128::from(*w)) {
                Some(rest) => {
                    point = rest;
                    false
                }
                None => true,
            });
        match winner {
            Some(index) => winners.push(left.remove(index).0),
            None => break,
        }
    }
    winners
}

/// The number-th draw from a seed: a number below `bound`, each equally likely; `None` if there is no
/// such number. Committees and proposers are drawn by it.
#[must_use]
pub fn uniform_below(seed: &Digest, number: u32, bound: u128) -> Option<u128> {
    // 2^128 mod bound, computed without the power itself, which does not fit.
    let remainder = u128::MAX
        .checked_rem(bound)?
        .checked_add(1)?
        .checked_rem(bound)?;
    let last = u128::MAX.checked_sub(remainder)?;
    let mut counter: u32 = 0;
    loop {
        let digest = th(
            Tag::Draw,
            &[seed.as_ref(), &number.to_be_bytes(), &counter.to_be_bytes()],
        );
        let sample = u128::from_be_bytes(*digest.as_bytes().first_chunk::<16>()?);
        if sample <= last {
            return sample.checked_rem(bound);
        }
        counter = counter.checked_add(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::job::{job_id, spec_hash};
    use crate::keys::SecretKey;

    fn member(number: u64, stake: u64) -> (ValidatorId, u64) {
        let mut id = [0; 32];
        id[24..].copy_from_slice(&number.to_be_bytes());
        (ValidatorId(Digest(id)), stake)
    }

    fn numbers(winners: &[ValidatorId]) -> Vec<u8> {
        winners.iter().map(|id| id.as_bytes()[31]).collect()
    }

    #[test]
    fn draw_vector() {
        let chain = ChainId::of_genesis(b"palisade-local");
        let client = SecretKey::from_bytes(&[1; 32]).unwrap().public().address();
        let job = job_id(&chain, &client, 7, &spec_hash(b"spec"));
        let seed = committee_seed(&chain, &sha256(b"block"), &job, 0);
        let members: Vec<_> = (0..10).map(|n| member(n, 1000 * (n + 1))).collect();
        assert_eq!(numbers(&draw(&seed, &members, 5)), [1, 6, 3, 0, 8]);
    }

    #[test]
    fn nobody_sits_twice_and_small_lists_end() {
        let members: Vec<_> = (0..3).map(|n| member(n, 7)).collect();
        let mut winners = numbers(&draw(&sha256(b"seed"), &members, 9));
        winners.sort_unstable();
        assert_eq!(winners.len(), 3);
        winners.dedup();
        assert_eq!(winners.len(), 3);
        assert!(draw(&sha256(b"seed"), &[], 3).is_empty());
        assert!(draw(&sha256(b"seed"), &[member(1, 0)], 3).is_empty());
    }

    /// Goal: the first seat's frequency follows capped stake. Method: 20,000 seeds over four members,
    /// one of them above the cap; each count within four standard deviations.
    #[test]
    fn first_seat_frequency_follows_capped_stake() {
        let stakes = [100_u64, 200, 300, 3_400];
        let members: Vec<_> = (0..)
            .zip(stakes)
            .map(|(n, stake)| member(n, stake))
            .collect();
        let weights = stakes.map(|stake| capped_weight(stake, 4_000, 3));
        assert_eq!(weights, [100, 200, 300, 666]);
        let total = 100 + 200 + 300 + 666_u64;
        let mut counts = [0_u64; 4];
        let runs = 20_000_u32;
        for run in 0..runs {
            let seed = sha256(&run.to_be_bytes());
            counts[usize::from(numbers(&draw(&seed, &members, 3))[0])] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            let share = weight as f64 / total as f64;
            let expected = f64::from(runs) * share;
            let deviation = (f64::from(runs) * share * (1.0 - share)).sqrt();
            assert!(
                (*count as f64 - expected).abs() < 4.0 * deviation,
                "{counts:?} {weights:?}"
            );
        }
    }
}
