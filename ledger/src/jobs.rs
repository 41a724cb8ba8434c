//! Jobs: from the queue to exactly one end, by heights alone.
//!
//! ```text
//! Queued --draw--> Commit --≥ q commits--> Reveal --unanimous, ≥ q--> Settled
//!   |                 |                      |`--conflict--> Commit, Reveal of the whole set
//!   |                 |                      |                  `--> Resolved | Ambiguous | Failed
//!   `> Cancelled      `> Expired, Failed     `> Failed
//!      Expired
//! ```
//! Every live job stands in a queue, keyed by (deadline, job). The end of a block performs what is
//! due, at most 256 transitions; nobody has to claim anything. Jobs that wait for a committee stand
//! apart, and get what deadlines leave of the 256; but a quarter is for those that have expired, in
//! the order of their expiry, so that nobody who pays for deadlines holds back another's refund.

mod committee;
mod finish;
mod phases;
mod submit;
mod tally;

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::{Address, Digest, JobId, TxId, ValidatorId};
use protocol::events::{FailCode, Level};
use protocol::job::{JobSpec, Outcome};
use protocol::keys::PublicKey;
use protocol::limits::{JOB_SEATS_MAX, VALIDATORS_MAX};
use protocol::units::{Amount, Fuel, Height};

pub(crate) use phases::{end_block, hurry};
pub(crate) use submit::{cancel, submit};

use crate::escrow::Amounts;
use crate::layout::CohortKey;
use crate::table::Record;

/// Where a job stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Phase {
    /// Waits for enough eligible members.
    Queued,
    /// Its list is frozen; the draw comes at the deadline.
    Frozen,
    /// Seats of this level commit.
    Commit(Level),
    /// Seats of this level reveal.
    Reveal(Level),
    /// Ended: unanimous.
    Settled,
    /// Ended: decided by the whole set.
    Resolved,
    /// Ended: not even the whole set agrees.
    Ambiguous,
    /// Ended: taken back.
    Cancelled,
    /// Ended: nobody could sit, or too few committed.
    Expired,
    /// Ended without a result.
    Failed(FailCode),
}

impl Phase {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_end(self) -> bool {
        !matches!(
            self,
            Self::Queued | Self::Frozen | Self::Commit(_) | Self::Reveal(_)
        )
    }

    /// The name people and JSON use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued | Self::Frozen => "queued",
            Self::Commit(Level::Committee) => "commit",
            Self::Reveal(Level::Committee) => "reveal",
            Self::Commit(Level::WholeSet) => "whole_set_commit",
            Self::Reveal(Level::WholeSet) => "whole_set_reveal",
            Self::Settled => "settled",
            Self::Resolved => "resolved",
            Self::Ambiguous => "ambiguous",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Failed(_) => "failed",
        }
    }
}

/// What seats agreed on: equal in all three, or not equal (Exact).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Answer {
    /// How the run ended.
    pub outcome: Outcome,
    /// What it answered.
    pub result_root: Digest,
    /// What it cost.
    pub fuel: Fuel,
}

/// A seat as the head names it: enough to check its signed messages offline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SeatHolder {
    /// Whose seat.
    pub validator: ValidatorId,
    /// The session key it speaks with.
    pub session_pk: PublicKey,
}

/// The head leaf of a job, and the record that receipts prove.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct JobHead {
    /// Layout version.
    pub version: u8,
    /// Hash of the spec.
    pub spec_hash: Digest,
    /// Who asked.
    pub client: Address,
    /// Who locked the price: the sponsor, or the client.
    pub payer: Address,
    /// Where it stands.
    pub phase: Phase,
    /// What was agreed on, if anything.
    pub answer: Option<Answer>,
    /// Which committee.
    pub attempt: u32,
    /// Committee seats; the seats from here on are jurors'.
    pub k: u16,
    /// The height of its submission.
    pub submitted: Height,
    /// The height at whose end it moves on by itself; the height of its end, once it has ended.
    pub deadline: Height,
    /// Where its price went.
    pub amounts: Amounts,
    /// Everyone who sits, in seat order.
    pub seats: Vec<SeatHolder>,
}

impl Canonical for JobHead {
    const BYTES_MAX: usize = 512 + JOB_SEATS_MAX * (32 + 33);
}

impl Record for JobHead {
    type Key = JobId;
    const MODULE: u8 = 4;
    const KIND: u8 = 0;
}

/// What a client asked for, and the bonds that follow from it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct JobRequest {
    /// Layout version.
    pub version: u8,
    /// The client's nonce, part of the job's id.
    pub nonce: u64,
    /// The transaction that asked.
    pub tx: TxId,
    /// The request.
    pub spec: JobSpec,
    /// What each committee seat locks of its holder's stake.
    pub seat_bond: Amount,
}

impl JobRequest {
    /// What all committee seats together lock.
    #[must_use]
    pub fn all_bonds(&self) -> u128 {
        u128::from(self.seat_bond.0).saturating_mul(u128::from(self.spec.k))
    }
}

impl Canonical for JobRequest {
    const BYTES_MAX: usize = 64 + JobSpec::BYTES_MAX;
}

impl Record for JobRequest {
    type Key = JobId;
    const MODULE: u8 = 4;
    const KIND: u8 = 1;
}

/// One member of a frozen list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Member {
    /// Which validator.
    pub validator: ValidatorId,
    /// Its stake at the freeze: its weight, its vote, and what it is slashed by.
    pub stake: Amount,
    /// Whether it may be drawn. The others sit only in a whole set.
    pub eligible: bool,
}

/// The list frozen two blocks before the draw. Nothing later changes it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Snapshot {
    /// Layout version.
    pub version: u8,
    /// All active, unjailed validators, by id.
    pub members: Vec<Member>,
}

impl Canonical for Snapshot {
    const BYTES_MAX: usize = 16 + VALIDATORS_MAX * 41;
}

impl Record for Snapshot {
    type Key = JobId;
    const MODULE: u8 = 4;
    const KIND: u8 = 2;
}

impl Snapshot {
    /// All stake in the list.
    #[must_use]
    pub fn total(&self) -> Amount {
        self.members
            .iter()
            .fold(Amount::ZERO, |sum, member| sum.saturating_add(member.stake))
    }

    /// A member's stake.
    #[must_use]
    pub fn stake(&self, validator: &ValidatorId) -> Amount {
        let index = self
            .members
            .binary_search_by_key(validator, |member| member.validator);
        index
            .ok()
            .and_then(|index| self.members.get(index))
            .map_or(Amount::ZERO, |m| m.stake)
    }
}

/// A (model, engine) that the whole set has refuted most of a committee on.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Cohort {
    /// Layout version.
    pub version: u8,
    /// How often; the third time is for ever.
    pub times: u32,
    /// No jobs before this height.
    pub frozen_until: Height,
    /// Validators that were refuted: they get no seats of it.
    pub refuted: Vec<ValidatorId>,
}

impl Canonical for Cohort {
    const BYTES_MAX: usize = 64 + VALIDATORS_MAX * 32;
}

impl Record for Cohort {
    type Key = CohortKey;
    const MODULE: u8 = 4;
    const KIND: u8 = 3;
}

/// What stays of a job once its record has been kept long enough.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct JobTrace {
    /// Layout version.
    pub version: u8,
    /// How it ended.
    pub phase: Phase,
    /// What it answered, if it did.
    pub result_root: Option<Digest>,
    /// Where its price went.
    pub amounts: Amounts,
}

impl Canonical for JobTrace {
    const BYTES_MAX: usize = 128;
}

impl Record for JobTrace {
    type Key = JobId;
    const MODULE: u8 = 4;
    const KIND: u8 = 4;
}

/// Two thirds of the seats, rounded up.
#[must_use]
pub fn quorum(k: u16) -> u16 {
    k.saturating_mul(2).div_ceil(3)
}
