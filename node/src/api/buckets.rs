//! How fast one address may ask (api.md, rate classes).

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Local chains are used by one developer's many programs at once.
const LOCAL_FACTOR: u32 = 8;
/// More addresses than this are swept of the idle ones.
const KEYS_MAX: usize = 100_000;
/// Streams of events in all.
pub(crate) const SSE_MAX: usize = 64;

/// How costly a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// One look.
    Read,
    /// Many rows, or work.
    List,
    /// A transaction.
    Tx,
    /// A chunk.
    Blob,
    /// A stream.
    Sse,
    /// Health and metrics: cheap, and asked for by machines.
    Free,
}

/// The limits of one node.
#[derive(Debug)]
pub(crate) struct Buckets {
    read: DefaultKeyedRateLimiter<IpAddr>,
    list: DefaultKeyedRateLimiter<IpAddr>,
    tx: DefaultKeyedRateLimiter<IpAddr>,
    blob: DefaultKeyedRateLimiter<IpAddr>,
    sse: DefaultKeyedRateLimiter<IpAddr>,
    streams: AtomicUsize,
}

fn limiter(per_second: u32, burst: u32, factor: u32) -> DefaultKeyedRateLimiter<IpAddr> {
    let times = |number: u32| NonZeroU32::new(number * factor).unwrap_or(NonZeroU32::MIN);
    RateLimiter::keyed(Quota::per_second(times(per_second)).allow_burst(times(burst)))
}

impl Buckets {
    /// Limits for a chain; `tx_factor` is the configuration's.
    pub(crate) fn new(local: bool, tx_factor: u32) -> Self {
        let factor = if local { LOCAL_FACTOR } else { 1 };
        Self {
            read: limiter(20, 60, factor),
            list: limiter(5, 10, factor),
            tx: limiter(10, 20, factor.saturating_mul(tx_factor)),
            blob: limiter(8, 32, factor),
            sse: limiter(1, 4, factor),
            streams: AtomicUsize::new(0),
        }
    }

    /// Takes one token, or says after how many seconds there will be one.
    pub(crate) fn take(&self, class: Class, peer: IpAddr) -> Result<(), u64> {
        let bucket = match class {
            Class::Free => return Ok(()),
            Class::Read => &self.read,
            Class::List => &self.list,
            Class::Tx => &self.tx,
            Class::Blob => &self.blob,
            Class::Sse => &self.sse,
        };
        if bucket.len() > KEYS_MAX {
            bucket.retain_recent();
            bucket.shrink_to_fit();
        }
        bucket.check_key(&network_of(peer)).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            wait.saturating_add(Duration::from_millis(999))
                .as_secs()
                .max(1)
        })
    }

    /// Opens a stream, if there is room for one more.
    pub(crate) fn open_stream(&self) -> bool {
        let room = |open: usize| (open < SSE_MAX).then_some(open + 1);
        self.streams
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, room)
            .is_ok()
    }

    /// Closes one.
    pub(crate) fn close_stream(&self) {
        self.streams.fetch_sub(1, Ordering::SeqCst);
    }

    /// Streams open now.
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }
}

/// An IPv6 customer has a /64 of addresses, and counts once.
fn network_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let bits = address.to_bits() >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_waits() {
        let buckets = Buckets::new(false, 1);
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let passed = (0..50)
            .filter(|_| buckets.take(Class::List, one).is_ok())
            .count();
        assert!((10..=15).contains(&passed), "{passed}");
        assert!(
            buckets
                .take(Class::List, one)
                .is_err_and(|seconds| seconds >= 1)
        );
        assert!(buckets.take(Class::List, other).is_ok());
        assert!(buckets.take(Class::Free, one).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_once() {
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let b: IpAddr = "2001:db8::ffff".parse().unwrap();
        let c: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        assert_eq!(network_of(a), network_of(b));
        assert_ne!(network_of(a), network_of(c));
        assert_eq!(
            network_of("::ffff:192.0.2.1".parse().unwrap()),
            "192.0.2.1".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn streams_are_bounded() {
        let buckets = Buckets::new(true, 1);
        assert_eq!((0..100).filter(|_| buckets.open_stream()).count(), SSE_MAX);
        buckets.close_stream();
        assert!(buckets.open_stream());
    }
}
