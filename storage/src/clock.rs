//! The only place of this crate that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use protocol::units::TimeMs;

/// A point from which durations are measured.
#[expect(
    clippy::disallowed_methods,
    reason = "this file is where the crate reads clocks"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this file is where the crate reads clocks"
)]
pub(crate) fn wall() -> TimeMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
