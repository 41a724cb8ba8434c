//! Bounds of everything that arrives from outside or is kept, each with its reason and its relation
//! to its neighbours. A collection without a line here has no business in a message.

/// A signed transaction, as it travels and as it lies in a block.
pub const SIGNED_TX_BYTES_MAX: usize = 32 << 10;
/// A block body: the canonical list of signed transactions.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Evidence in one block: it stands ahead of everything else, so it must not crowd it out.
pub const BLOCK_EVIDENCE_BYTES_MAX: usize = 64 << 10;
/// Transactions in one block. The smallest transaction is larger than 128 bytes.
pub const BLOCK_TXS_MAX: usize = BLOCK_BYTES_MAX / 128;
const _: () = assert!(SIGNED_TX_BYTES_MAX * 4 <= BLOCK_BYTES_MAX);
const _: () = assert!(BLOCK_EVIDENCE_BYTES_MAX >= 2 * SIGNED_TX_BYTES_MAX);

/// The fixed part of an envelope, before its payload (network.md, Wire).
pub const ENVELOPE_HEADER_BYTES: usize = 57;
/// A vote as it travels: header, one flag, a block id, a signature.
pub const VOTE_ENVELOPE_BYTES: usize = ENVELOPE_HEADER_BYTES + 33 + 64;
/// A certificate as it travels may fill 36 KiB: room for one vote of everybody in the largest set, so
/// that no legal set can decide what its certificates cannot say.
pub const CERTIFICATE_BYTES_MAX: usize = (36 << 10) - ENVELOPE_HEADER_BYTES - 64;
/// One vote in a round certificate, where it is longest: kind, block id or none, key, signature.
pub const CERTIFICATE_VOTE_BYTES: usize = 4 + (1 + 32) + 33 + 64;
/// The rest of a certificate: its kind, height, round, rule or block id, and the count of its votes.
pub const CERTIFICATE_HEAD_BYTES: usize = 4 + 8 + 4 + 32 + 8;
const _: () = assert!(
    CERTIFICATE_HEAD_BYTES + VALIDATORS_MAX * CERTIFICATE_VOTE_BYTES <= CERTIFICATE_BYTES_MAX
);
/// The longest payload of an envelope: a transaction, or two messages that contradict each other.
pub const PAYLOAD_BYTES_MAX: usize = SIGNED_TX_BYTES_MAX;
const _: () = assert!(VOTE_ENVELOPE_BYTES == 154);
const _: () = assert!(PAYLOAD_BYTES_MAX + ENVELOPE_HEADER_BYTES + 64 <= 33 << 10);

/// The genesis file.
pub const GENESIS_BYTES_MAX: usize = 1 << 20;
/// A chain's name: it must fit one line everywhere it is shown.
pub const CHAIN_NAME_BYTES_MAX: usize = 64;
/// Money in existence, in upal. Three times a voting power, which is stake, must fit a `u64`.
pub const SUPPLY_MAX: u64 = 1 << 60;
const _: () = assert!(SUPPLY_MAX < u64::MAX / 3);
/// Validators of one height, whatever the parameter says. A set is one leaf of the state.
pub const VALIDATORS_MAX: usize = 256;
/// A value in the state tree: storage refuses longer ones.
pub const STATE_VALUE_BYTES_MAX: usize = 32 << 10;
const _: () = assert!(VALIDATORS_MAX * (32 + 33 + 8) + 16 <= STATE_VALUE_BYTES_MAX);

/// A validator's self-chosen name.
pub const MONIKER_BYTES_MAX: usize = 32;
/// A libp2p peer id in its text form; those of secp256k1 keys have 53 characters.
pub const PEER_ID_BYTES_MAX: usize = 64;

/// How far ahead a transaction may be valid. What is older was dropped by every pool.
pub const VALID_UNTIL_BLOCKS_MAX: u64 = 1_000;
/// How far ahead of its account a waiting nonce may be.
pub const NONCE_AHEAD_MAX: u64 = 16;
/// How long a job may wait for a committee.
pub const JOB_EXPIRY_BLOCKS_MAX: u64 = 1_000;
/// Jobs of one client that have not ended.
pub const CLIENT_JOBS_MAX: u32 = 100;
/// Seats a client may ask for. A whole set of jurors comes on top.
pub const SEATS_MAX: u16 = 64;
/// Seats of a job, jurors included: their list is part of one leaf.
pub const JOB_SEATS_MAX: usize = VALIDATORS_MAX;
const _: () = assert!(JOB_SEATS_MAX * (32 + 33) + 2_048 <= STATE_VALUE_BYTES_MAX);

/// Outputs a job may ask for.
pub const OUTPUTS_MAX: usize = 8;
/// The name of an output: its length is one byte in the result digest.
pub const OUTPUT_NAME_BYTES_MAX: usize = 255;
/// An output blob that travels inside its reveal.
pub const INLINE_OUTPUT_BYTES_MAX: usize = 4 << 10;
const _: () = assert!(INLINE_OUTPUT_BYTES_MAX * 2 <= SIGNED_TX_BYTES_MAX);
/// All outputs of a job together.
pub const OUTPUT_BYTES_MAX: u64 = 4 << 20;
/// All outputs of a job together, if the client does not say.
pub const OUTPUT_BYTES_DEFAULT: u64 = 1 << 20;
/// Processor time of a run; in S1 the only value a job may name.
pub const JOB_CPU_MS: u64 = 20_000;
/// Elapsed time of a run; in S1 the only value a job may name.
pub const JOB_WALL_MS: u64 = 30_000;
/// Memory of a run; in S1 the only value a job may name.
pub const JOB_MEM_BYTES: u64 = 512 << 20;
const _: () = assert!(JOB_CPU_MS <= JOB_WALL_MS);
const _: () = assert!(OUTPUT_BYTES_DEFAULT <= OUTPUT_BYTES_MAX);

/// One of the two messages of an evidence: an envelope without body.
pub const EVIDENCE_MESSAGE_BYTES_MAX: usize = 1 << 10;
const _: () = assert!(2 * EVIDENCE_MESSAGE_BYTES_MAX + 1_024 <= SIGNED_TX_BYTES_MAX);

/// Scheduled job transitions one block performs, deadlines and expiries before lists to freeze; the rest
/// waits for the next block.
pub const TRANSITIONS_PER_BLOCK: usize = 256;
/// Of these, expiries of jobs that wait have at least so many: however many deadlines are due, a job
/// that nobody could serve gives its client's money back after the jobs that expired before it, so
/// many a block. A deadline waits for those before it, three quarters of the whole a block.
pub const EXPIRIES_PER_BLOCK: usize = 64;
const _: () = assert!(EXPIRIES_PER_BLOCK * 4 <= TRANSITIONS_PER_BLOCK);
/// Unbonding entries of one validator that have not matured.
pub const UNBONDING_ENTRIES_MAX: u32 = 32;
/// How old the block named by an unjail heartbeat may be.
pub const HEARTBEAT_BLOCKS_MAX: u64 = 20;
/// Blocks between the inclusion of a job and its draw.
pub const DRAW_DELAY_BLOCKS: u64 = 2;
/// Blocks between two attempts to find enough eligible members for a waiting job.
pub const QUEUE_RETRY_BLOCKS: u64 = 10;
/// A change decided in block h rules from block h + this.
pub const SET_DELAY_BLOCKS: u64 = 2;
/// Absence jails nobody below two thirds of the stake that was active so many blocks ago.
pub const ABSENCE_REFERENCE_BLOCKS: u64 = 1_000;
/// Seats looked back on when counting misses.
pub const MISS_WINDOW_SEATS: u32 = 20;
/// Misses within that window that jail.
pub const MISSES_TO_JAIL: u32 = 3;
const _: () = assert!(MISSES_TO_JAIL <= MISS_WINDOW_SEATS && MISS_WINDOW_SEATS <= 32);

/// A header's time is later than its parent's by at least this.
pub const BLOCK_TIME_STEP_MS_MIN: u64 = 1;
/// A header's time is later than its parent's by at most this.
pub const BLOCK_TIME_STEP_MS_MAX: u64 = 60_000;
