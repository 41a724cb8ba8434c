//! What the state knows of the chain it belongs to: its head, and the blocks that rules look back on.

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::BlockId;
use protocol::limits::ABSENCE_REFERENCE_BLOCKS;
use protocol::units::{Amount, Height, TimeMs};

use crate::layout::Only;
use crate::state::State;
use crate::table::Record;

/// The last block applied.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ChainHead {
    /// Layout version.
    pub version: u8,
    /// Its height; 0 before the first block.
    pub height: Height,
    /// Its header time.
    pub time_ms: TimeMs,
    /// Its id; the chain id before the first block.
    pub block: BlockId,
    /// Number of the next unbonding entry.
    pub next_unbonding: u64,
}

impl Canonical for ChainHead {
    const BYTES_MAX: usize = 64;
}

impl Record for ChainHead {
    type Key = Only;
    const MODULE: u8 = 0;
    const KIND: u8 = 0;
}

/// A block that heartbeats, evidence or the absence rule may still refer to.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct BlockRecord {
    /// Layout version.
    pub version: u8,
    /// Its id.
    pub block: BlockId,
    /// Its header time.
    pub time_ms: TimeMs,
    /// Stake of all active, unjailed validators at its end.
    pub active_stake: Amount,
}

impl Canonical for BlockRecord {
    const BYTES_MAX: usize = 64;
}

impl Record for BlockRecord {
    type Key = Height;
    const MODULE: u8 = 0;
    const KIND: u8 = 1;
}

impl State {
    /// Whether evidence of this height is too old: past both limits, counted at `now`.
    #[must_use]
    pub fn evidence_expired(&self, at: Height, now: Height, time: TimeMs) -> bool {
        let params = self.params();
        if now.0.saturating_sub(at.0) <= params.evidence_age_blocks {
            return false;
        }
        match self.blocks.get(&at) {
            Some(block) => time.0.saturating_sub(block.time_ms.0) > params.evidence_age_ms.0,
            None => true,
        }
    }

    /// The lowest height of which evidence can still count, now or in any later block.
    pub fn evidence_floor(&self) -> Height {
        let head = self.head();
        let is_expired = |at| self.evidence_expired(Height(at), head.height, head.time_ms);
        let mut low = self.blocks.first().map_or(Height::ZERO, |(at, _)| *at).0;
        let mut high = head.height.0;
        // Later is never older: half of the heights are ruled out at a time.
        while low < high {
            let middle = low.saturating_add(high.saturating_sub(low) >> 1);
            if is_expired(middle) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Height(low)
    }

    /// Drops blocks that no rule looks back on any more, and the powers of their heights.
    pub(crate) fn prune_blocks(&mut self, now: Height, time: TimeMs, most: usize) {
        for _ in 0..most {
            let Some((oldest, _)) = self.blocks.first() else {
                return;
            };
            let oldest = *oldest;
            let referred = now.0.saturating_sub(oldest.0) <= ABSENCE_REFERENCE_BLOCKS;
            if referred || !self.evidence_expired(oldest, now, time) {
                return;
            }
            self.blocks.remove(&oldest);
            self.prune_powers(oldest.next());
        }
    }
}
