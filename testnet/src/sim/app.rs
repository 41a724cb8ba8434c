//! What a node runs above agreement. Layer 1 puts little there, layer 2 a whole ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use consensus::Judgement;
use protocol::block::Block;
use protocol::digest::{ChainId, Digest};
use protocol::evidence::ContradictingPair;
use protocol::keys::PublicKey;
use protocol::units::{Height, Round};
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;

use super::keys::Keyring;
use super::plan::{Plan, Role};
use super::rng::Rng;
use super::time::Micros;
use super::trace::Trace;

/// What clocks that are right say when a world begins, in milliseconds.
pub const START_MS: u64 = 1_000_000_000;

/// Who sent an app a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// Another node.
    Node(usize),
    /// Somebody outside, through the node's own interface.
    Client,
}

/// A decision, durable in the block log.
#[derive(Debug, Clone, Copy)]
pub struct Committed<'a> {
    /// Header and body.
    pub block: &'a Arc<[u8]>,
    /// What proves it.
    pub certificate: &'a CommitCertificate,
    /// Whether it comes from the block log at start.
    pub replay: Replay,
}

/// Whether something happened in an earlier life of the process already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// It did, perhaps.
    Yes,
    /// It is new.
    No,
}

/// What survived of an app's own files: the records whole, in the order they were written.
#[derive(Debug, Default)]
pub struct Files {
    pub(crate) records: BTreeMap<u8, Vec<Vec<u8>>>,
}

impl Files {
    /// The records of one file; none if it was never written.
    #[must_use]
    pub fn records(&self, file: u8) -> &[Vec<u8>] {
        self.records.get(&file).map_or(&[], Vec::as_slice)
    }
}

/// An oracle of an app is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its short name, such as `I3`.
    pub oracle: &'static str,
    /// What was seen, and what was expected.
    pub text: String,
}

impl Broken {
    /// Names the oracle and says what was seen.
    pub fn new(oracle: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { oracle, text }
    }
}

/// What an app asks the world for.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Timer {
        after: Micros,
        token: u64,
    },
    Send {
        to: usize,
        bytes: Arc<[u8]>,
    },
    Broadcast {
        bytes: Arc<[u8]>,
    },
    Write {
        file: u8,
        bytes: Vec<u8>,
        token: u64,
    },
    Outside {
        after: Micros,
        token: u64,
    },
    Submit {
        to: usize,
        bytes: Arc<[u8]>,
    },
    Fail(Broken),
}

/// Everything that an app may know and do. What it asks for happens once its call has returned.
#[derive(Debug)]
pub struct Cx<'a> {
    pub(crate) now: Micros,
    pub(crate) node: usize,
    pub(crate) plan: &'a Plan,
    pub(crate) keys: &'a Keyring,
    pub(crate) rng: &'a mut Rng,
    pub(crate) trace: &'a mut Trace,
    pub(crate) asks: Vec<Ask>,
}

impl Cx<'_> {
    /// Virtual time, the same for all.
    #[must_use]
    pub const fn now(&self) -> Micros {
        self.now
    }

    /// What the node's own clock says, in milliseconds since it was set.
    #[must_use]
    pub fn local_time_ms(&self) -> u64 {
        let skew = self.plan.skew_ms.get(self.node).copied().unwrap_or(0);
        (START_MS + self.now.ms()).saturating_add_signed(skew)
    }

    /// Which node this is.
    #[must_use]
    pub const fn node(&self) -> usize {
        self.node
    }

    /// How it behaves.
    #[must_use]
    pub fn role(&self) -> Role {
        self.plan.role(self.node)
    }

    /// What the seed decided.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        self.plan
    }

    /// The keys of everybody.
    #[must_use]
    pub const fn keys(&self) -> &Keyring {
        self.keys
    }

    /// Chance.
    pub const fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// Calls `App::timer` after so many milliseconds, unless the process ends before.
    pub fn timer_after(&mut self, ms: u64, token: u64) {
        let after = Micros::from_ms(ms);
        self.asks.push(Ask::Timer { after, token });
    }

    /// Sends to one node. It may be lost.
    pub fn send(&mut self, to: usize, bytes: Arc<[u8]>) {
        self.asks.push(Ask::Send { to, bytes });
    }

    /// Sends to every other node. Each copy may be lost.
    pub fn broadcast(&mut self, bytes: Arc<[u8]>) {
        self.asks.push(Ask::Broadcast { bytes });
    }

    /// Appends a record to an own file and calls `App::stored` once that is durable.
    pub fn write(&mut self, file: u8, bytes: Vec<u8>, token: u64) {
        self.asks.push(Ask::Write { file, bytes, token });
    }

    /// Calls `App::outside` after so many milliseconds, whatever happens to nodes.
    pub fn outside_after(&mut self, ms: u64, token: u64) {
        let after = Micros::from_ms(ms);
        self.asks.push(Ask::Outside { after, token });
    }

    /// A client hands bytes to a node; lost if the node is down.
    pub fn submit(&mut self, to: usize, bytes: Arc<[u8]>) {
        self.asks.push(Ask::Submit { to, bytes });
    }

    /// An oracle of the app is broken: ends the run.
    pub fn fail(&mut self, broken: Broken) {
        self.asks.push(Ask::Fail(broken));
    }

    /// Folds a number into the trace's digest.
    pub const fn note(&mut self, value: u64) {
        self.trace.note(value);
    }

    /// A line of the column log; costs nothing if there is none.
    pub fn line(&mut self, what: impl FnOnce() -> String) {
        self.trace.line(self.now, self.node, what);
    }
}

/// What a node runs above agreement: one value a process, and what all share.
pub trait App: Sized {
    /// Of the whole world: genesis, those outside, what the app's own oracles remember.
    type Shared;

    /// Makes what is shared. Its own source of chance, so that other layers draw the same plan.
    fn shared(plan: &Plan, keys: &Keyring, rng: &mut Rng) -> Self::Shared;

    /// The chain.
    fn chain(shared: &Self::Shared) -> ChainId;

    /// The validators of heights 1 and 2.
    fn first_sets(shared: &Self::Shared) -> [ValidatorSet; 2];

    /// A process starts, at genesis. `commit` follows for each block of the block log, then
    /// `recovered`.
    fn start(shared: &mut Self::Shared, cx: &mut Cx<'_>, files: &Files) -> Self;

    /// Makes a block on the last committed one.
    fn build(
        &mut self,
        shared: &mut Self::Shared,
        cx: &mut Cx<'_>,
        height: Height,
        round: Round,
    ) -> Block;

    /// Judges a block on the last committed one.
    fn judge(
        &mut self,
        shared: &mut Self::Shared,
        cx: &mut Cx<'_>,
        height: Height,
        block: &Arc<[u8]>,
    ) -> Judgement;

    /// Applies a decision and says who validates two heights later.
    ///
    /// # Errors
    /// What is wrong with it; ends the run.
    fn commit(
        &mut self,
        shared: &mut Self::Shared,
        cx: &mut Cx<'_>,
        committed: &Committed<'_>,
    ) -> Result<ValidatorSet, Broken>;

    /// All blocks of the block log are applied.
    fn recovered(&mut self, shared: &mut Self::Shared, cx: &mut Cx<'_>);

    /// Somebody sent something.
    fn message(
        &mut self,
        shared: &mut Self::Shared,
        cx: &mut Cx<'_>,
        from: Sender,
        bytes: &Arc<[u8]>,
    );

    /// An own timer ran out.
    fn timer(&mut self, shared: &mut Self::Shared, cx: &mut Cx<'_>, token: u64);

    /// An own write is durable.
    fn stored(&mut self, shared: &mut Self::Shared, cx: &mut Cx<'_>, token: u64);

    /// The machine found a contradiction.
    fn contradiction(
        &mut self,
        shared: &mut Self::Shared,
        cx: &mut Cx<'_>,
        pair: &ContradictingPair,
    );

    /// Bytes that a hostile node sends to the apps of others: forged, unsigned, or without a meaning.
    fn junk(shared: &Self::Shared, cx: &mut Cx<'_>) -> Arc<[u8]>;

    /// Whether this node holds evidence against a key, or the chain does.
    fn accuses(&self, key: &PublicKey) -> bool;

    /// Something outside, asked for with `outside_after`; token 0 at time 0 is the world's own call.
    fn outside(shared: &mut Self::Shared, cx: &mut Cx<'_>, token: u64);

    /// Whether the design promises nothing any more: the run ends without a verdict.
    fn is_void(_: &Self::Shared) -> bool {
        false
    }

    /// How often what happened, so that a test can ask whether the seeds reach everything.
    fn tally(_: &Self::Shared) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }

    /// The state after the last committed block.
    fn root(&self) -> Digest;

    /// Whether those outside have done all they wanted to.
    fn is_done(shared: &Self::Shared) -> bool;

    /// What they still wait for, for people.
    fn waits_for(_shared: &Self::Shared) -> String {
        String::new()
    }

    /// The app's oracles at the end of a run.
    ///
    /// # Errors
    /// The first that is broken.
    fn check_end(shared: &mut Self::Shared, nodes: &[Option<&Self>]) -> Result<(), Broken>;
}
