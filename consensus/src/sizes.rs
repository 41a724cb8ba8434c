//! How much a machine keeps, and how much it may: what an oracle compares.

use protocol::limits::VALIDATORS_MAX;

use crate::limits::{
    BODIES_PER_HEIGHT, CACHED_SIGNATURES, CORE_QUEUE_HEIGHTS, CORE_QUEUE_PER_HEIGHT,
    NAMES_PER_HEIGHT, PEERS_MAX, POOL_HEIGHTS, POOL_SLOTS_PER_VALIDATOR, SYNC_AHEAD,
};
use crate::machine::Machine;

/// A name, what is kept, what may be.
pub type Size = (&'static str, usize, usize);

/// Outputs that wait for the disk: what one height can sign while a sync takes its time.
const OUTPUTS_MAX: usize = 4_096;
/// Heights of the pool: those behind, this one and the next.
const POOL_HEIGHTS_MAX: u64 = POOL_HEIGHTS + 2;

/// What one machine keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sizes([Size; 10]);

impl Sizes {
    /// The first that is over its limit.
    #[must_use]
    pub fn first_over(&self) -> Option<Size> {
        self.0.iter().copied().find(|(_, size, limit)| size > limit)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Size] {
        &self.0
    }
}

impl Machine {
    /// How much is kept of everything that others can fill.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let host = &self.host;
        let heights = usize::try_from(POOL_HEIGHTS_MAX).unwrap_or(usize::MAX);
        let ahead = usize::try_from(SYNC_AHEAD).unwrap_or(usize::MAX);
        let (names, bodies) = host.bodies.most_of_a_height();
        let (peers, answers) = host.sync.sizes();
        Sizes([
            ("heights in the pool", host.pool.heights(), heights),
            (
                "messages of one validator at one height",
                host.pool.most_of_a_validator(host.height),
                POOL_SLOTS_PER_VALIDATOR,
            ),
            ("names of blocks of one height", names, NAMES_PER_HEIGHT),
            ("blocks of one height", bodies, BODIES_PER_HEIGHT),
            ("peers", peers, PEERS_MAX),
            ("answers that wait", answers, ahead),
            (
                "senders of the next height",
                host.pace.early.len(),
                VALIDATORS_MAX,
            ),
            ("outputs that wait", host.log.waiting(), OUTPUTS_MAX),
            (
                "signatures remembered",
                host.verifier.remembered(),
                CACHED_SIGNATURES,
            ),
            (
                "inputs queued in the core",
                self.core.input_queue.size(),
                CORE_QUEUE_HEIGHTS.saturating_mul(CORE_QUEUE_PER_HEIGHT),
            ),
        ])
    }
}
