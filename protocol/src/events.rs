//! What happened in a block, told to the actors, the API and the audit log (protocol.md §9).
//!
//! Events are numbered through a block, so `<height>-<index>` names the same event on every node.

use bincode::{Decode, Encode};

use crate::codec::Canonical;
use crate::digest::{Address, BlockId, Digest, EvidenceId, JobId, TxId, ValidatorId};
use crate::evidence::EvidenceKind;
use crate::job::{DeclineReason, Outcome, SeatRef};
use crate::units::{Amount, Fuel, Height};

/// Which part of the system an event belongs to; each domain actor hears only its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Domain {
    /// Bonds, jail, the validator set.
    Staking,
    /// Money locked, released, refunded, burned.
    Escrow,
    /// Jobs from queue to end.
    Jobs,
    /// Seats: windows, commits, reveals.
    Execution,
    /// Proofs of contradiction.
    Evidence,
    /// Blocks and transfers.
    Chain,
}

impl Domain {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Staking,
        Self::Escrow,
        Self::Jobs,
        Self::Execution,
        Self::Evidence,
        Self::Chain,
    ];

    /// The name in SSE and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staking => "staking",
            Self::Escrow => "escrow",
            Self::Jobs => "jobs",
            Self::Execution => "execution",
            Self::Evidence => "evidence",
            Self::Chain => "chain",
        }
    }
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// The name in JSON and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl From<$name> for Value {
            fn from(value: $name) -> Self {
                Self::Text(value.name().to_owned())
            }
        }
    };
}

named! {
    /// What a validator is slashed for.
    Offence {
        /// Two votes in one round.
        DoubleVote = "double_vote",
        /// Two proposals in one round.
        DoubleProposal = "double_proposal",
        /// A committee seat revealed what the whole set refuted.
        WrongResult = "wrong_result",
        /// A juror revealed what the whole set refuted.
        WrongJuror = "wrong_juror",
    }
}

named! {
    /// Why a validator is jailed.
    JailCause {
        /// A wrong result.
        WrongResult = "wrong_result",
        /// Too many seats missed.
        Absence = "absence",
    }
}

named! {
    /// Who sits in a committee.
    Level {
        /// The drawn seats.
        Committee = "committee",
        /// Every member of the snapshot.
        WholeSet = "whole_set",
    }
}

named! {
    /// Why a job failed.
    FailCode {
        /// Too few reveals.
        NoQuorum = "no_quorum",
        /// A quorum of hosts could not finish it.
        Declined = "declined",
        /// A quorum could not get model or input.
        InputUnavailable = "input_unavailable",
        /// The whole set refuted most of the committee: the (model, engine) is suspect.
        CohortFrozen = "cohort_frozen",
    }
}

/// A field of an event, ready to be written as JSON by whoever does that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A string.
    Text(String),
    /// A number. Amounts are numbers of upal.
    Number(u64),
    /// Absent.
    Null,
    /// Several.
    List(Vec<Value>),
}

macro_rules! values {
    (text: $($text:ty),*; number: $($number:ty),*) => {
        $(impl From<$text> for Value {
            fn from(value: $text) -> Self {
                Self::Text(value.to_string())
            }
        })*
        $(impl From<$number> for Value {
            fn from(value: $number) -> Self {
                Self::Number(value.0)
            }
        })*
    };
}

values! {
    text: Address, BlockId, Digest, EvidenceId, JobId, TxId;
    number: Amount, Fuel, Height
}

impl From<ValidatorId> for Value {
    fn from(value: ValidatorId) -> Self {
        Self::Text(value.to_text())
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Number(u64::from(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Number(u64::from(value))
    }
}

impl From<Outcome> for Value {
    fn from(value: Outcome) -> Self {
        Self::Text(value.name().to_owned())
    }
}

impl From<DeclineReason> for Value {
    fn from(value: DeclineReason) -> Self {
        Self::Text(value.name().to_owned())
    }
}

impl From<EvidenceKind> for Value {
    fn from(value: EvidenceKind) -> Self {
        Self::Text(value.name().to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

macro_rules! events {
    (#[$derives:meta] $($domain:ident { $($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })* })*) => {
        /// One thing that happened.
        #[$derives]
        pub enum Event {
            $($($(#[$doc])* $name {
                $(
                    #[doc = concat!("See the variant: ", stringify!($field), ".")]
                    $field: $type,
                )*
            },)*)*
        }

        impl Event {
            /// The part of the system it belongs to.
            #[must_use]
            pub const fn domain(&self) -> Domain {
                match self {
                    $($(Self::$name { .. } => Domain::$domain,)*)*
                }
            }

            /// Its name, as in protocol.md §9. (`Accepted` and `Expired` are also words of other
            /// domains, so those variants carry their domain's name in front.)
            #[must_use]
            pub fn name(&self) -> &'static str {
                let name = match self {
                    $($(Self::$name { .. } => stringify!($name),)*)*
                };
                name.strip_prefix("Evidence").unwrap_or(name)
            }

            /// Names and values of its fields, in order.
            #[must_use]
            pub fn fields(&self) -> Vec<(&'static str, Value)> {
                match self {
                    $($(Self::$name { $($field),* } => {
                        vec![$((stringify!($field), Value::from($field.clone()))),*]
                    })*)*
                }
            }
        }
    };
}

events! {
    #[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
    Staking {
        /// A candidate appeared; it votes and sits from `active_from`.
        Registered { validator: ValidatorId, operator: Address, self_bond: Amount, active_from: Height }
        /// Stake was added; `bonded` is the new total.
        Bonded { validator: ValidatorId, amount: Amount, bonded: Amount }
        /// Stake began to unbond; it matures not before this height.
        Unbonding { validator: ValidatorId, amount: Amount, matures: Height }
        /// Unbonded stake was paid out to the operator.
        Unbonded { validator: ValidatorId, amount: Amount }
        /// Out of the set and off all new seats, until this height at least.
        Jailed { validator: ValidatorId, cause: JailCause, until: Height }
        /// Back again.
        Unjailed { validator: ValidatorId }
        /// Stake was taken; `amount` in all, of which so much was burned.
        Slashed {
            validator: ValidatorId, offence: Offence, amount: Amount,
            burned: Amount, job: Option<JobId>, evidence: Option<EvidenceId>,
        }
        /// Out for ever.
        Tombstoned { validator: ValidatorId, evidence: EvidenceId }
        /// The set differs from this height on.
        SetChanged { from: Height, set: Digest, members: u32 }
    }
    Escrow {
        /// A job's price was locked.
        Locked { job: JobId, payer: Address, amount: Amount }
        /// A seat was paid.
        Released { job: JobId, to: Address, amount: Amount, seat: u16 }
        /// What was left went back to whoever locked it.
        Refunded { job: JobId, to: Address, amount: Amount }
        /// Money left the world.
        Burned { amount: Amount, job: Option<JobId>, tx: Option<TxId> }
    }
    Jobs {
        /// A job waits for its committee.
        Queued { job: JobId, client: Address, tx: TxId }
        /// A committee was drawn, in seat order.
        Assigned { job: JobId, attempt: u32, seats: Vec<ValidatorId> }
        /// The committee disagrees: everyone else sits too, from this seat on.
        Escalated { job: JobId, attempt: u32, first_seat: u16, jurors: Vec<ValidatorId> }
        /// Unanimous.
        Settled { job: JobId, outcome: Outcome, result_root: Digest, fuel: Fuel }
        /// More than two thirds of all stake agree.
        Resolved { job: JobId, outcome: Outcome, result_root: Digest, fuel: Fuel }
        /// Not even the whole set agrees.
        Ambiguous { job: JobId }
        /// Taken back.
        Cancelled { job: JobId }
        /// Nobody could sit, or too few committed.
        Expired { job: JobId }
        /// No result.
        Failed { job: JobId, code: FailCode }
    }
    Execution {
        /// Seats may commit up to and including this height.
        CommitWindow { job: JobId, attempt: u32, level: Level, closes: Height }
        /// A seat committed.
        Committed { job: JobId, attempt: u32, seat: u16, validator: ValidatorId, commit: Digest, tx: TxId }
        /// A seat gave up; without a reason, because model or input cannot be had.
        Declined { job: JobId, attempt: u32, seat: u16, validator: ValidatorId, reason: Option<DeclineReason> }
        /// Seats that committed may reveal up to and including this height.
        RevealWindow { job: JobId, attempt: u32, level: Level, closes: Height }
        /// A seat revealed.
        Revealed {
            job: JobId, attempt: u32, seat: u16, validator: ValidatorId,
            outcome: Outcome, result_root: Digest, fuel: Fuel, tx: TxId,
        }
    }
    Evidence {
        /// A contradiction was proved and punished.
        EvidenceAccepted { evidence: EvidenceId, kind: EvidenceKind, validator: ValidatorId, reporter: Address }
        /// The record of a punished contradiction was dropped: nobody can prove it again.
        EvidenceExpired { evidence: EvidenceId }
    }
    Chain {
        /// A block was applied.
        Block { height: Height, id: BlockId, builder: ValidatorId, txs: u32 }
        /// Balance moved.
        Transferred { from: Address, to: Address, amount: Amount, tx: TxId }
    }
}

/// The events of one block.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
pub struct Events(pub Vec<Event>);

impl Canonical for Events {
    const BYTES_MAX: usize = 8 << 20;
}

impl Event {
    /// The job it is about, if it is about one.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::Locked { job, .. }
            | Self::Released { job, .. }
            | Self::Refunded { job, .. }
            | Self::Queued { job, .. }
            | Self::Assigned { job, .. }
            | Self::Escalated { job, .. }
            | Self::Settled { job, .. }
            | Self::Resolved { job, .. }
            | Self::Ambiguous { job }
            | Self::Cancelled { job }
            | Self::Expired { job }
            | Self::Failed { job, .. }
            | Self::CommitWindow { job, .. }
            | Self::Committed { job, .. }
            | Self::Declined { job, .. }
            | Self::RevealWindow { job, .. }
            | Self::Revealed { job, .. } => Some(*job),
            Self::Slashed { job, .. } | Self::Burned { job, .. } => *job,
            _ => None,
        }
    }

    /// The seat it is about, if it is about one.
    #[must_use]
    pub fn seat(&self) -> Option<SeatRef> {
        match self {
            Self::Committed {
                job, attempt, seat, ..
            }
            | Self::Declined {
                job, attempt, seat, ..
            }
            | Self::Revealed {
                job, attempt, seat, ..
            } => Some(SeatRef {
                job: *job,
                attempt: *attempt,
                seat: *seat,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode_canonical, encode};

    #[test]
    fn events_carry_domain_name_fields_and_bytes() {
        let event = Event::Failed {
            job: JobId::ZERO,
            code: FailCode::Declined,
        };
        assert_eq!((event.domain(), event.name()), (Domain::Jobs, "Failed"));
        assert_eq!(
            event.fields(),
            [
                ("job", Value::Text("0".repeat(64))),
                ("code", Value::Text("declined".to_owned())),
            ]
        );
        assert_eq!(event.job(), Some(JobId::ZERO));
        let events = Events(vec![event]);
        assert_eq!(decode_canonical::<Events>(&encode(&events)), Ok(events));
    }
}
