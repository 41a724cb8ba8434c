//! The state: every leaf, the indexes derived from them, and the tree over them.
//!
//! Cloning is cheap (persistent maps), so a block is tried on a clone and readers keep theirs.

mod index;
mod load;

use std::sync::Arc;

use protocol::digest::{Address, ChainId, Digest, JobId, ValidatorId};
use protocol::events::Level;
use protocol::genesis::{Genesis, GenesisError};
use protocol::keys::PublicKey;
use protocol::params::Params;
use protocol::units::{Amount, Height, TimeMs};

pub use load::LoadError;

use crate::account::Account;
use crate::chain::{BlockRecord, ChainHead};
use crate::escrow::Pools;
use crate::evidence::EvidenceRecord;
use crate::execution::Seat;
use crate::jobs::{Cohort, JobHead, JobRequest, JobTrace, Snapshot};
use crate::layout::Only;
use crate::money::Breach;
use crate::root::{Proof, Tree};
use crate::staking::{Power, Unbonding, Validator};
use crate::table::{LeafChange, Record, Table, leaf_key};
use index::Index;

/// What genesis fixes for ever.
#[derive(Debug)]
struct Fixed {
    chain_id: ChainId,
    local: bool,
    params: Params,
}

/// The replicated state after one block.
#[derive(Clone, Debug)]
pub struct State {
    fixed: Arc<Fixed>,
    /// The chain's head; one row.
    pub(crate) chain: Table<ChainHead>,
    /// Recent blocks.
    pub blocks: Table<BlockRecord>,
    /// Accounts.
    pub accounts: Table<Account>,
    /// Validators, past ones too.
    pub validators: Table<Validator>,
    /// Stake on its way out.
    pub unbonding: Table<Unbonding>,
    /// Powers by validator and the height they begin at.
    pub powers: Table<Power>,
    /// Supply, fee pool and burned; one row.
    pub(crate) pools: Table<Pools>,
    /// Head leaves of jobs.
    pub jobs: Table<JobHead>,
    /// What jobs asked for.
    pub requests: Table<JobRequest>,
    /// Frozen lists of live jobs.
    pub snapshots: Table<Snapshot>,
    /// Refuted (model, engine) pairs.
    pub cohorts: Table<Cohort>,
    /// What is left of old jobs.
    pub traces: Table<JobTrace>,
    /// Seats.
    pub seats: Table<Seat>,
    /// Punished offences that could still be proved.
    pub evidence: Table<EvidenceRecord>,
    index: Index,
    tree: Tree,
}

impl State {
    fn empty(genesis: &Genesis) -> Self {
        let fixed = Fixed {
            chain_id: genesis.chain_id,
            local: genesis.is_local(),
            params: genesis.params.clone(),
        };
        Self {
            fixed: Arc::new(fixed),
            chain: Table::default(),
            blocks: Table::default(),
            accounts: Table::default(),
            validators: Table::default(),
            unbonding: Table::default(),
            powers: Table::default(),
            pools: Table::default(),
            jobs: Table::default(),
            requests: Table::default(),
            snapshots: Table::default(),
            cohorts: Table::default(),
            traces: Table::default(),
            seats: Table::default(),
            evidence: Table::default(),
            index: Index::default(),
            tree: Tree::default(),
        }
    }

    /// The state before the first block.
    ///
    /// # Errors
    /// [`GenesisError::Supply`] if the genesis holds more money than a chain may;
    /// [`GenesisError::Value`] if a leaf of it would be too long.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        let mut state = Self::empty(genesis);
        let supply = genesis.supply()?;
        state.pools.put(
            Only,
            Pools {
                version: 1,
                supply,
                ..Pools::default()
            },
        );
        for account in &genesis.accounts {
            let row = Account {
                version: 1,
                balance: account.balance,
                ..Account::default()
            };
            state.accounts.put(account.address, row);
        }
        for validator in &genesis.validators {
            let mut operator = state.account(&validator.operator);
            operator.nonce = 1;
            state.accounts.put(validator.operator, operator);
            let row = Validator {
                version: 1,
                operator: validator.operator,
                moniker: validator.moniker.clone(),
                consensus_pk: validator.consensus_pk,
                session_pk: validator.session_pk,
                peer_id: validator.peer_id.clone(),
                bonded: validator.self_bond,
                active_from: Height::ZERO,
                jail: None,
                exit: None,
                seat_locked: Amount::ZERO,
                unbonding_entries: 0,
                misses: 0,
                wrong_results: Vec::new(),
                anchor: None,
            };
            state.add_validator(validator.id(&genesis.chain_id), row);
        }
        state.begin_sets(Height(1));
        state.begin_chain(genesis.time_ms);
        let breach = |Breach(reason)| GenesisError::Value {
            key: "state",
            reason,
        };
        state.seal().map_err(breach)?;
        Ok(state)
    }

    fn begin_chain(&mut self, time_ms: TimeMs) {
        let block = protocol::digest::BlockId(self.chain_id().0);
        let head = ChainHead {
            version: 1,
            height: Height::ZERO,
            time_ms,
            block,
            next_unbonding: 0,
        };
        self.chain.put(Only, head);
        let active_stake = self.active_stake(Height::ZERO);
        self.blocks.put(
            Height::ZERO,
            BlockRecord {
                version: 1,
                block,
                time_ms,
                active_stake,
            },
        );
    }

    /// Stake of all validators that stand at this height.
    #[must_use]
    pub fn active_stake(&self, height: Height) -> Amount {
        let standing = self.standing(height).into_iter();
        standing.fold(Amount::ZERO, |sum, (_, stake)| sum.saturating_add(stake))
    }

    /// Which chain this is.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        self.fixed.chain_id
    }

    /// Whether it is a local chain.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.fixed.local
    }

    /// The chain's parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.fixed.params
    }

    /// The chain's head.
    #[must_use]
    pub fn head(&self) -> ChainHead {
        self.chain.get(&Only).cloned().unwrap_or(ChainHead {
            version: 1,
            height: Height::ZERO,
            time_ms: TimeMs::ZERO,
            block: protocol::digest::BlockId::ZERO,
            next_unbonding: 0,
        })
    }

    /// The height of the last block.
    #[must_use]
    pub fn height(&self) -> Height {
        self.head().height
    }

    /// Supply, fee pool and burned.
    #[must_use]
    pub fn pools(&self) -> Pools {
        self.pools.get(&Only).cloned().unwrap_or_default()
    }

    /// An account; an empty one if it never held anything.
    #[must_use]
    pub fn account(&self, address: &Address) -> Account {
        let empty = Account {
            version: 1,
            ..Account::default()
        };
        self.accounts.get(address).cloned().unwrap_or(empty)
    }

    /// What an account can spend.
    #[must_use]
    pub fn balance(&self, address: &Address) -> Amount {
        self.accounts
            .get(address)
            .map(|row| row.balance)
            .unwrap_or_default()
    }

    /// The validator an account operates, or the last it did.
    #[must_use]
    pub fn operated(&self, operator: &Address) -> Option<(ValidatorId, &Validator)> {
        let id = self.index.operator(operator)?;
        self.validators.get(&id).map(|row| (id, row))
    }

    /// Whose consensus or session key this is or was.
    #[must_use]
    pub fn key_holder(&self, key: &PublicKey) -> Option<ValidatorId> {
        self.index.key(key)
    }

    /// The validator that holds this session key.
    #[must_use]
    pub fn session_holder(&self, key: &PublicKey) -> Option<ValidatorId> {
        let id = self.index.key(key)?;
        self.validators
            .get(&id)
            .filter(|row| row.session_pk == *key)
            .map(|_| id)
    }

    /// A job's seats of one level, in seat order.
    #[must_use]
    pub fn seats_of(&self, job: JobId, head: &JobHead, level: Level) -> Vec<(u16, Seat)> {
        let attempt = head.attempt;
        let numbers = (0_u16..).zip(&head.seats).map(|(number, _)| number);
        numbers
            .filter_map(|seat| {
                let place = protocol::job::SeatRef { job, attempt, seat };
                self.seats
                    .get(&place)
                    .filter(|row| row.level == level)
                    .map(|row| (seat, row.clone()))
            })
            .collect()
    }

    /// Unbonding entries of one validator, oldest first.
    pub fn unbonding_of(
        &self,
        id: &ValidatorId,
    ) -> impl Iterator<Item = (&(ValidatorId, u64), &Unbonding)> {
        let id = *id;
        self.unbonding
            .starting_at((id, 0))
            .take_while(move |((of, _), _)| *of == id)
    }

    /// Jobs of one account that have not ended.
    #[must_use]
    pub fn live_jobs(&self) -> Vec<JobId> {
        self.index.live_jobs()
    }

    /// The state root: what the next header must carry.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// What shows, under [`Self::root`], that a record has its value or is absent.
    #[must_use]
    pub fn prove<R: Record>(&self, key: &R::Key) -> Proof {
        self.tree.prove(&leaf_key::<R>(key))
    }

    /// Collects what changed and brings the tree up to date.
    ///
    /// # Errors
    /// [`Breach`] if a leaf is longer than its type allows.
    pub(crate) fn seal(&mut self) -> Result<Vec<LeafChange>, Breach> {
        let mut changes = Vec::new();
        self.chain.drain_changes(&mut changes)?;
        self.blocks.drain_changes(&mut changes)?;
        self.accounts.drain_changes(&mut changes)?;
        self.validators.drain_changes(&mut changes)?;
        self.unbonding.drain_changes(&mut changes)?;
        self.powers.drain_changes(&mut changes)?;
        self.pools.drain_changes(&mut changes)?;
        self.jobs.drain_changes(&mut changes)?;
        self.requests.drain_changes(&mut changes)?;
        self.snapshots.drain_changes(&mut changes)?;
        self.cohorts.drain_changes(&mut changes)?;
        self.traces.drain_changes(&mut changes)?;
        self.seats.drain_changes(&mut changes)?;
        self.evidence.drain_changes(&mut changes)?;
        let updates = changes
            .iter()
            .map(|change| (change.key.as_slice(), change.value.as_deref()));
        self.tree = self.tree.update(updates);
        Ok(changes)
    }
}
