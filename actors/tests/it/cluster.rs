//! The cluster: genesis, homes, nodes, and the waiting that the tests do.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actors::feed::HeightEvents;
use actors::handle::NodeHandle;
use actors::mempool::Admission;
use actors::observer::StorageObserver;
use actors::snapshot::Snapshot;
use actors::supervisor::Supervisor;
use actors::tamper::{NoProfiles, Profiles};
use actors::wiring::{self, NodeKeys, NodeParts};
use net::{JsonMemory, Multiaddr, NodeKey, Role};
use prometheus::Registry;
use protocol::digest::{ChainId, ValidatorId, sha256};
use protocol::events::Event;
use protocol::genesis::{Genesis, GenesisAccount, GenesisValidator};
use protocol::keys::SecretKey;
use protocol::params::Params;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, Height, TimeMs};
use storage::layer::OsLayer;
use storage::paths::SegmentSizes;
use storage::sign::portable::StoppedSignState;
use storage::sign::slot::SignerIdentity;
use storage::state::Backend;
use storage::{HomeLock, StorageConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::fake::{FakeEngine, Gate};

/// Nothing in these tests takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn key(seed: u8, purpose: &str) -> SecretKey {
    let bytes = sha256(&[&[seed], purpose.as_bytes()].concat());
    SecretKey::from_bytes(bytes.as_bytes()).unwrap()
}

/// Wallets with money.
pub(crate) const WALLETS: u8 = 40;

pub(crate) fn wallet(seed: u8) -> SecretKey {
    key(seed, "wallet")
}

pub(crate) fn operator(seed: u8) -> SecretKey {
    key(seed, "operator")
}

pub(crate) fn node_key(seed: u8) -> NodeKey {
    NodeKey::from_bytes(*sha256(&[seed, 99]).as_bytes()).unwrap()
}

/// A local chain of this many equal validators and some rich wallets, a little faster than usual.
///
/// Its windows are long: a job whose seats all speak ends at once, and no seat of a machine that other
/// tests keep busy misses one.
pub(crate) fn genesis(validators: u8) -> Genesis {
    let account = |key: SecretKey, pal| GenesisAccount {
        address: key.public().address(),
        balance: Amount::pal(pal),
    };
    let mut accounts: Vec<GenesisAccount> = (1..=WALLETS)
        .map(|seed| account(wallet(seed), 1_000))
        .collect();
    accounts.extend((1..=validators).map(|seed| account(operator(seed), 100)));
    accounts.push(account(operator(JOINER_SEED), 2_000));
    let validator = |seed| GenesisValidator {
        moniker: format!("node-{seed}"),
        operator: operator(seed).public().address(),
        consensus_pk: key(seed, "consensus").public(),
        session_pk: key(seed, "session").public(),
        peer_id: node_key(seed).peer_id().to_string(),
        self_bond: Amount::pal(1_000),
    };
    let params = Params {
        block_interval_ms: TimeMs(200),
        commit_slack_blocks: 60,
        reveal_blocks: 40,
        unbonding_blocks: 1_000,
        ..Params::local()
    };
    let draft = Genesis {
        chain_id: ChainId::of_genesis(b""),
        chain_name: "palisade-local-actors".to_owned(),
        time_ms: TimeMs(1_790_000_000_000),
        params,
        accounts,
        validators: (1..=validators).map(validator).collect(),
    };
    Genesis::parse(draft.to_toml().as_bytes()).unwrap()
}

/// One running node.
pub(crate) struct Node {
    pub(crate) handle: NodeHandle,
    pub(crate) registry: Registry,
}

/// All of them.
pub(crate) struct Cluster {
    dir: TempDir,
    pub(crate) genesis: Genesis,
    pub(crate) runtime: Runtime,
    pub(crate) nodes: Vec<Option<Node>>,
    profiles: Arc<dyn Profiles>,
    /// What holds up the runs of each node.
    pub(crate) gates: Vec<Gate>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cluster")
    }
}

impl Cluster {
    /// Starts this many nodes.
    pub(crate) fn start(count: u8) -> Self {
        Self::start_with(count, Arc::new(NoProfiles))
    }

    /// As [`Self::start`], able to rehearse misdeeds.
    pub(crate) fn start_with(count: u8, profiles: Arc<dyn Profiles>) -> Self {
        let mut cluster = Self::of(count);
        cluster.profiles = profiles;
        for index in 0..usize::from(count) {
            cluster.start_node(index);
        }
        cluster
    }

    /// A chain of this many validators of which none runs yet.
    pub(crate) fn of(count: u8) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let nodes = (0..NODES_MAX).map(|_| None).collect();
        let dir = tempfile::tempdir().unwrap();
        let profiles: Arc<dyn Profiles> = Arc::new(NoProfiles);
        Self {
            dir,
            genesis: genesis(count),
            runtime,
            nodes,
            profiles,
            gates: (0..NODES_MAX).map(|_| Gate::default()).collect(),
        }
    }

    pub(crate) fn home(&self, index: usize) -> PathBuf {
        self.dir.path().join(format!("node-{}", index + 1))
    }

    /// Starts a node that is down; it dials those that are up.
    pub(crate) fn start_node(&mut self, index: usize) {
        let node = start_node(
            &self.genesis,
            &self.home(index),
            index,
            self.addresses(),
            &self.profiles,
            &self.gates[index],
        );
        let mut views = node.handle.net().watch_view();
        let listens = views.wait_for(|view| !view.listening.is_empty());
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, listens)
                .await
                .unwrap()
                .unwrap();
        });
        self.nodes[index] = Some(node);
    }

    /// Where the running nodes are reached.
    pub(crate) fn addresses(&self) -> Vec<Multiaddr> {
        self.nodes.iter().flatten().map(Node::address).collect()
    }

    /// Ends a node in good order.
    pub(crate) fn stop_node(&mut self, index: usize) {
        let node = self.nodes[index].take().unwrap();
        node.handle.shutdown().unwrap();
        let mut ended = node.handle.net().ended();
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, ended.wait_for(|ended| *ended))
                .await
                .unwrap()
                .unwrap();
        });
    }

    pub(crate) fn node(&self, index: usize) -> &NodeHandle {
        &self.nodes[index].as_ref().unwrap().handle
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &NodeHandle> {
        self.nodes.iter().flatten().map(|node| &node.handle)
    }

    /// Waits until a node's snapshot satisfies the condition.
    pub(crate) fn wait(
        &self,
        index: usize,
        what: &str,
        condition: impl Fn(&Snapshot) -> bool,
    ) -> Arc<Snapshot> {
        let mut snapshots = self.node(index).watch_snapshot();
        let wait = snapshots.wait_for(|snapshot| condition(snapshot));
        let waited = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, wait)
                .await
                .map(|s| s.unwrap().clone())
        });
        waited.unwrap_or_else(|_| {
            let node = self.node(index);
            let at = node.snapshot().height;
            panic!(
                "node {index}: {what}; height {at}, peers {:?}, {:?}",
                node.network().peers.len(),
                node.fatal().borrow()
            )
        })
    }

    /// Waits until all running nodes have committed this height.
    pub(crate) fn wait_height(&self, height: u64) {
        for index in (0..self.nodes.len()).filter(|index| self.nodes[*index].is_some()) {
            self.wait(index, &format!("height {height}"), |s| {
                s.height >= Height(height)
            });
        }
    }

    /// Signs with a wallet and submits to one node.
    pub(crate) fn submit(&self, index: usize, key: &SecretKey, body: TxBody) -> Admission {
        let next = self.node(index).next_nonce(key.public().address());
        let nonce = self.runtime.block_on(next).unwrap();
        self.submit_at(index, key, nonce, body)
    }

    /// As [`Self::submit`], with a nonce.
    pub(crate) fn submit_at(
        &self,
        index: usize,
        key: &SecretKey,
        nonce: u64,
        body: TxBody,
    ) -> Admission {
        let height = self.node(index).snapshot().height;
        let tx = Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Wallet,
            signer: key.public(),
            nonce,
            fee: Amount(100_000),
            valid_until: height.plus(100),
            anchor: None,
            body,
        };
        let signed = Signed::sign(tx, key, &self.genesis.chain_id);
        self.runtime
            .block_on(self.node(index).submit(signed))
            .unwrap()
    }

    /// Waits for an event on one node.
    pub(crate) fn wait_event(
        &self,
        index: usize,
        what: &str,
        matches: impl Fn(&Event) -> bool,
    ) -> (Height, Event) {
        let found = |entries: Vec<HeightEvents>| {
            entries.into_iter().find_map(|entry| {
                let event = entry.events.iter().find(|event| matches(event))?;
                Some((entry.height, event.clone()))
            })
        };
        let feed = self.node(index).feed().clone();
        self.wait(index, what, |_| found(feed.after(Height(0))).is_some());
        found(feed.after(Height(0))).unwrap()
    }

    /// Waits until so many events of a sort have happened on one node.
    pub(crate) fn wait_events(
        &self,
        index: usize,
        what: &str,
        count: usize,
        matches: impl Fn(&Event) -> bool,
    ) {
        let feed = self.node(index).feed().clone();
        let found = |entries: Vec<HeightEvents>| {
            entries
                .iter()
                .flat_map(|entry| entry.events.iter())
                .filter(|e| matches(e))
                .count()
        };
        self.wait(index, what, |_| found(feed.after(Height(0))) >= count);
    }

    /// All nodes that run hold the same block at each height up to the lowest tip.
    pub(crate) fn assert_agreement(&self) {
        let lowest = self
            .running()
            .map(|node| node.snapshot().height)
            .min()
            .unwrap();
        for height in (1..=lowest.0).map(Height) {
            let ids: HashSet<_> = self
                .running()
                .filter_map(|node| node.storage().blocks().id(height))
                .collect();
            assert_eq!(ids.len(), 1, "one block at height {height}: {ids:?}");
        }
    }

    pub(crate) fn validator(&self, index: usize) -> ValidatorId {
        self.genesis.validators[index].id(&self.genesis.chain_id)
    }
}

/// Index of a node that holds keys which no validator has yet.
pub(crate) const JOINER: usize = 10;
/// Index of a node without keys.
pub(crate) const OBSERVER: usize = 11;
const NODES_MAX: usize = 12;
/// Seed of the joiner's keys.
pub(crate) const JOINER_SEED: u8 = 11;

/// Starts node `index` of a chain on a home, which is made if need be.
pub(crate) fn start_node(
    genesis: &Genesis,
    home: &Path,
    index: usize,
    peers: Vec<Multiaddr>,
    profiles: &Arc<dyn Profiles>,
    gate: &Gate,
) -> Node {
    let seed = u8::try_from(index + 1).unwrap();
    let data = home.join("data");
    let consensus = key(seed, "consensus");
    let (chain, public_key) = (genesis.chain_id, consensus.public());
    let lock = HomeLock::acquire(home).unwrap();
    if !data.exists() {
        std::fs::create_dir_all(&data).unwrap();
        let identity = SignerIdentity { chain, public_key };
        let state = StoppedSignState::new(Arc::new(OsLayer), &data, identity, &lock);
        state.init(Height(0)).unwrap();
    }
    let (registry, supervisor) = (Registry::new(), Supervisor::new());
    let keys = match index {
        OBSERVER => NodeKeys::default(),
        _ => NodeKeys {
            consensus: Some(consensus),
            session: Some(key(seed, "session")),
        },
    };
    let config = StorageConfig {
        data: data.clone(),
        chain,
        release: "test".to_owned(),
        signer: keys.consensus.as_ref().map(SecretKey::public),
        checkpoints: Some(Box::new(key(seed, "peer"))),
        segments: SegmentSizes::local(),
        blob_quota_bytes: 64 << 20,
        backend: Backend::Sled,
        layer: Arc::new(OsLayer),
        observer: Arc::new(StorageObserver::new(supervisor.clone(), &registry).unwrap()),
    };
    let (storage, recovered) = storage::open(config, lock).unwrap();
    let handle = wiring::start(NodeParts {
        genesis: genesis.clone(),
        keys,
        storage,
        recovered,
        net: net_config(genesis, seed, peers),
        peer_memory: Arc::new(JsonMemory::new(&data)),
        engine: Arc::new(FakeEngine(gate.clone())),
        profiles: profiles.clone(),
        registry: registry.clone(),
        supervisor,
    })
    .unwrap();
    Node { handle, registry }
}

fn net_config(genesis: &Genesis, seed: u8, peers: Vec<Multiaddr>) -> net::Config {
    let mut config = net::Config::new(genesis.chain_id, node_key(seed), Role::Validator);
    config.ip_exempt = HashSet::from([IpAddr::from([127, 0, 0, 1])]);
    config.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    config.limits = net::Limits::local();
    // Blocks come five a second, so silence shows soon.
    config.silence_window = Duration::from_secs(1);
    config.static_peers = peers;
    config
}

impl Node {
    /// Where the node is reached, with its id.
    pub(crate) fn address(&self) -> Multiaddr {
        let view = self.handle.network();
        view.listening[0]
            .clone()
            .with_p2p(self.handle.net().peer_id())
            .unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for gate in &self.gates {
            gate.open();
        }
        for node in self.nodes.iter().flatten() {
            // A test that fails should say why, not that stopping failed too.
            drop(node.handle.shutdown());
        }
    }
}
