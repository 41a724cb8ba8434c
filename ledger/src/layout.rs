//! The frozen table of leaves: which module owns which kinds, by which key, with which value.
//!
//! |module|kind|key|value|
//! |---|---|---|---|
//! |0 chain|0|–|[`ChainHead`](crate::chain::ChainHead)|
//! ||1|height 8|[`BlockRecord`](crate::chain::BlockRecord)|
//! |1 account|0|address 20|[`Account`](crate::account::Account)|
//! |2 staking|0|validator 32|[`Validator`](crate::staking::Validator)|
//! ||1|validator 32, number 8|[`Unbonding`](crate::staking::Unbonding)|
//! ||2|validator 32, height 8|[`Power`](crate::staking::Power)|
//! |3 escrow|0|–|[`Pools`](crate::escrow::Pools)|
//! |4 jobs|0|job 32|[`JobHead`](crate::jobs::JobHead)|
//! ||1|job 32|[`JobRequest`](crate::jobs::JobRequest)|
//! ||2|job 32|[`Snapshot`](crate::jobs::Snapshot)|
//! ||3|model root 32, engine 2|[`Cohort`](crate::jobs::Cohort)|
//! ||4|job 32|[`JobTrace`](crate::jobs::JobTrace)|
//! |5 execution|0|job 32, attempt 4, seat 2|[`Seat`](crate::execution::Seat)|
//! |6 evidence|0|evidence 32|[`EvidenceRecord`](crate::evidence::EvidenceRecord)|
//!
//! Keys are big-endian and fixed width; values are the canonical encoding. A change of any of this is
//! another chain: golden roots in the tests hold it still.

use protocol::digest::{Address, Digest, EvidenceId, JobId, ValidatorId};
use protocol::job::SeatRef;
use protocol::units::Height;

use crate::table::Key;

/// The key of a table that holds one row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Only;

impl Key for Only {
    fn write(&self, _out: &mut Vec<u8>) {}
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(Self)
    }
}

impl Key for Address {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_ref());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl Key for Height {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes).map(Self)
    }
}

macro_rules! digest_keys {
    ($($name:ident),*) => {
        $(impl Key for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_ref());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Digest).map(Self)
            }
        })*
    };
}

digest_keys!(ValidatorId, JobId, EvidenceId);

/// An unbonding entry: of which validator, and its number in the chain.
pub type UnbondingKey = (ValidatorId, u64);

impl Key for UnbondingKey {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        out.extend_from_slice(&self.1.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (validator, number) = bytes.split_at_checked(32)?;
        Some((
            ValidatorId::read(validator)?,
            u64::from_be_bytes(number.try_into().ok()?),
        ))
    }
}

/// A power: whose, and from which height on.
pub type PowerKey = (ValidatorId, Height);

impl Key for PowerKey {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (validator, height) = bytes.split_at_checked(32)?;
        Some((ValidatorId::read(validator)?, Height::read(height)?))
    }
}

/// A model as run by one engine.
pub type CohortKey = (Digest, u16);

impl Key for CohortKey {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_ref());
        out.extend_from_slice(&self.1.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (model, engine) = bytes.split_at_checked(32)?;
        Some((
            Digest(model.try_into().ok()?),
            u16::from_be_bytes(engine.try_into().ok()?),
        ))
    }
}

impl Key for SeatRef {
    fn write(&self, out: &mut Vec<u8>) {
        self.job.write(out);
        out.extend_from_slice(&self.attempt.to_be_bytes());
        out.extend_from_slice(&self.seat.to_be_bytes());
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (job, rest) = bytes.split_at_checked(32)?;
        let (attempt, seat) = rest.split_at_checked(4)?;
        Some(Self {
            job: JobId::read(job)?,
            attempt: u32::from_be_bytes(attempt.try_into().ok()?),
            seat: u16::from_be_bytes(seat.try_into().ok()?),
        })
    }
}
