//! Bounds of what the machine keeps, each with its reason.

use protocol::limits::{ENVELOPE_HEADER_BYTES, VALIDATORS_MAX};

/// Rounds ahead of the current one that are of use; the core's own lookahead.
pub(crate) const ROUNDS_AHEAD_MAX: u32 = 10;
/// Heights back for which contradictions are still looked for.
pub(crate) const POOL_HEIGHTS: u64 = 128;
/// Messages kept of one validator at one height.
pub(crate) const POOL_SLOTS_PER_VALIDATOR: usize = 32;
/// Messages of the next height that one validator may queue.
pub(crate) const EARLY_PER_VALIDATOR: u32 = 8;
/// Heights that the core may queue ahead.
pub(crate) const CORE_QUEUE_HEIGHTS: usize = 2;
/// Inputs that the core may queue per height: no member can fill it (a const assertion below).
pub(crate) const CORE_QUEUE_PER_HEIGHT: usize = 8 * VALIDATORS_MAX + 16;
/// Blocks kept of one height.
pub(crate) const BODIES_PER_HEIGHT: usize = 8;
/// Names of blocks kept of one height, with or without the block.
pub(crate) const NAMES_PER_HEIGHT: usize = 64;
/// Signatures remembered as good.
pub(crate) const CACHED_SIGNATURES: usize = 8_192;
/// Decided blocks that wait for their turn.
pub(crate) const SYNC_AHEAD: u64 = 64;
/// Peers that are remembered, each by one number.
pub(crate) const PEERS_MAX: usize = 256;
/// Outputs of one sort that an honest clock may be early before the vote waits, in milliseconds.
pub(crate) const EARLY_MS_MAX: u64 = 1_000;
/// How long one peer is asked for a block before the next is, in milliseconds.
pub(crate) const BODY_RETRY_MS: u64 = 300;
/// Silence of the whole chain after which a node that waits for its twin signs, in milliseconds.
pub(crate) const VIGIL_QUIET_MS: u64 = 60_000;
/// How long a peer may take to answer with a decided block, in milliseconds.
pub(crate) const SYNC_ANSWER_MS: u64 = 2_000;
/// A proposal with its block must fit the consensus topic.
pub(crate) const INLINE_BLOCK_BYTES_MAX: usize = (48 << 10) - ENVELOPE_HEADER_BYTES - 37 - 64;
const _: () = assert!(CORE_QUEUE_PER_HEIGHT >= 8 * VALIDATORS_MAX);
