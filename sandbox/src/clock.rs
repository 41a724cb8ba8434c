//! The one place that asks what time it is.

use std::time::Instant;

/// Monotonic time, for deadlines and durations.
#[expect(clippy::disallowed_methods, reason = "the crate's only clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
