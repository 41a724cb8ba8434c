//! The genesis file: what a chain begins with. Its exact bytes are the chain's identity.
//!
//! ```toml
//! chain_name = "palisade-local-1"
//! time_ms = 1790000000000
//! features = []
//! [params]                     # every name of `params.rs`
//! [[account]]                  # address = "pal1…", balance in upal
//! [[validator]]                # moniker operator consensus_pk session_pk peer_id self_bond
//! ```
//! All keys are required and no others are known. `features` is empty in this stage: a name in it
//! belongs to a later release, which an earlier one must not follow.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;
use thiserror::Error;

use crate::digest::{Address, ChainId, ValidatorId};
use crate::keys::PublicKey;
use crate::limits::{
    CHAIN_NAME_BYTES_MAX, GENESIS_BYTES_MAX, MONIKER_BYTES_MAX, PEER_ID_BYTES_MAX, SUPPLY_MAX,
};
use crate::params::{Params, ParamsError};
use crate::units::{Amount, TimeMs};

/// Names that mark a chain as local: development keys and the probe engine work there, listeners
/// off loopback do not.
const LOCAL_PREFIXES: [&str; 2] = ["palisade-local-", "palisade-dev-"];

/// Why a file begins no chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Too long to be one; nothing was read.
    #[error("genesis of {len} bytes, at most {GENESIS_BYTES_MAX} allowed")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// Not the expected TOML: an unknown, missing or mistyped key.
    #[error("genesis: {0}")]
    Syntax(String),
    /// A value that its key does not allow.
    #[error("genesis: {key}: {reason}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A rule of a release this one does not know.
    #[error("genesis: unknown feature {0:?}")]
    Feature(String),
    /// Something that must appear once appears twice.
    #[error("genesis: {key} {value} appears twice")]
    Duplicate {
        /// Which key.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// The parameters contradict each other.
    #[error("genesis: {0}")]
    Params(#[from] ParamsError),
    /// More money than a chain may hold.
    #[error("genesis: supply exceeds {SUPPLY_MAX} upal")]
    Supply,
}

/// An account that exists from the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GenesisAccount {
    /// Whose.
    pub address: Address,
    /// What it holds.
    pub balance: Amount,
}

/// A validator that is active from height 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GenesisValidator {
    /// What people call it.
    pub moniker: String,
    /// Who bonds and is paid.
    pub operator: Address,
    /// Signs votes.
    pub consensus_pk: PublicKey,
    /// Signs results.
    pub session_pk: PublicKey,
    /// Where its node is found.
    pub peer_id: String,
    /// Its stake, on top of any balance.
    pub self_bond: Amount,
}

impl GenesisValidator {
    /// Its id: genesis validators have registration nonce 0.
    #[must_use]
    pub fn id(&self, chain: &ChainId) -> ValidatorId {
        ValidatorId::derive(chain, &self.operator, 0)
    }
}

/// A checked genesis file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Genesis {
    /// Hash of the file's bytes.
    pub chain_id: ChainId,
    /// What people call the chain.
    pub chain_name: String,
    /// The time before height 1.
    pub time_ms: TimeMs,
    /// The rules' numbers.
    pub params: Params,
    /// Ordered as in the file.
    pub accounts: Vec<GenesisAccount>,
    /// Ordered as in the file.
    pub validators: Vec<GenesisValidator>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGenesis {
    chain_name: String,
    time_ms: u64,
    features: Vec<String>,
    params: toml::Table,
    account: Vec<RawAccount>,
    validator: Vec<RawValidator>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    address: String,
    balance: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawValidator {
    moniker: String,
    operator: String,
    consensus_pk: String,
    session_pk: String,
    peer_id: String,
    self_bond: u64,
}

impl Genesis {
    /// Reads and checks a genesis file.
    ///
    /// # Errors
    /// [`GenesisError`] naming the first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, GenesisError> {
        if bytes.len() > GENESIS_BYTES_MAX {
            return Err(GenesisError::TooLong { len: bytes.len() });
        }
        let text =
            std::str::from_utf8(bytes).map_err(|error| GenesisError::Syntax(error.to_string()))?;
        let raw: RawGenesis =
            toml::from_str(text).map_err(|error| GenesisError::Syntax(error.to_string()))?;
        if let Some(feature) = raw.features.first() {
            return Err(GenesisError::Feature(feature.clone()));
        }
        let genesis = Self {
            chain_id: ChainId::of_genesis(bytes),
            chain_name: raw.chain_name,
            time_ms: TimeMs(raw.time_ms),
            params: read_params(&raw.params)?,
            accounts: raw
                .account
                .iter()
                .map(read_account)
                .collect::<Result<_, _>>()?,
            validators: raw
                .validator
                .into_iter()
                .map(read_validator)
                .collect::<Result<_, _>>()?,
        };
        genesis.check()?;
        Ok(genesis)
    }

    /// Whether this is a chain of one developer's machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_local_name(&self.chain_name)
    }

    /// All money there is.
    ///
    /// # Errors
    /// [`GenesisError::Supply`] if it exceeds what a chain may hold.
    pub fn supply(&self) -> Result<Amount, GenesisError> {
        let balances = self.accounts.iter().map(|account| account.balance);
        let bonds = self.validators.iter().map(|validator| validator.self_bond);
        balances
            .chain(bonds)
            .try_fold(Amount::ZERO, Amount::checked_add)
            .filter(|supply| supply.0 < SUPPLY_MAX)
            .ok_or(GenesisError::Supply)
    }

    /// The file that says this. Parsing it gives the same chain, with the id of these bytes.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _infallible = self.write_toml(&mut text);
        text
    }

    fn write_toml(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "chain_name = {:?}", self.chain_name)?;
        writeln!(out, "time_ms = {}\nfeatures = []\n\n[params]", self.time_ms)?;
        for (name, value) in self.params.entries() {
            writeln!(out, "{name} = {value}")?;
        }
        for account in &self.accounts {
            writeln!(out, "\n[[account]]\naddress = \"{}\"", account.address)?;
            writeln!(out, "balance = {}", account.balance)?;
        }
        for validator in &self.validators {
            writeln!(out, "\n[[validator]]\nmoniker = {:?}", validator.moniker)?;
            writeln!(out, "operator = \"{}\"", validator.operator)?;
            writeln!(out, "consensus_pk = \"{}\"", validator.consensus_pk)?;
            writeln!(out, "session_pk = \"{}\"", validator.session_pk)?;
            writeln!(out, "peer_id = {:?}", validator.peer_id)?;
            writeln!(out, "self_bond = {}", validator.self_bond)?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), GenesisError> {
        check_chain_name(&self.chain_name)?;
        self.params.check()?;
        self.supply()?;
        unique(
            "address",
            self.accounts.iter().map(|account| account.address),
        )?;
        unique(
            "operator",
            self.validators.iter().map(|validator| validator.operator),
        )?;
        let keys = self
            .validators
            .iter()
            .flat_map(|v| [v.consensus_pk, v.session_pk]);
        unique("key", keys)?;
        self.check_validators()
    }

    fn check_validators(&self) -> Result<(), GenesisError> {
        let count = u64::try_from(self.validators.len()).unwrap_or(u64::MAX);
        if count == 0 || count > self.params.validators_max {
            let reason = format!(
                "{count} validators, 1 to {} allowed",
                self.params.validators_max
            );
            return Err(GenesisError::Value {
                key: "validator",
                reason,
            });
        }
        for validator in &self.validators {
            if validator.self_bond < self.params.self_bond_min {
                let reason = format!(
                    "{} is below {}",
                    validator.self_bond, self.params.self_bond_min
                );
                return Err(GenesisError::Value {
                    key: "self_bond",
                    reason,
                });
            }
            if !moniker_is_valid(&validator.moniker) {
                let reason = format!("{:?} is not a moniker", validator.moniker);
                return Err(GenesisError::Value {
                    key: "moniker",
                    reason,
                });
            }
            if !peer_id_is_valid(&validator.peer_id) {
                let reason = format!("{:?} is not a peer id", validator.peer_id);
                return Err(GenesisError::Value {
                    key: "peer_id",
                    reason,
                });
            }
        }
        Ok(())
    }
}

/// Whether a chain of this name is local.
#[must_use]
pub fn is_local_name(chain_name: &str) -> bool {
    LOCAL_PREFIXES
        .iter()
        .any(|prefix| chain_name.starts_with(prefix))
}

/// Whether people can be shown this name: 1 to 32 bytes without control characters.
#[must_use]
pub fn moniker_is_valid(moniker: &str) -> bool {
    (1..=MONIKER_BYTES_MAX).contains(&moniker.len()) && !moniker.chars().any(char::is_control)
}

/// Whether this could be a peer id: base58 text of a sensible length.
#[must_use]
pub fn peer_id_is_valid(peer_id: &str) -> bool {
    (1..=PEER_ID_BYTES_MAX).contains(&peer_id.len())
        && peer_id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() && !b"0OIl".contains(&b))
}

fn check_chain_name(name: &str) -> Result<(), GenesisError> {
    let fits = (1..=CHAIN_NAME_BYTES_MAX).contains(&name.len());
    if fits
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        return Ok(());
    }
    let reason = format!("{name:?} is not 1 to {CHAIN_NAME_BYTES_MAX} of a-z, 0-9 and -");
    Err(GenesisError::Value {
        key: "chain_name",
        reason,
    })
}

fn unique<T: Ord + Copy + std::fmt::Display>(
    key: &'static str,
    values: impl Iterator<Item = T>,
) -> Result<(), GenesisError> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value) {
            return Err(GenesisError::Duplicate {
                key,
                value: value.to_string(),
            });
        }
    }
    Ok(())
}

fn read_params(table: &toml::Table) -> Result<Params, GenesisError> {
    let mut entries = Vec::new();
    for (name, value) in table {
        let number = value
            .as_integer()
            .and_then(|number| u64::try_from(number).ok());
        let number = number.ok_or_else(|| ParamsError::Value {
            name: name.clone(),
            value: value.to_string(),
        })?;
        entries.push((name.as_str(), number));
    }
    Ok(Params::from_entries(entries)?)
}

fn read_text<T>(key: &'static str, text: &str) -> Result<T, GenesisError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| GenesisError::Value {
        key,
        reason: error.to_string(),
    })
}

fn read_account(raw: &RawAccount) -> Result<GenesisAccount, GenesisError> {
    Ok(GenesisAccount {
        address: read_text("address", &raw.address)?,
        balance: Amount(raw.balance),
    })
}

fn read_validator(raw: RawValidator) -> Result<GenesisValidator, GenesisError> {
    Ok(GenesisValidator {
        operator: read_text("operator", &raw.operator)?,
        consensus_pk: read_text("consensus_pk", &raw.consensus_pk)?,
        session_pk: read_text("session_pk", &raw.session_pk)?,
        moniker: raw.moniker,
        peer_id: raw.peer_id,
        self_bond: Amount(raw.self_bond),
    })
}

#[cfg(test)]
#[path = "genesis_tests.rs"]
mod tests;
