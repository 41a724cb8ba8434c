//! Staking: who has stake in the ground, who is in jail, and who therefore may vote and sit.
//!
//! ```text
//! Register -> candidate --activation--> active <--Unjail-- jailed
//!                                         |  \--wrong result, absence--^
//!                                         |--Unbond all, third wrong result--> gone
//!                                         `--double signing--> tombstoned
//! ```
//! Stake that leaves waits as unbonding and stays slashable until every accusation has expired.

mod actions;
mod jail;
mod set;
mod slash;

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::{Address, Digest, EvidenceId, ValidatorId};
use protocol::events::JailCause;
use protocol::keys::PublicKey;
use protocol::limits::{MONIKER_BYTES_MAX, PEER_ID_BYTES_MAX};
use protocol::units::{Amount, Height, TimeMs};

pub(crate) use actions::{bond, mature, register, unbond, unjail};
pub(crate) use jail::{SeatRecord, expel, jail_for_wrong_result, judge_absence, record_seat};
pub(crate) use set::schedule_set;
pub(crate) use slash::{Purse, slash};

use crate::layout::{PowerKey, UnbondingKey};
use crate::table::Record;

/// A jail term.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Jail {
    /// The first height at which Unjail is possible.
    pub until: Height,
    /// Why.
    pub cause: JailCause,
}

/// Why a validator will never vote again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Exit {
    /// All stake was withdrawn, or the third wrong result ended it.
    Gone,
    /// It contradicted itself.
    Tombstoned(EvidenceId),
}

/// One validator. Records are kept for ever, so that old keys stay accountable.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Validator {
    /// Layout version.
    pub version: u8,
    /// Who bonds and is paid.
    pub operator: Address,
    /// What people call it.
    pub moniker: String,
    /// Signs votes and proposals.
    pub consensus_pk: PublicKey,
    /// Signs results.
    pub session_pk: PublicKey,
    /// Where its node is found.
    pub peer_id: String,
    /// Its stake. Power, seats and weight follow from it.
    pub bonded: Amount,
    /// The height from which it may vote and sit.
    pub active_from: Height,
    /// Its jail term, if it is in jail.
    pub jail: Option<Jail>,
    /// Whether it is out for ever.
    pub exit: Option<Exit>,
    /// The part of the stake that seats lock: a label, not money (I7).
    pub seat_locked: Amount,
    /// Entries on their way out.
    pub unbonding_entries: u32,
    /// Its last twenty seats, the newest in the lowest bit; 1 is a miss.
    pub misses: u32,
    /// Heights of its wrong results within the doubling window.
    pub wrong_results: Vec<Height>,
    /// Its last audit checkpoint.
    pub anchor: Option<Digest>,
}

impl Canonical for Validator {
    const BYTES_MAX: usize = 512 + MONIKER_BYTES_MAX + PEER_ID_BYTES_MAX;
}

impl Record for Validator {
    type Key = ValidatorId;
    const MODULE: u8 = 2;
    const KIND: u8 = 0;
}

impl Validator {
    /// Whether it counts at this height: past its delay, not in jail, not out.
    #[must_use]
    pub fn is_active(&self, height: Height, self_bond_min: Amount) -> bool {
        self.exit.is_none()
            && self.jail.is_none()
            && self.active_from <= height
            && self.bonded >= self_bond_min
    }

    /// The part of its stake that can still back seats: half of it, less what does already.
    #[must_use]
    pub fn free_seat_bond(&self) -> Amount {
        self.bonded.share(1, 2).saturating_sub(self.seat_locked)
    }

    /// Its state in one word, as in metrics and JSON.
    #[must_use]
    pub fn state_name(&self, height: Height, self_bond_min: Amount) -> &'static str {
        match (self.exit, self.jail) {
            (Some(Exit::Tombstoned(_)), _) => "tombstoned",
            (Some(Exit::Gone), _) => "gone",
            (None, Some(_)) => "jailed",
            (None, None) if self.active_from > height => "activating",
            (None, None) if self.bonded < self_bond_min => "below_min_bond",
            (None, None) => "active",
        }
    }
}

/// Stake on its way to its operator.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Unbonding {
    /// Layout version.
    pub version: u8,
    /// What is left of it; slashes reach it (I6).
    pub amount: Amount,
    /// What it began with.
    pub started_with: Amount,
    /// It is paid out at this height,
    pub matures: Height,
    /// but not before this header time.
    pub matures_ms: TimeMs,
}

impl Canonical for Unbonding {
    const BYTES_MAX: usize = 64;
}

impl Record for Unbonding {
    type Key = UnbondingKey;
    const MODULE: u8 = 2;
    const KIND: u8 = 1;
}

/// A validator's power, in force from its key's height until its next row's: zero once it is out.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Power {
    /// Layout version.
    pub version: u8,
    /// Its stake in the set.
    pub power: Amount,
}

impl Canonical for Power {
    const BYTES_MAX: usize = 16;
}

impl Record for Power {
    type Key = PowerKey;
    const MODULE: u8 = 2;
    const KIND: u8 = 2;
}
