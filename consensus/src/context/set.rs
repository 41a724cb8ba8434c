//! A validator set that finds members by key through a map: the core asks for every vote.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_malachitebft_core_types as core;
use protocol::digest::ChainId;
use protocol::keys::PublicKey;
use protocol::limits::SUPPLY_MAX;
use protocol::units::{Height, Round};
use protocol::validators::{ValidatorEntry, ValidatorSet};

use super::{CoreAddress, Ctx};
use crate::proposer::proposer;

/// One validator as the core sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    address: CoreAddress,
    key: PublicKey,
    power: u64,
}

impl From<&ValidatorEntry> for Member {
    fn from(entry: &ValidatorEntry) -> Self {
        let key = entry.consensus_key;
        Self {
            address: CoreAddress(Some(key)),
            key,
            power: entry.power,
        }
    }
}

impl core::Validator<Ctx> for Member {
    fn address(&self) -> &CoreAddress {
        &self.address
    }

    fn public_key(&self) -> &PublicKey {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

#[derive(PartialEq, Eq, Debug)]
struct Inner {
    ours: Arc<ValidatorSet>,
    first: Member,
    members: Vec<Member>,
    by_key: BTreeMap<PublicKey, usize>,
    total: u64,
}

/// A set that is not empty and whose power the core can multiply by three. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CoreSet(Arc<Inner>);

impl CoreSet {
    /// `None` for a set that cannot agree on anything.
    pub(crate) fn new(set: ValidatorSet) -> Option<Self> {
        let members: Vec<Member> = set.members().iter().map(Member::from).collect();
        let by_key: BTreeMap<_, _> = members
            .iter()
            .enumerate()
            .map(|(i, m)| (m.key, i))
            .collect();
        let first = *members.first()?;
        let total = set.total_power();
        let sound = by_key.len() == members.len() && total > 0 && total <= SUPPLY_MAX;
        let ours = Arc::new(set);
        sound.then(|| {
            Self(Arc::new(Inner {
                ours,
                first,
                members,
                by_key,
                total,
            }))
        })
    }

    pub(crate) fn ours(&self) -> &Arc<ValidatorSet> {
        &self.0.ours
    }

    pub(crate) fn power_of(&self, key: &PublicKey) -> Option<u64> {
        self.member(key).map(|member| member.power)
    }

    fn member(&self, key: &PublicKey) -> Option<&Member> {
        self.0.members.get(*self.0.by_key.get(key)?)
    }

    /// Whether this power is more than a third: at least one honest member is part of it.
    pub(crate) fn is_honest(&self, power: u64) -> bool {
        u128::from(power).saturating_mul(3) > u128::from(self.0.total)
    }

    pub(crate) fn proposer(&self, chain: &ChainId, height: Height, round: Round) -> &Member {
        proposer(chain, &self.0.ours, height, round)
            .and_then(|entry| self.member(&entry.consensus_key))
            .unwrap_or(&self.0.first)
    }

    pub(crate) fn proposer_key(&self, chain: &ChainId, height: Height, round: Round) -> PublicKey {
        self.proposer(chain, height, round).key
    }
}

impl core::ValidatorSet<Ctx> for CoreSet {
    fn count(&self) -> usize {
        self.0.members.len()
    }

    fn total_voting_power(&self) -> u64 {
        self.0.total
    }

    fn get_by_address(&self, address: &CoreAddress) -> Option<&Member> {
        self.member(address.0.as_ref()?)
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.0.members.get(index)
    }
}
