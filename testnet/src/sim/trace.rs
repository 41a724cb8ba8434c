//! What happened: a digest always, a column log if asked for.

use std::collections::VecDeque;

use protocol::digest::Digest;

use super::rng::mix;
use super::time::Micros;

/// Lines that are kept; older ones are forgotten.
const LINES_MAX: usize = 4_000;

/// Whether lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracing {
    /// One per event.
    On,
    /// None; the digest is made all the same.
    Off,
}

/// Folds every event into one number.
#[derive(Debug)]
pub struct Trace {
    digest: u64,
    lines: Option<VecDeque<String>>,
}

impl Trace {
    /// Starts with the seed.
    #[must_use]
    pub fn new(seed: u64, tracing: Tracing) -> Self {
        Self {
            digest: mix(seed),
            lines: (tracing == Tracing::On).then(VecDeque::new),
        }
    }

    /// Folds a number in.
    pub const fn note(&mut self, value: u64) {
        self.digest = mix(self.digest.rotate_left(17) ^ value).wrapping_add(value);
    }

    /// Folds a hash in.
    pub fn note_digest(&mut self, digest: &Digest) {
        let head = digest.as_bytes().first_chunk::<8>();
        self.note(head.map_or(0, |head| u64::from_be_bytes(*head)));
    }

    /// The number so far.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// Writes a line, if lines are written: time, node, what.
    pub fn line(&mut self, now: Micros, node: usize, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() >= LINES_MAX {
                lines.pop_front();
            }
            let (ms, rest) = (now.0 / 1_000, now.0 % 1_000);
            lines.push_back(format!("{ms:>7}.{rest:03} n{node:<3} {}", what()));
        }
    }

    /// The lines that are kept.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}
