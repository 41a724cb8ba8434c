//! A node with in-memory ports, and the waiting that the tests do.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use net::{
    Access, Admission, Ban, BlobRequest, Blobs, Chain, Chunk, Config, ConsensusEvent, DecidedBlock,
    Gate, KnownPeer, Lanes, Member, Metrics, Multiaddr, NetHandle, NodeKey, PeerMemory, Ports,
    Proof, Role, TcpSecurity, Tip, View, start,
};
use prometheus::Registry;
use protocol::digest::{BlockId, ChainId, Digest, ValidatorId, sha256};
use protocol::envelope::EnvelopeHeader;
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{Vote, VoteKind};
use tokio::sync::mpsc::Receiver;

/// Nothing in these tests takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn chain() -> ChainId {
    ChainId::of_genesis(b"palisade-local-net-tests")
}

pub(crate) fn validator(seed: u8) -> ValidatorId {
    ValidatorId(Digest([seed; 32]))
}

/// The session key of validator `seed`.
pub(crate) fn session_key(seed: u8) -> SecretKey {
    key(seed, b"session")
}

/// The consensus key of validator `seed`.
pub(crate) fn consensus_key(seed: u8) -> SecretKey {
    key(seed, b"consensus")
}

fn key(seed: u8, purpose: &[u8]) -> SecretKey {
    let bytes = sha256(&[&[seed], purpose].concat());
    SecretKey::from_bytes(bytes.as_bytes()).unwrap()
}

pub(crate) fn node_key(seed: u8) -> NodeKey {
    NodeKey::from_bytes(*sha256(&[seed, 99]).as_bytes()).unwrap()
}

pub(crate) fn member(seed: u8) -> Member {
    Member {
        validator: validator(seed),
        session_key: session_key(seed).public(),
    }
}

pub(crate) fn proof(seed: u8) -> Proof {
    let now_ms = net::Clock::system().unix_ms();
    let peer = node_key(seed).peer_id();
    Proof::sign(
        &session_key(seed),
        &chain(),
        Role::Validator,
        validator(seed),
        peer,
        now_ms,
    )
}

pub(crate) fn vote(seed: u8, height: u64, round: u32, block: &[u8]) -> Signed<Vote> {
    let key = consensus_key(seed);
    let message = Vote {
        kind: VoteKind::Prevote,
        height: Height(height),
        round: Round(round),
        block: Some(BlockId(sha256(block))),
        signer: key.public(),
    };
    Signed::sign(message, &key, &chain())
}

/// Envelopes by height and round.
type Rounds = BTreeMap<(u64, u32), Vec<Vec<u8>>>;

/// All ports in one: what the rest of a node would be.
pub(crate) struct World {
    /// Overrides the gate's answer by height.
    pub(crate) admissions: Mutex<BTreeMap<u64, Admission>>,
    pub(crate) tip: Mutex<Tip>,
    pub(crate) rounds: Mutex<Rounds>,
    pub(crate) bodies: Mutex<BTreeMap<BlockId, Vec<u8>>>,
    pub(crate) decided: Mutex<Vec<DecidedBlock>>,
    pub(crate) blob: Mutex<Vec<u8>>,
    pub(crate) accesses: Mutex<Vec<Access>>,
    pub(crate) bans: Mutex<Vec<Ban>>,
    pub(crate) known: Mutex<Vec<KnownPeer>>,
}

impl Default for World {
    fn default() -> Self {
        let tip = Tip {
            height: Height(0),
            block: BlockId(Digest([0; 32])),
        };
        Self {
            admissions: Mutex::default(),
            tip: Mutex::new(tip),
            rounds: Mutex::default(),
            bodies: Mutex::default(),
            decided: Mutex::default(),
            blob: Mutex::default(),
            accesses: Mutex::default(),
            bans: Mutex::default(),
            known: Mutex::default(),
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Gate for World {
    fn admit(&self, header: &EnvelopeHeader) -> Admission {
        lock(&self.admissions)
            .get(&header.height.0)
            .copied()
            .unwrap_or(Admission::Admit)
    }
}

impl Chain for World {
    fn tip(&self) -> Tip {
        *lock(&self.tip)
    }

    fn round(&self, height: Height, round: Round) -> Vec<Vec<u8>> {
        lock(&self.rounds)
            .get(&(height.0, round.0))
            .cloned()
            .unwrap_or_default()
    }

    fn body(&self, block: &BlockId) -> Option<Vec<u8>> {
        lock(&self.bodies).get(block).cloned()
    }

    fn decided(&self, from: Height, count_max: usize) -> Vec<DecidedBlock> {
        let skip = usize::try_from(from.0).unwrap();
        lock(&self.decided)
            .iter()
            .skip(skip)
            .take(count_max)
            .cloned()
            .collect()
    }
}

impl Blobs for World {
    fn chunk(&self, request: BlobRequest, access: Access) -> Option<Chunk> {
        lock(&self.accesses).push(access);
        let blob = lock(&self.blob);
        if sha256(&blob) != request.key {
            return None;
        }
        let from = usize::try_from(request.offset).unwrap();
        let end = blob.len().min(from + net::CHUNK_BYTES);
        let bytes = blob.get(from..end)?.to_vec();
        Some(Chunk {
            size: blob.len() as u64,
            bytes,
        })
    }
}

impl PeerMemory for World {
    fn load_bans(&self) -> io::Result<Vec<Ban>> {
        Ok(lock(&self.bans).clone())
    }

    fn store_bans(&self, bans: &[Ban]) -> io::Result<()> {
        *lock(&self.bans) = bans.to_vec();
        Ok(())
    }

    fn load_peers(&self) -> io::Result<Vec<KnownPeer>> {
        Ok(lock(&self.known).clone())
    }

    fn store_peers(&self, peers: &[KnownPeer]) -> io::Result<()> {
        *lock(&self.known) = peers.to_vec();
        Ok(())
    }
}

/// What a test's node listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Quic,
    Noise,
    Tls,
}

/// A running node; ends with its value.
pub(crate) struct Node {
    pub(crate) handle: NetHandle,
    pub(crate) lanes: Lanes,
    pub(crate) registry: Registry,
    pub(crate) world: Arc<World>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// Configuration of node `seed`, which is validator `seed` if it shows its proof.
pub(crate) fn config(seed: u8, carrier: Carrier) -> Config {
    let mut config = Config::new(chain(), node_key(seed), Role::Validator);
    config.ip_exempt = HashSet::from([IpAddr::from([127, 0, 0, 1])]);
    let listen = match carrier {
        Carrier::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
        Carrier::Noise | Carrier::Tls => "/ip4/127.0.0.1/tcp/0",
    };
    config.listen = vec![listen.parse().unwrap()];
    config.tcp_security = match carrier {
        Carrier::Tls => TcpSecurity::Tls,
        Carrier::Noise | Carrier::Quic => TcpSecurity::NoiseThenTls,
    };
    config.proof = Some(proof(seed));
    config
}

/// A node without proof: what a stranger is.
pub(crate) fn stranger(seed: u8, carrier: Carrier) -> Config {
    let mut config = config(seed, carrier);
    config.role = Role::Client;
    config.proof = None;
    config
}

impl Node {
    pub(crate) fn start(config: Config) -> Self {
        Self::start_in(config, Arc::new(World::default()))
    }

    pub(crate) fn start_in(config: Config, world: Arc<World>) -> Self {
        let registry = Registry::new();
        let ports = Ports {
            gate: world.clone(),
            memory: world.clone(),
            blobs: world.clone(),
            chain: world.clone(),
        };
        let metrics = Metrics::new(&registry).unwrap();
        let (handle, lanes) = start(config, ports, metrics).unwrap();
        let node = Self {
            handle,
            lanes,
            registry,
            world,
        };
        node.handle.admit((1..=8).map(member).collect()).unwrap();
        node.wait("listening", |view| !view.listening.is_empty());
        node
    }

    /// Where the node is reached, with its id.
    pub(crate) fn address(&self) -> Multiaddr {
        let view = self.handle.view();
        view.listening[0]
            .clone()
            .with_p2p(self.handle.peer_id())
            .unwrap()
    }

    /// Waits until the view satisfies the condition.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&View) -> bool) -> Arc<View> {
        self.wait_within(PATIENCE, what, condition)
    }

    /// As [`Self::wait`], where something else would make it true later.
    pub(crate) fn wait_within(
        &self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&View) -> bool,
    ) -> Arc<View> {
        let mut views = self.handle.watch_view();
        block_on(async {
            let waited = tokio::time::timeout(limit, views.wait_for(|view| condition(view)));
            match waited.await {
                Ok(Ok(view)) => Arc::clone(&view),
                other => panic!("{what}: {:?}; view {:?}", other.is_ok(), self.handle.view()),
            }
        })
    }

    pub(crate) fn wait_for_peers(&self, count: usize) {
        self.wait("peers that listen", |view| {
            view.peers.iter().filter(|row| row.topics == 4).count() == count
        });
    }

    /// The next consensus event that `pick` takes; others are passed over.
    pub(crate) fn next<T>(
        &mut self,
        what: &str,
        pick: impl FnMut(ConsensusEvent) -> Option<T>,
    ) -> T {
        next(&mut self.lanes.consensus, what, pick)
    }

    pub(crate) fn next_vote(&mut self) -> Vote {
        self.next("a vote", |event| match event {
            ConsensusEvent::Vote { vote, .. } => Some(*vote.message()),
            _ => None,
        })
    }

    /// Whether an event is waiting that `pick` takes.
    pub(crate) fn has(&mut self, mut pick: impl FnMut(ConsensusEvent) -> bool) -> bool {
        while let Ok(event) = self.lanes.consensus.try_recv() {
            if pick(event) {
                return true;
            }
        }
        false
    }

    /// The sum of a metric over all rows that carry these labels.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.registry.gather();
        let family = families
            .iter()
            .find(|family| family.name() == format!("palisade_{name}"));
        family
            .unwrap_or_else(|| panic!("no metric {name}"))
            .get_metric()
            .iter()
            .filter(|row| {
                labels.iter().all(|(label, value)| {
                    row.get_label()
                        .iter()
                        .any(|pair| pair.name() == *label && pair.value() == *value)
                })
            })
            .map(|row| row.get_counter().get_value() + row.get_gauge().get_value())
            .sum()
    }

    /// Polls a metric until it satisfies the condition.
    pub(crate) fn wait_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        ok: impl Fn(f64) -> bool,
    ) {
        poll(&format!("{name} {labels:?}"), || {
            ok(self.metric(name, labels))
        });
    }
}

/// Polls a condition every ten milliseconds; fails the test when patience ends.
pub(crate) fn poll(what: &str, mut condition: impl FnMut() -> bool) {
    block_on(async {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: not within {PATIENCE:?}");
    });
}

pub(crate) fn next<E, T>(
    lane: &mut Receiver<E>,
    what: &str,
    mut pick: impl FnMut(E) -> Option<T>,
) -> T {
    block_on(async {
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(event) = lane.recv().await {
                if let Some(found) = pick(event) {
                    return Some(found);
                }
            }
            None
        });
        match found.await {
            Ok(Some(found)) => found,
            Ok(None) => panic!("{what}: the network ended"),
            Err(_) => panic!("{what}: not within {PATIENCE:?}"),
        }
    })
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Starts nodes 1..=count; each knows those before it.
pub(crate) fn cluster(count: u8, carrier: Carrier) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for seed in 1..=count {
        let mut config = config(seed, carrier);
        config.static_peers = nodes.iter().map(Node::address).collect();
        nodes.push(Node::start(config));
    }
    for node in &nodes {
        node.wait("all greeted as validators", |view| {
            view.peers
                .iter()
                .filter(|row| row.validator.is_some() && row.topics == 4)
                .count()
                == usize::from(count) - 1
        });
    }
    nodes
}
