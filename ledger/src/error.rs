//! Why a transaction or a block is refused: one variant per reason, each with a stable machine code.

use protocol::digest::{Digest, JobId, ValidatorId};
use protocol::evidence::PairError;
use protocol::tx::TxDecodeError;
use protocol::units::{Amount, Height, TimeMs};
use thiserror::Error;

use crate::money::Breach;

macro_rules! tx_errors {
    ($($(#[$doc:meta])* $name:ident $({ $($field:ident: $type:ty),* })? = $code:literal, $text:literal;)*) => {
        /// Why a transaction is refused.
        #[derive(Debug, Clone, PartialEq, Eq, Error)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "fields are named after what they hold")]
        pub enum TxError {
            $(
                $(#[$doc])*
                #[error($text)]
                $name $({ $($field: $type),* })?,
            )*
            /// Two messages that prove nothing.
            #[error("{0}")]
            Pair(#[from] PairError),
            /// The ledger contradicts itself; the node must stop.
            #[error(transparent)]
            Breach(#[from] Breach),
        }

        impl TxError {
            /// Every code there is, for the registry.
            pub const CODES: &'static [&'static str] =
                &[$($code,)* "evidence.not_contradicting", "ledger.breach"];

            /// The stable machine code.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $code,)*
                    Self::Pair(_) => "evidence.not_contradicting",
                    Self::Breach(_) => "ledger.breach",
                }
            }
        }
    };
}

tx_errors! {
    /// A layout of another release.
    Version { found: u8 } = "tx.version", "transaction version {found} is not known";
    /// The account has moved on.
    StaleNonce { nonce: u64, expected: u64 } = "tx.stale_nonce", "nonce {nonce} was used; the next is {expected}";
    /// A gap before it.
    NonceGap { nonce: u64, expected: u64 } = "tx.nonce_gap", "nonce {nonce} is too far ahead of {expected}";
    /// Session keys have no nonces.
    SessionNonce { nonce: u64 } = "tx.session_nonce", "session keys carry nonce 0, not {nonce}";
    /// Session keys pay nothing.
    SessionFee { fee: Amount } = "tx.session_fee", "session keys carry fee 0, not {fee}";
    /// Its time is over.
    Expired { valid_until: Height, height: Height } = "tx.expired", "valid until {valid_until}, the next height is {height}";
    /// Valid for longer than anyone remembers.
    TooFarAhead { valid_until: Height, latest: Height } = "tx.valid_until", "valid until {valid_until}, at most {latest} is allowed";
    /// Less than its bytes and signatures cost.
    FeeTooLow { fee: Amount, needed: Amount } = "tx.fee_too_low", "fee {fee}, at least {needed} is needed";
    /// The account cannot pay.
    InsufficientBalance { balance: Amount, needed: Amount } = "tx.insufficient_balance", "balance {balance}, {needed} is needed";
    /// Not for this kind of key.
    WrongKey { kind: &'static str } = "tx.wrong_key", "{kind} is not signed by this kind of key";
    /// No validator holds this session key.
    UnknownSession = "tx.unknown_session", "no validator holds this session key";
    /// Nothing would move.
    ZeroAmount = "tx.zero_amount", "the amount must not be zero";
    /// A sum leaves the range of amounts.
    Overflow = "tx.overflow", "a sum exceeds the range of amounts";

    /// The sender already runs a validator.
    AlreadyOperator { validator: ValidatorId } = "staking.already_operator", "this account operates {validator}";
    /// The sender runs no validator.
    NotOperator = "staking.not_operator", "this account operates no validator";
    /// A key is or was somebody's.
    KeyTaken = "staking.key_taken", "a key is registered already";
    /// A possession proof does not verify.
    BadPossession = "staking.bad_possession", "a possession proof does not verify";
    /// Not a moniker.
    BadMoniker = "staking.bad_moniker", "the moniker must have 1 to 32 bytes and no control characters";
    /// Not a peer id.
    BadPeerId = "staking.bad_peer_id", "the peer id is not base58 text";
    /// Too little stake.
    BelowMinBond { bonded: Amount, needed: Amount } = "staking.below_min_bond", "bonded {bonded}, at least {needed} is needed";
    /// More than is bonded.
    NotBonded { bonded: Amount, asked: Amount } = "staking.not_bonded", "bonded {bonded}, {asked} asked for";
    /// Too small a change.
    BondChangeTooSmall { amount: Amount, least: Amount } = "staking.change_too_small", "a change of {amount}, at least {least} is needed, or all of it";
    /// Locked for seats.
    SeatBondsLocked { bonded: Amount, locked: Amount } = "staking.seat_bonds_locked", "seats lock {locked}; twice that must stay bonded, {bonded} would";
    /// Too many entries on their way.
    TooManyUnbonding { entries: u32 } = "staking.too_many_unbonding", "{entries} amounts are unbonding already";
    /// Not in jail.
    NotJailed = "staking.not_jailed", "the validator is not jailed";
    /// In jail for longer.
    Jailed { until: Height } = "staking.jailed", "jailed until {until}";
    /// Out for ever.
    Tombstoned = "staking.tombstoned", "the validator double-signed and is out for ever";
    /// Left or was made to leave.
    Gone = "staking.gone", "the validator has left";
    /// A heartbeat over a block that is unknown or too old.
    StaleHeartbeat { height: Height } = "staking.stale_heartbeat", "block {height} is not one of the last 20";
    /// A heartbeat does not verify.
    BadHeartbeat = "staking.bad_heartbeat", "a heartbeat does not verify";

    /// An engine this chain does not run.
    UnknownEngine { engine: u16 } = "job.unknown_engine", "engine {engine} is not available on this chain";
    /// Terms that this stage does not allow.
    BadParams { what: &'static str } = "job.bad_params", "{what}";
    /// Too few or too many seats.
    BadSeats { k: u16, least: u16 } = "job.bad_k", "{k} seats, {least} to 64 allowed";
    /// More work than a job may ask for.
    FuelLimit { fuel: u64, most: u64 } = "job.fuel_limit", "fuel limit {fuel}, 1 to {most} allowed";
    /// Less than the work may cost.
    PriceTooLow { price: Amount, needed: Amount } = "job.price_too_low", "max price {price}, at least {needed} is needed";
    /// Too soon or too late.
    BadExpiry { expiry: Height, first: Height, last: Height } = "job.bad_expiry", "expiry {expiry}, {first} to {last} allowed";
    /// Too many at once.
    TooManyJobs { live: u32 } = "job.too_many", "{live} jobs of this client have not ended";
    /// Contradicted by the whole set.
    CohortFrozen { until: Height } = "job.cohort_frozen", "this model and engine are frozen until {until}";
    /// The sponsor did not sign this job.
    BadSponsor = "job.bad_sponsor", "the sponsor's signature does not verify";
    /// No such job.
    UnknownJob { job: JobId } = "job.unknown", "no live job {job}";
    /// Somebody else's.
    NotYourJob = "job.not_yours", "only the client may cancel a job";
    /// It has a committee.
    NotQueued = "job.not_queued", "the job is not waiting for a committee any more";

    /// No such seat.
    UnknownSeat = "seat.unknown", "the job has no such seat";
    /// Somebody else's.
    NotYourSeat = "seat.not_yours", "the seat belongs to another validator";
    /// The job is elsewhere.
    WrongPhase { phase: &'static str } = "seat.wrong_phase", "the job is in phase {phase}";
    /// Said already.
    AlreadySpoken = "seat.already_spoken", "the seat has committed or given up already";
    /// Nothing to open.
    NotCommitted = "seat.not_committed", "the seat has not committed";
    /// Opened already.
    AlreadyRevealed = "seat.already_revealed", "the seat has revealed already";
    /// Not what was committed.
    CommitMismatch { found: Digest, committed: Digest } = "seat.commit_mismatch", "opens to {found}, committed was {committed}";
    /// Outcome, root and output do not belong together.
    BadOutput { what: &'static str } = "seat.bad_output", "{what}";

    /// Punished already.
    EvidenceKnown = "evidence.known", "this offence was punished already";
    /// Too old.
    EvidenceExpired = "evidence.expired", "the offence is too old";
    /// Of a height that is not there yet.
    EvidenceFuture { height: Height } = "evidence.future", "height {height} has not come";
    /// Not of a validator.
    NotMember = "evidence.not_member", "the signer was no validator at that height";
    /// The validator is out already.
    OffenderGone = "evidence.offender_out", "the validator was tombstoned already";
}

/// Why a block is refused. Peers vote nil on it; nobody is punished.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlockInvalid {
    /// Not the next height.
    #[error("height {found}, expected {expected}")]
    Height {
        /// In the header.
        found: Height,
        /// After this state.
        expected: Height,
    },
    /// Not on this chain's last block.
    #[error("parent {found}, expected {expected}")]
    Parent {
        /// In the header.
        found: Digest,
        /// The last block.
        expected: Digest,
    },
    /// A step outside 1 ms to 60 s.
    #[error("time {found} does not follow {parent}")]
    Time {
        /// In the header.
        found: TimeMs,
        /// Of the last block.
        parent: TimeMs,
    },
    /// Built on another state.
    #[error("state root {found}, expected {expected}")]
    StateRoot {
        /// In the header.
        found: Digest,
        /// Of this state.
        expected: Digest,
    },
    /// Names another set for the next height.
    #[error("next set {found}, expected {expected}")]
    NextSet {
        /// In the header.
        found: Digest,
        /// The schedule's.
        expected: Digest,
    },
    /// Built by a stranger.
    #[error("builder {0} is not in the set of this height")]
    Builder(ValidatorId),
    /// Bytes that are no transaction.
    #[error("transaction {index}: {error}")]
    Decode {
        /// Its place.
        index: usize,
        /// What is wrong.
        error: TxDecodeError,
    },
    /// A signature that does not verify.
    #[error("transaction {index}: signature does not verify")]
    Signature {
        /// Its place.
        index: usize,
    },
    /// A transaction that may not be in a block.
    #[error("transaction {index}: {error}")]
    Tx {
        /// Its place.
        index: usize,
        /// Why.
        error: TxError,
    },
    /// Evidence behind other transactions, or too much of it.
    #[error("transaction {index}: evidence comes first and fills at most 64 KiB")]
    Evidence {
        /// Its place.
        index: usize,
    },
    /// More transactions than a block can hold.
    #[error("{0} transactions are too many")]
    TooMany(usize),
    /// Not the block's fault: the ledger contradicts itself and the node must stop.
    #[error(transparent)]
    Breach(#[from] Breach),
}
