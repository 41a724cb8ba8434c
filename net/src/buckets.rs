//! Keyed token buckets on an injected clock.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::Clock;
use crate::limits::Rate;

/// One token bucket per key, all of the same shape.
pub(crate) struct Buckets<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, DashMapStateStore<K>, Clock, NoOpMiddleware<Duration>>,
}

/// Whether a bucket had enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The tokens were there and are gone.
    Yes,
    /// Not enough tokens now.
    Empty,
    /// More than the bucket can ever hold.
    Oversize,
}

fn quota(rate: Rate) -> Quota {
    let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
    let period = rate.per.checked_div(rate.count).unwrap_or(rate.per);
    Quota::with_period(period.max(Duration::from_nanos(1)))
        .unwrap_or_else(|| Quota::per_second(burst))
        .allow_burst(burst)
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    pub(crate) fn new(rate: Rate, clock: &Clock) -> Self {
        let limiter = RateLimiter::new(quota(rate), DashMapStateStore::default(), clock.clone());
        Self { limiter }
    }

    /// Takes `tokens`, or nothing at all.
    pub(crate) fn take(&self, key: &K, tokens: u32) -> Taken {
        let Some(tokens) = NonZeroU32::new(tokens) else {
            return Taken::Yes;
        };
        match self.limiter.check_key_n(key, tokens) {
            Ok(Ok(())) => Taken::Yes,
            Ok(Err(_)) => Taken::Empty,
            Err(_) => Taken::Oversize,
        }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// The moment at which the bucket has one again.
    pub(crate) fn take_one(&self, key: &K) -> Result<(), Duration> {
        let taken = self.limiter.check_key(key);
        taken.map_err(|not_until| not_until.earliest_possible())
    }

    /// Forgets keys whose buckets are full again; otherwise invented keys would grow the map.
    pub(crate) fn prune(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.limiter.len()
    }
}

impl<K: Hash + Eq + Clone> std::fmt::Debug for Buckets<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_then_rate() {
        let clock = Clock::manual();
        let buckets = Buckets::new(Rate::per_second(10, 30), &clock);
        let burst = (0..100)
            .filter(|_| buckets.take(&1, 1) == Taken::Yes)
            .count();
        assert_eq!(burst, 30, "the burst and no more");
        clock.advance(Duration::from_secs(1));
        let second = (0..100)
            .filter(|_| buckets.take(&1, 1) == Taken::Yes)
            .count();
        assert_eq!(second, 10, "then the rate");
        assert_eq!(
            buckets.take(&2, 1),
            Taken::Yes,
            "another key has its own bucket"
        );
    }

    #[test]
    fn more_than_the_burst_is_oversize() {
        let buckets = Buckets::new(Rate::per_second(10, 30), &Clock::manual());
        assert_eq!(buckets.take(&1, 31), Taken::Oversize);
        assert_eq!(
            buckets.take(&1, 30),
            Taken::Yes,
            "an oversize take costs nothing"
        );
    }

    #[test]
    fn slow_rates_are_kept() {
        let clock = Clock::manual();
        let rate = Rate {
            count: 1,
            per: Duration::from_secs(10),
            burst: 2,
        };
        let buckets = Buckets::new(rate, &clock);
        assert_eq!(buckets.take(&1, 2), Taken::Yes);
        clock.advance(Duration::from_secs(9));
        assert_eq!(buckets.take(&1, 1), Taken::Empty);
        clock.advance(Duration::from_secs(1));
        assert_eq!(buckets.take(&1, 1), Taken::Yes);
    }

    #[test]
    fn byte_rates_do_not_round_away() {
        let clock = Clock::manual();
        let buckets = Buckets::new(Rate::per_second(1 << 20, 4 << 20), &clock);
        assert_eq!(buckets.take(&1, 4 << 20), Taken::Yes);
        clock.advance(Duration::from_secs(1));
        assert_eq!(
            buckets.take(&1, 1 << 20),
            Taken::Yes,
            "a full second's worth came back"
        );
        assert_eq!(buckets.take(&1, 1 << 20), Taken::Empty);
    }

    #[test]
    fn pruning_forgets_idle_keys() {
        let clock = Clock::manual();
        let buckets = Buckets::new(Rate::per_second(10, 10), &clock);
        for key in 0..1_000 {
            assert_eq!(buckets.take(&key, 1), Taken::Yes);
        }
        clock.advance(Duration::from_secs(5));
        buckets.prune();
        assert_eq!(buckets.len(), 0);
    }
}
