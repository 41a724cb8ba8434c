//! The parameters of a chain: one table of names, types and the two presets.
//!
//! A genesis file spells out every one of them under the same name, so nothing depends on the
//! defaults of a release. Blocks are counted in blocks, time in milliseconds, money in upal.

use thiserror::Error;

use crate::limits::VALIDATORS_MAX;
use crate::units::{Amount, Fuel, TimeMs};

/// A parameter's type: a number with a unit, or a plain one.
trait Scalar: Copy {
    fn read(value: u64) -> Option<Self>;
    fn write(self) -> u64;
}

impl Scalar for u64 {
    fn read(value: u64) -> Option<Self> {
        Some(value)
    }
    fn write(self) -> u64 {
        self
    }
}

impl Scalar for u16 {
    fn read(value: u64) -> Option<Self> {
        Self::try_from(value).ok()
    }
    fn write(self) -> u64 {
        u64::from(self)
    }
}

macro_rules! scalar_units {
    ($($unit:ident),*) => {
        $(impl Scalar for $unit {
            fn read(value: u64) -> Option<Self> {
                Some(Self(value))
            }
            fn write(self) -> u64 {
                self.0
            }
        })*
    };
}

scalar_units!(Amount, Fuel, TimeMs);

/// Why a set of parameters makes no chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// No parameter has this name.
    #[error("unknown parameter {0}")]
    Unknown(String),
    /// A parameter without a value.
    #[error("parameter {0} is missing")]
    Missing(&'static str),
    /// Not a whole number in the parameter's range.
    #[error("parameter {name} cannot be {value}")]
    Value {
        /// Which one.
        name: String,
        /// What was given.
        value: String,
    },
    /// A value that must not be zero.
    #[error("parameter {0} must not be zero")]
    Zero(&'static str),
    /// Two values that exclude each other.
    #[error("{what}: {left} must be at least {right}")]
    Relation {
        /// The rule.
        what: &'static str,
        /// The value that is too small.
        left: u64,
        /// What it must reach.
        right: u64,
    },
}

macro_rules! params {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $network:expr, $local:expr;)*) => {
        /// Every parameter of stage S1.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Params {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Params {
            /// Their names, in the order of the table.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The mainnet-like preset.
            #[must_use]
            pub fn network() -> Self {
                Self { $($name: <$type>::from($network),)* }
            }

            /// The preset of local test networks.
            #[must_use]
            pub fn local() -> Self {
                Self { $($name: <$type>::from($local),)* }
            }

            /// Name and value of each, in the order of the table.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), Scalar::write(self.$name)),)*]
            }

            /// Sets one by name.
            ///
            /// # Errors
            /// [`ParamsError`] if there is no such parameter, or its type does not hold the value.
            pub fn set(&mut self, name: &str, value: u64) -> Result<(), ParamsError> {
                match name {
                    $(stringify!($name) => {
                        self.$name = Scalar::read(value).ok_or_else(|| ParamsError::Value {
                            name: name.to_owned(),
                            value: value.to_string(),
                        })?;
                    })*
                    _ => return Err(ParamsError::Unknown(name.to_owned())),
                }
                Ok(())
            }
        }
    };
}

params! {
    /// Time from the start of one height to the start of the next.
    block_interval_ms: TimeMs = 2_000, 500;
    /// How long round 0 waits for a proposal.
    propose_timeout_ms: TimeMs = 3_000, 500;
    /// How much longer each further round waits for one.
    propose_timeout_step_ms: TimeMs = 500, 100;
    /// How long round 0 waits for prevotes, and for precommits.
    vote_timeout_ms: TimeMs = 1_000, 200;
    /// How much longer each further round waits for them.
    vote_timeout_step_ms: TimeMs = 500, 100;
    /// How long silence lasts before own votes are sent again.
    rebroadcast_timeout_ms: TimeMs = 5_000, 900;
    /// No timeout grows beyond this.
    timeout_max_ms: TimeMs = 60_000, 10_000;
    /// Validators of one height, at most.
    validators_max: u64 = 100_u64, 16_u64;
    /// The bond below which a validator neither votes nor sits.
    self_bond_min: Amount = Amount::pal(10_000), Amount::pal(100);
    /// Blocks between registration and the first vote or seat.
    activation_blocks: u64 = 1_800_u64, 5_u64;
    /// Blocks until unbonding stake is paid out; [`Self::unbonding_ms`] must have passed too.
    unbonding_blocks: u64 = 907_200_u64, 120_u64;
    /// Header time until unbonding stake is paid out.
    unbonding_ms: TimeMs = 1_814_400_000, 60_000;
    /// Evidence expires past so many blocks, if [`Self::evidence_age_ms`] has passed too.
    evidence_age_blocks: u64 = 604_800_u64, 40_u64;
    /// Evidence expires past so much header time, if the blocks have passed too.
    evidence_age_ms: TimeMs = 1_209_600_000, 20_000;
    /// The smallest committee.
    k: u16 = 5_u16, 3_u16;
    /// Eligible members a draw needs, for each seat.
    eligible_per_seat: u64 = 2_u64, 1_u64;
    /// Thirds of all stake that the eligible members must hold.
    eligible_stake_thirds: u64 = 1_u64, 0_u64;
    /// Blocks a commit window has beyond one and a half times the expected run.
    commit_slack_blocks: u64 = 6_u64, 4_u64;
    /// Blocks of a reveal window.
    reveal_blocks: u64 = 10_u64, 4_u64;
    /// Work a host is expected to do in one block.
    fuel_per_block: Fuel = 2_000_000_000, 500_000_000;
    /// The largest job.
    job_fuel_max: Fuel = 20_000_000_000, 4_000_000_000;
    /// What a seat earns for taking part.
    seat_base: Amount = 10_000, 10_000;
    /// What a seat earns for each million of fuel, rounded up.
    fuel_price_per_million: Amount = 10, 10;
    /// The smallest bond locked for a seat.
    seat_bond_min: Amount = Amount::pal(500), Amount::pal(5);
    /// A seat's bond is at least so many times what the seat can earn.
    seat_bond_multiple: u64 = 25_u64, 25_u64;
    /// Jail for a first wrong result; doubles with each further one.
    jail_wrong_blocks: u64 = 43_200_u64, 40_u64;
    /// Jail for absence.
    jail_absence_blocks: u64 = 300_u64, 20_u64;
    /// Wrong results within so many blocks of each other double the jail; the third ends it all.
    jail_doubling_blocks: u64 = 1_296_000_u64, 7_200_u64;
    /// A job's record is kept whole for so many blocks after its end.
    job_record_blocks: u64 = 1_296_000_u64, 7_200_u64;
    /// A contradicted (model, engine) gets no jobs for so many blocks.
    cohort_freeze_blocks: u64 = 1_000_u64, 1_000_u64;
}

impl Params {
    /// Builds parameters from named values: every name once, no others.
    ///
    /// # Errors
    /// [`ParamsError`] naming the first parameter that is unknown, missing or out of range.
    pub fn from_entries<'a>(
        entries: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Result<Self, ParamsError> {
        let mut params = Self::local();
        let mut missing: Vec<&'static str> = Self::NAMES.to_vec();
        for (name, value) in entries {
            params.set(name, value)?;
            missing.retain(|known| *known != name);
        }
        match missing.first() {
            Some(name) => Err(ParamsError::Missing(name)),
            None => Ok(params),
        }
    }

    /// Blocks of a commit window for a job of this fuel limit: one and a half times the expected run,
    /// rounded up, and the slack.
    #[must_use]
    pub fn commit_blocks(&self, fuel_limit: Fuel) -> u64 {
        let triple = fuel_limit.0.saturating_mul(3);
        let double = self.fuel_per_block.0.saturating_mul(2).max(1);
        triple
            .div_ceil(double)
            .saturating_add(self.commit_slack_blocks)
    }

    /// The most blocks from a job's freeze to its end: the draw, then both levels.
    #[must_use]
    pub fn longest_job_blocks(&self) -> u64 {
        let level = self
            .commit_blocks(self.job_fuel_max)
            .saturating_add(self.reveal_blocks);
        level
            .saturating_mul(2)
            .saturating_add(crate::limits::DRAW_DELAY_BLOCKS)
    }

    /// What a seat earns for so much fuel: `seat_base + ⌈fuel · price⌉`.
    #[must_use]
    pub fn seat_reward(&self, fuel: Fuel) -> Amount {
        let cost = u128::from(fuel.0).saturating_mul(u128::from(self.fuel_price_per_million.0));
        let cost = u64::try_from(cost.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        self.seat_base.saturating_add(Amount(cost))
    }

    /// The smallest price a job of this size may lock: `⌈1.02 · k · R(fuel_limit)⌉`.
    #[must_use]
    pub fn price_min(&self, k: u16, fuel_limit: Fuel) -> Amount {
        let seats = u128::from(self.seat_reward(fuel_limit).0).saturating_mul(u128::from(k));
        let price = seats.saturating_mul(102).div_ceil(100);
        Amount(u64::try_from(price).unwrap_or(u64::MAX))
    }

    /// The smallest change of a bond, all of it apart: each change may make another validator set, which
    /// everybody then keeps for as long as evidence counts.
    #[must_use]
    pub fn bond_change_min(&self) -> Amount {
        self.self_bond_min.share(1, 100)
    }

    /// What a seat of such a job locks of its validator's bond.
    #[must_use]
    pub fn seat_bond(&self, fuel_limit: Fuel) -> Amount {
        let reward = self
            .seat_reward(fuel_limit)
            .0
            .saturating_mul(self.seat_bond_multiple);
        self.seat_bond_min.max(Amount(reward))
    }

    /// Checks each value and every relation between them.
    ///
    /// # Errors
    /// [`ParamsError`] naming the first rule that is broken.
    pub fn check(&self) -> Result<(), ParamsError> {
        self.check_nonzero()?;
        let at_least = |what, left, right| {
            if left >= right {
                Ok(())
            } else {
                Err(ParamsError::Relation { what, left, right })
            }
        };
        let validators_max = u64::try_from(VALIDATORS_MAX).unwrap_or(u64::MAX);
        at_least(
            "supported validators over validators_max",
            validators_max,
            self.validators_max,
        )?;
        let seats_max = u64::from(crate::limits::SEATS_MAX);
        at_least("supported seats over k", seats_max, u64::from(self.k))?;
        at_least(
            "three over eligible_stake_thirds",
            3,
            self.eligible_stake_thirds,
        )?;
        let exposed = self
            .evidence_age_blocks
            .saturating_add(self.longest_job_blocks());
        at_least(
            "unbonding_blocks over evidence_age_blocks and the longest job",
            self.unbonding_blocks,
            exposed,
        )?;
        at_least(
            "unbonding_ms over evidence_age_ms",
            self.unbonding_ms.0,
            self.evidence_age_ms.0,
        )?;
        at_least(
            "timeout_max_ms over propose_timeout_ms",
            self.timeout_max_ms.0,
            self.propose_timeout_ms.0,
        )?;
        at_least(
            "timeout_max_ms over vote_timeout_ms",
            self.timeout_max_ms.0,
            self.vote_timeout_ms.0,
        )
    }

    fn check_nonzero(&self) -> Result<(), ParamsError> {
        let nonzero = [
            ("block_interval_ms", self.block_interval_ms.0),
            ("propose_timeout_ms", self.propose_timeout_ms.0),
            ("vote_timeout_ms", self.vote_timeout_ms.0),
            ("rebroadcast_timeout_ms", self.rebroadcast_timeout_ms.0),
            ("validators_max", self.validators_max),
            ("self_bond_min", self.self_bond_min.0),
            ("k", u64::from(self.k)),
            ("eligible_per_seat", self.eligible_per_seat),
            ("commit_slack_blocks", self.commit_slack_blocks),
            ("reveal_blocks", self.reveal_blocks),
            ("fuel_per_block", self.fuel_per_block.0),
            ("job_fuel_max", self.job_fuel_max.0),
            ("job_record_blocks", self.job_record_blocks),
        ];
        match nonzero.into_iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(ParamsError::Zero(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_hold_their_own_rules() {
        assert_eq!(Params::local().check(), Ok(()));
        assert_eq!(Params::network().check(), Ok(()));
    }

    #[test]
    fn entries_round_trip_and_name_what_is_wrong() {
        let network = Params::network();
        assert_eq!(Params::from_entries(network.entries()), Ok(network.clone()));
        let mut fewer = network.entries();
        fewer.remove(0);
        assert_eq!(
            Params::from_entries(fewer),
            Err(ParamsError::Missing("block_interval_ms"))
        );
        let mut more = network.entries();
        more.push(("hold_blocks", 1));
        assert_eq!(
            Params::from_entries(more),
            Err(ParamsError::Unknown("hold_blocks".to_owned()))
        );
        let mut wide = network.entries();
        wide.push(("k", 1 << 20));
        assert!(matches!(
            Params::from_entries(wide),
            Err(ParamsError::Value { .. })
        ));
    }

    #[test]
    fn unbonding_outlasts_every_accusation() {
        let mut params = Params::local();
        params.unbonding_blocks = params.evidence_age_blocks + params.longest_job_blocks();
        assert_eq!(params.check(), Ok(()));
        params.unbonding_blocks -= 1;
        assert!(matches!(params.check(), Err(ParamsError::Relation { .. })));
        params = Params::local();
        params.unbonding_ms.0 = params.evidence_age_ms.0 - 1;
        assert!(matches!(params.check(), Err(ParamsError::Relation { .. })));
    }

    #[test]
    fn no_zero_where_it_would_stop_the_chain() {
        for name in ["block_interval_ms", "k", "fuel_per_block", "reveal_blocks"] {
            let mut params = Params::local();
            params.set(name, 0).unwrap();
            assert_eq!(params.check(), Err(ParamsError::Zero(name)));
        }
    }

    #[test]
    fn prices_round_up() {
        let params = Params::local();
        assert_eq!(params.seat_reward(Fuel(0)), Amount(10_000));
        assert_eq!(params.seat_reward(Fuel(1)), Amount(10_001));
        assert_eq!(params.seat_reward(Fuel(1_000_000)), Amount(10_010));
        assert_eq!(params.price_min(3, Fuel(1)), Amount(30_604));
        assert_eq!(params.seat_bond(Fuel(1)), Amount::pal(5));
        assert_eq!(params.commit_blocks(Fuel(1)), 5);
        assert_eq!(params.commit_blocks(params.job_fuel_max), 16);
        assert_eq!(params.longest_job_blocks(), 42);
    }
}
