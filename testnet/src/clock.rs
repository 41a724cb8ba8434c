//! The only place of this crate that looks at the clock.

use std::time::{Duration, Instant};

use protocol::units::TimeMs;

/// A moment by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// Whether it is past.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.left().is_zero()
    }

    /// What is left; zero when past.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// A running stopwatch.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Seconds since the start, for reports.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}

/// The wall clock, as nodes read it.
#[must_use]
pub fn wall() -> TimeMs {
    actors::clock::Wall::default().now()
}

/// Asks again every quarter of a second until there is an answer or the time is over.
///
/// This is how everything outside a node's process is waited for: by its condition.
pub fn poll<T>(timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Deadline::after(timeout);
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if deadline.passed() {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(100).min(deadline.left()));
    }
}
