//! The tests' one look at the clock.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "the tests' only clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
