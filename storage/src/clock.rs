//! The only place of this crate that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use protocol::units::TimeMs;

/// A point from which durations are measured.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock.
pub(crate) fn wall() -> TimeMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
