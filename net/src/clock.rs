//! The one place of this crate that reads a clock.
//!
//! Buckets, ladder and dial policy take their time from a [`Clock`], so that a test can move it by
//! hand. Monotonic time rates things; wall-clock time is used for one purpose only, to let a ban
//! outlive the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A source of time, cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System { start: Instant },
    Manual { nanos: AtomicU64 },
}

/// A manual clock starts at this wall-clock time (2024-01-01), so that expiries look real.
const MANUAL_EPOCH_MS: u64 = 1_704_067_200_000;

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "this file is where the crate reads the clock"
    )]
    pub fn system() -> Self {
        Self(Arc::new(Source::System {
            start: Instant::now(),
        }))
    }

    /// A clock that stands still until [`Self::advance`].
    #[must_use]
    pub fn manual() -> Self {
        Self(Arc::new(Source::Manual {
            nanos: AtomicU64::new(0),
        }))
    }

    /// Moves a manual clock forward; a system clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { nanos } = &*self.0 {
            nanos.fetch_add(
                u64::try_from(by.as_nanos()).unwrap_or(u64::MAX),
                Ordering::SeqCst,
            );
        }
    }

    /// Time since this clock was made; never goes back.
    #[must_use]
    pub fn now(&self) -> Duration {
        match &*self.0 {
            Source::System { start } => start.elapsed(),
            Source::Manual { nanos } => Duration::from_nanos(nanos.load(Ordering::SeqCst)),
        }
    }

    /// Milliseconds since 1970, for expiries that are written to disk.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "this file is where the crate reads the clock"
    )]
    pub fn unix_ms(&self) -> u64 {
        match &*self.0 {
            Source::System { .. } => SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| {
                    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
                }),
            Source::Manual { .. } => MANUAL_EPOCH_MS
                .saturating_add(u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// `governor` measures with the same clock.
impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Self::now(self)
    }
}
