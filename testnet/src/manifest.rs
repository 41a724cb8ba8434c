//! The manifest of a net: CometBFT's vocabulary where it has one (testnet.md, Manifest).

mod fund;

use std::collections::BTreeMap;

use protocol::genesis::{is_local_name, moniker_is_valid};
use protocol::params::Params;
use protocol::units::{Amount, UPAL_PER_PAL};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::expect::{Expr, Names, parse};
use crate::models::Model;

/// Names that nodes get when none are given, in this order.
pub const NODE_NAMES: [&str; 16] = [
    "alice", "bob", "carol", "mallory", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
    "kim", "leo", "mia", "nina", "oscar",
];
/// What each node bonds when nothing else is said.
pub const STAKE: Amount = Amount::pal(1000);
/// Longer files are no manifests.
const MANIFEST_BYTES_MAX: usize = 256 << 10;

/// What is wrong with a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not TOML, or a key that there is not; the message has line and column.
    #[error("{0}")]
    Syntax(String),
    /// A value that its key does not allow.
    #[error("{key}: {reason}")]
    Value {
        /// Which key.
        key: String,
        /// Why not.
        reason: String,
    },
}

fn refuse(key: impl Into<String>, reason: impl Into<String>) -> ManifestError {
    ManifestError::Value {
        key: key.into(),
        reason: reason.into(),
    }
}

/// `manifest.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Part of the genesis bytes; local chains start with `palisade-local-` or `palisade-dev-`.
    pub chain_name: String,
    /// Drives keys.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Allows a third of the stake or more to be byzantine, late or perturbed.
    #[serde(default)]
    pub allow_unsafe: bool,
    /// Parameters that differ from the preset `local`, and accounts.
    #[serde(default)]
    pub genesis: GenesisSection,
    /// Jobs submitted all the time while a `run` lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// The nodes, by name.
    pub node: BTreeMap<String, NodeSection>,
    /// The order of the nodes; all of them. Defaults to the order of [`NODE_NAMES`], then by name.
    #[serde(default)]
    pub order: Vec<String>,
    /// What must become or stay true in a `run`.
    #[serde(default)]
    pub expect: Vec<Expect>,
}

const fn seed() -> u64 {
    42
}

/// `[genesis]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenesisSection {
    /// Accounts beyond the development ones, by development name or address: `"1000 PAL"`.
    #[serde(default)]
    pub fund: BTreeMap<String, String>,
    /// Any parameter of the chain, by its name; `block_time` stands for `block_interval_ms`.
    #[serde(flatten)]
    pub params: BTreeMap<String, toml::Value>,
}

/// `[load]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Submitted each second.
    pub jobs_per_s: u32,
    /// `demo/echo`, `demo/spin` or `demo/digits`.
    pub model: String,
}

/// `[node.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// `"1000 PAL"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stake: Option<String>,
    /// Started once the others are at this height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<u64>,
    /// `kill`, `pause`, `restart`, in turn, 10 s apart, in a `run`.
    #[serde(default)]
    pub perturb: Vec<Perturbation>,
    /// At most one profile.
    #[serde(default)]
    pub byzantine: Vec<ByzantineSection>,
}

/// What a `run` does to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Perturbation {
    /// SIGKILL, then a start.
    Kill,
    /// SIGSTOP, then SIGCONT.
    Pause,
    /// SIGTERM, then a start.
    Restart,
}

/// A misdeed and when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByzantineSection {
    /// A name of [`crate::byzantine::NAMES`].
    pub profile: String,
    /// From this height on.
    #[serde(default)]
    pub from_height: u64,
}

/// `[[expect]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The expression.
    pub that: String,
    /// True at some poll within this; `60s` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// True at every poll to the end instead.
    #[serde(default)]
    pub always: bool,
    /// Judged from this height on.
    #[serde(default)]
    pub from_height: u64,
}

impl Manifest {
    /// A net of these nodes, all honest, with the local preset.
    #[must_use]
    pub fn of_names(names: &[String], chain_name: &str) -> Self {
        Self {
            chain_name: chain_name.to_owned(),
            seed: seed(),
            allow_unsafe: false,
            genesis: GenesisSection::default(),
            load: None,
            node: names
                .iter()
                .map(|name| (name.clone(), NodeSection::default()))
                .collect(),
            order: names.to_vec(),
            expect: Vec::new(),
        }
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] with place and, where it helps, the nearest right name.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Syntax(format!(
                "longer than {MANIFEST_BYTES_MAX} bytes"
            )));
        }
        let manifest: Self =
            toml::from_str(text).map_err(|error| ManifestError::Syntax(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The nodes in their order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        if !self.order.is_empty() {
            return self.order.clone();
        }
        let known = NODE_NAMES.iter().map(|name| (*name).to_owned());
        let mut names: Vec<String> = known.filter(|name| self.node.contains_key(name)).collect();
        let others = self
            .node
            .keys()
            .filter(|name| !NODE_NAMES.contains(&name.as_str()));
        names.extend(others.cloned());
        names
    }

    /// What a node bonds.
    ///
    /// # Errors
    /// [`ManifestError`] if it is no amount.
    pub fn stake(&self, name: &str) -> Result<Amount, ManifestError> {
        match self.node.get(name).and_then(|node| node.stake.as_deref()) {
            None => Ok(STAKE),
            Some(text) => amount(text).ok_or_else(|| {
                refuse(
                    format!("node.{name}.stake"),
                    format!("`{text}` is not like \"1000 PAL\""),
                )
            }),
        }
    }

    /// The chain's parameters: the local preset with what `[genesis]` says.
    ///
    /// # Errors
    /// [`ManifestError`] naming the parameter.
    pub fn params(&self) -> Result<Params, ManifestError> {
        let mut params = Params::local();
        for (key, value) in &self.genesis.params {
            let named = || format!("genesis.{key}");
            if key == "features" {
                if value.as_array().is_none_or(|list| !list.is_empty()) {
                    return Err(refuse(named(), "this release knows no features: use []"));
                }
                continue;
            }
            let name = if key == "block_time" {
                "block_interval_ms"
            } else {
                key.as_str()
            };
            if !Params::NAMES.contains(&name) {
                let near = crate::expect::nearest(name, Params::NAMES.iter().copied());
                let hint =
                    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                return Err(refuse(named(), format!("no such parameter{hint}")));
            }
            let number =
                number(value).ok_or_else(|| refuse(named(), "not a number or unit text"))?;
            params
                .set(name, number)
                .map_err(|error| refuse(named(), error.to_string()))?;
        }
        params
            .check()
            .map_err(|error| refuse("genesis", error.to_string()))?;
        Ok(params)
    }

    /// The expectations with their parsed expressions.
    ///
    /// # Errors
    /// [`ManifestError`] with the column of the first mistake.
    pub fn expectations(&self) -> Result<Vec<(Expect, Expr)>, ManifestError> {
        let names = Names {
            nodes: self.names(),
        };
        let parsed = self.expect.iter().map(|expect| {
            parse(&expect.that, &names)
                .map(|expression| (expect.clone(), expression))
                .map_err(|error| refuse(format!("expect `{}`", expect.that), error.to_string()))
        });
        parsed.collect()
    }

    fn check(&self) -> Result<(), ManifestError> {
        if !is_local_name(&self.chain_name) {
            let reason = "a testnet's chain name starts with palisade-local- or palisade-dev-";
            return Err(refuse("chain_name", reason));
        }
        self.check_names()?;
        self.check_fund()?;
        let params = self.params()?;
        for name in self.names() {
            self.check_node(&name, &params)?;
        }
        if self
            .names()
            .iter()
            .all(|name| self.node[name].start_at.is_some())
        {
            return Err(refuse("start_at", "at least one node must start at once"));
        }
        self.check_faulty_stake()?;
        if let Some(load) = &self.load
            && Model::by_name(&load.model).is_none()
        {
            let reason = format!(
                "no model `{}`: demo/echo, demo/spin or demo/digits",
                load.model
            );
            return Err(refuse("load.model", reason));
        }
        for expect in &self.expect {
            if let Some(within) = &expect.within {
                duration_ms(within).ok_or_else(|| {
                    refuse("expect.within", format!("`{within}` is not like 60s"))
                })?;
            }
        }
        self.expectations().map(drop)
    }

    /// How many nodes there are, and that each is called by a name that a folder can have.
    ///
    /// # Errors
    /// [`ManifestError`] naming the first that is not.
    pub fn check_names(&self) -> Result<(), ManifestError> {
        let count = self.order.len().max(self.node.len());
        if !(1..=NODE_NAMES.len()).contains(&count) {
            let reason = format!("{count} nodes, 1 to {} allowed", NODE_NAMES.len());
            return Err(refuse("node", reason));
        }
        for name in self.order.iter().chain(self.node.keys()) {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let well = name.bytes().next().is_some_and(|b| b != b'-') && name.bytes().all(plain);
            if !well || !moniker_is_valid(name) {
                let reason = "names are 1 to 32 of a-z, 0-9 and -, not beginning with -";
                return Err(refuse(format!("node.{name:?}"), reason));
            }
        }
        self.check_order()
    }

    fn check_order(&self) -> Result<(), ManifestError> {
        let mut sorted = self.order.clone();
        sorted.sort();
        if self.order.is_empty() || sorted.iter().eq(self.node.keys()) {
            return Ok(());
        }
        Err(refuse("order", "must name each node once"))
    }

    fn check_node(&self, name: &str, params: &Params) -> Result<(), ManifestError> {
        let node = &self.node[name];
        let stake = self.stake(name)?;
        let least = params.self_bond_min;
        let key = || format!("node.{name}.stake");
        if stake < least {
            return Err(refuse(
                key(),
                format!("{stake} upal is below the bond of {least}"),
            ));
        }
        if !node.byzantine.is_empty() && stake == least {
            return Err(refuse(
                key(),
                "a byzantine node at the bond falls below it when slashed",
            ));
        }
        if node.byzantine.len() > 1 {
            return Err(refuse(
                format!("node.{name}.byzantine"),
                "one profile at a time",
            ));
        }
        for section in &node.byzantine {
            let known = crate::byzantine::NAMES;
            if !known.is_empty() && !known.contains(&section.profile.as_str()) {
                let near = crate::expect::nearest(&section.profile, known.iter().copied());
                let hint =
                    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                let reason = format!("unknown profile `{}`{hint}", section.profile);
                return Err(refuse(format!("node.{name}.byzantine"), reason));
            }
        }
        Ok(())
    }

    /// Agreement holds below a third of faulty stake only.
    fn check_faulty_stake(&self) -> Result<(), ManifestError> {
        let (mut faulty, mut total) = (0_u128, 0_u128);
        for (name, node) in &self.node {
            let stake = u128::from(self.stake(name)?.0);
            let late = node.start_at.is_some() || !node.perturb.is_empty();
            faulty += if late || !node.byzantine.is_empty() {
                stake
            } else {
                0
            };
            total += stake;
        }
        if self.allow_unsafe || faulty * 3 < total {
            return Ok(());
        }
        let reason = "a third of the stake or more is byzantine, late or perturbed; \
                      `allow_unsafe = true` if that is what you test";
        Err(refuse("node", reason))
    }
}

/// `"5 PAL"`, `"5PAL"`, `"12 upal"`.
#[must_use]
pub fn amount(text: &str) -> Option<Amount> {
    let (digits, unit) = split_unit(text)?;
    match unit {
        "PAL" => digits.checked_mul(UPAL_PER_PAL).map(Amount),
        "upal" => Some(Amount(digits)),
        _ => None,
    }
}

/// `"500ms"`, `"60s"`, `"2m"`, in milliseconds.
#[must_use]
pub fn duration_ms(text: &str) -> Option<u64> {
    let (digits, unit) = split_unit(text)?;
    match unit {
        "ms" => Some(digits),
        "s" => digits.checked_mul(1000),
        "m" => digits.checked_mul(60_000),
        _ => None,
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

/// A parameter's value: a whole number, an amount or a duration.
fn number(value: &toml::Value) -> Option<u64> {
    match value {
        toml::Value::Integer(number) => u64::try_from(*number).ok(),
        toml::Value::String(text) => amount(text).map(|a| a.0).or_else(|| duration_ms(text)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
