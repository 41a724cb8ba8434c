//! What all nodes of a world share: the chain's beginning, who may be trusted, what happened first
//! where, and the memory of the oracles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actors::seat::SeatResult;
use actors::verified::VerifiedTxs;
use ledger::{Applied, State};
use protocol::digest::{BlockId, ChainId, Digest, EvidenceId, TxId, ValidatorId};
use protocol::genesis::{Genesis, GenesisAccount, GenesisValidator};
use protocol::job::JobSpec;
use protocol::units::{Amount, Height, TimeMs};

use super::clients::Clients;
use super::host;
use super::oracle::Watch;
use super::scene::{JobKind, Scene};
use crate::sim::app::START_MS;
use crate::sim::keys::{Keyring, Purpose};
use crate::sim::plan::{Plan, Role};
use crate::sim::rng::Rng;

/// Stake for one unit of a plan's power.
const POWER_PAL: u64 = 100;
/// What each account begins with.
const BALANCE: Amount = Amount::pal(50);

/// A contradiction that an honest node holds on disk.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) validator: ValidatorId,
    pub(super) height: Height,
    /// It was found, or became known, too late to be worth anything.
    pub(super) late: bool,
}

/// Facts that oracles and hosts look at.
#[derive(Debug)]
pub(super) struct Facts {
    /// By member.
    pub(super) validators: Vec<ValidatorId>,
    honest: BTreeSet<ValidatorId>,
    pub(super) scene: Scene,
    pub(super) gst_ms: u64,
    models: BTreeMap<Digest, JobKind>,
    times: BTreeMap<Height, TimeMs>,
    proofs: BTreeMap<EvidenceId, Proof>,
    /// Forged reports that hostile builders put into blocks, with what each has to pay.
    lies: BTreeMap<TxId, Amount>,
}

impl Facts {
    /// Whether a validator follows every rule.
    pub(super) fn is_honest(&self, id: &ValidatorId) -> bool {
        self.honest.contains(id)
    }

    pub(super) fn is_honest_member(&self, member: usize) -> bool {
        self.validators
            .get(member)
            .is_some_and(|id| self.honest.contains(id))
    }

    /// The header time of a height.
    pub(super) fn time_of(&self, height: Height) -> Option<TimeMs> {
        self.times.get(&height).copied()
    }

    pub(super) fn kind_of(&self, spec: &JobSpec) -> JobKind {
        self.kind_of_model(&spec.model_root)
    }

    pub(super) fn kind_of_model(&self, root: &Digest) -> JobKind {
        self.models.get(root).copied().unwrap_or(JobKind::Plain)
    }

    /// What every honest host answers.
    pub(super) fn answer(&self, spec: &JobSpec) -> SeatResult {
        host::answer(self.kind_of(spec), spec)
    }

    pub(super) fn knows_model(&mut self, root: Digest, kind: JobKind) {
        self.models.insert(root, kind);
    }

    fn proved(&mut self, id: EvidenceId, proof: Proof) {
        let known = self.proofs.entry(id).or_insert_with(|| proof.clone());
        known.late &= proof.late;
    }

    pub(super) fn proofs(&self) -> impl Iterator<Item = &Proof> {
        self.proofs.values()
    }

    /// A hostile builder tells a lie in its own block.
    pub(super) fn lied(&mut self, id: TxId, fee: Amount) {
        self.lies.insert(id, fee);
    }

    pub(super) fn fee_of_lie(&self, id: &TxId) -> Option<Amount> {
        self.lies.get(id).copied()
    }

    /// Whether those who may fail hold less than a third of these.
    pub(super) fn is_safe(&self, powers: impl IntoIterator<Item = (ValidatorId, u64)>) -> bool {
        let (mut failing, mut total) = (0_u128, 0_u128);
        for (id, power) in powers {
            total += u128::from(power);
            if !self.honest.contains(&id) {
                failing += u128::from(power);
            }
        }
        failing * 3 < total
    }
}

/// See the module.
#[derive(Debug)]
pub struct Shared {
    pub(super) genesis: Genesis,
    pub(super) first: State,
    pub(super) verified: VerifiedTxs,
    pub(super) world: Facts,
    pub(super) watch: Watch,
    pub(super) clients: Clients,
    /// The newest state that any node reached.
    pub(super) newest: State,
    /// What each block does, for nodes that start again.
    pub(super) applied: BTreeMap<BlockId, Arc<Applied>>,
    /// When a process last started.
    pub(super) last_start_ms: u64,
    /// The last height each node's actors noted.
    pub(super) noted: Vec<Height>,
    /// The rules' assumption broke: those who may fail hold a third of a set. Nothing can be
    /// promised from here on.
    pub(super) void: bool,
    /// Those outside have done what they wanted, and the chain has nothing left to do for them.
    pub(super) done: bool,
}

fn genesis(plan: &Plan, keys: &Keyring, scene: &Scene) -> Genesis {
    let address = |purpose, index| keys.public(purpose, index).address();
    let members = 0..plan.members;
    let validators = members.clone().map(|member| GenesisValidator {
        moniker: format!("n{member}"),
        operator: address(Purpose::Operator, member),
        consensus_pk: keys.public(Purpose::Consensus, member),
        session_pk: keys.public(Purpose::Session, member),
        peer_id: "16Uiu2HAm".to_owned(),
        self_bond: Amount::pal(plan.power.get(member).copied().unwrap_or(1) * POWER_PAL),
    });
    let clients = 0..Clients::ACCOUNTS;
    let accounts = clients
        .map(|index| address(Purpose::Client, index))
        .chain(members.map(|member| address(Purpose::Operator, member)))
        .map(|address| GenesisAccount {
            address,
            balance: BALANCE,
        });
    Genesis {
        chain_id: ChainId::of_genesis(&plan.seed.to_be_bytes()),
        chain_name: "palisade-simulated".to_owned(),
        time_ms: TimeMs(START_MS),
        params: scene.params.clone(),
        accounts: accounts.collect(),
        validators: validators.collect(),
    }
}

/// Who may lie in jobs: whoever the plan lets fail, or, if it lets nobody, as many as may.
fn hostile(plan: &Plan, rng: &mut Rng) -> Vec<bool> {
    let failing = |member: usize| plan.role(member) != Role::Honest;
    let mut hostile: Vec<bool> = (0..plan.members).map(failing).collect();
    if hostile.contains(&true) || rng.chance(200) {
        return hostile;
    }
    let total: u64 = plan.power.iter().sum();
    let mut held = 0;
    let mut left: Vec<usize> = (0..plan.members).collect();
    while !left.is_empty() {
        let member = left.swap_remove(rng.index(left.len()));
        held += plan.power.get(member).copied().unwrap_or(0);
        if held * 3 >= total {
            break;
        }
        if let Some(bad) = hostile.get_mut(member) {
            *bad = true;
        }
    }
    hostile
}

impl Shared {
    pub(super) fn new(plan: &Plan, keys: &Keyring, rng: &mut Rng) -> Self {
        let hostile = hostile(plan, rng);
        let span_ms = plan.gst.ms() + 6_000;
        let scene = Scene::draw(&hostile, span_ms, rng);
        let genesis = genesis(plan, keys, &scene);
        let ids = genesis.validators.iter();
        let validators: Vec<ValidatorId> = ids.map(|row| row.id(&genesis.chain_id)).collect();
        let honest = validators.iter().zip(&hostile);
        let honest = honest.filter(|(_, bad)| !**bad).map(|(id, _)| *id);
        // A genesis of this size never exceeds the supply.
        let first = State::genesis(&genesis).unwrap_or_else(|error| panic!("genesis: {error}"));
        let world = Facts {
            honest: honest.collect(),
            validators,
            scene,
            gst_ms: plan.gst.ms(),
            models: BTreeMap::new(),
            times: [(Height::ZERO, genesis.time_ms)].into(),
            proofs: BTreeMap::new(),
            lies: BTreeMap::new(),
        };
        let mut shared = Self {
            watch: Watch::new(&first),
            verified: VerifiedTxs::default(),
            clients: Clients::new(keys, plan.members),
            newest: first.clone(),
            applied: BTreeMap::new(),
            last_start_ms: 0,
            noted: vec![Height::ZERO; plan.nodes()],
            void: false,
            done: false,
            genesis,
            first,
            world,
        };
        super::clients::prepare(&mut shared);
        shared
    }

    pub(super) fn saw(&mut self, height: Height, time: TimeMs) {
        self.world.times.insert(height, time);
    }

    /// An honest node has made a pair durable. Whoever thought that nothing was left to do waits anew:
    /// the offence is to be punished first.
    pub(super) fn proved(&mut self, id: EvidenceId, proof: Proof) {
        self.world.proved(id, proof);
        self.clients.wait_anew();
        self.done = false;
    }
}
