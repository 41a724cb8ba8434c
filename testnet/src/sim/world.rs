//! The world: nodes, links, faults and the order of events. One thread, no clock but its own.

mod apps;
mod deliver;
mod faults;
mod perform;
mod start;

use std::rc::Rc;
use std::sync::Arc;

use consensus::{Input, Outgoing, Received, TimerId, Timing};
use protocol::digest::BlockId;
use protocol::envelope::EnvelopeHeader;
use protocol::params::Params;
use protocol::units::Height;
use protocol::vote::CommitCertificate;

use super::app::{App, Broken};
use super::byzantine::Hostile;
use super::keys::{Keyring, Purpose};
use super::node::Node;
use super::oracle::Oracles;
use super::plan::{Plan, Role};
use super::rng::Rng;
use super::time::{Micros, Queue};
use super::trace::{Trace, Tracing};

/// The network is good, and yet somebody is not there: how long after GST that is a failure.
pub const BOUND: Micros = Micros::from_ms(90_000);

/// A message of agreement with what every receiver would find out about it: once is enough, the
/// bytes are the same for all.
#[derive(Debug)]
pub(crate) struct Gossip {
    pub(crate) header: EnvelopeHeader,
    /// `None` if a signature does not verify.
    pub(crate) received: Option<Received>,
    /// A block that rides along.
    pub(crate) block: Option<(BlockId, Arc<[u8]>)>,
    pub(crate) bytes: u64,
}

/// What travels between nodes.
#[derive(Debug, Clone)]
pub(crate) enum Wire {
    Gossip(Rc<Gossip>),
    BodyRequest(BlockId),
    Body(BlockId, Arc<[u8]>),
    HeightRequest(Height),
    Synced(Arc<[u8]>, Arc<CommitCertificate>),
    Status(Height),
    /// A status that wants one back: two nodes have found each other.
    Hello(Height),
    App(Arc<[u8]>),
}

/// What happens within one life of a node.
#[derive(Debug, Clone)]
pub(crate) enum Local {
    Timer(TimerId),
    Disk,
    Input(Box<Input>),
    App(u64),
    /// Time to tell everybody the own tip.
    Status,
    /// A hostile node's own idea.
    Mischief,
}

/// What happens.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Deliver { from: usize, to: usize, wire: Wire },
    Local { node: usize, life: u64, what: Local },
    Crash(usize),
    Start(usize),
    Outside(u64),
    Submit { to: usize, bytes: Arc<[u8]> },
}

/// What a run cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events handled.
    pub events: u64,
    /// Messages put on links.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Debug)]
pub(crate) struct World<A: App> {
    pub(crate) plan: Plan,
    pub(crate) keys: Keyring,
    pub(crate) shared: A::Shared,
    pub(crate) nodes: Vec<Node<A>>,
    pub(crate) hostile: Vec<Hostile>,
    pub(crate) queue: Queue<Event>,
    pub(crate) now: Micros,
    pub(crate) rng: Rng,
    pub(crate) app_rng: Rng,
    pub(crate) trace: Trace,
    pub(crate) oracles: Oracles,
    pub(crate) broken: Option<Broken>,
    pub(crate) counts: Counts,
    pub(crate) timing: Timing,
    /// Sizes are compared with limits after every so many events: each, up to 16 validators.
    pub(crate) size_check_every: u64,
    /// What every honest node must reach, once that is known.
    goal: Option<Height>,
}

impl<A: App> World<A> {
    pub(crate) fn new(plan: Plan, tracing: Tracing) -> Self {
        let keys = Keyring::new(plan.seed, plan.setup.signatures);
        let mut app_rng = Rng::new(plan.seed).fork(0x6170_7073);
        let shared = A::shared(&plan, &keys, &mut app_rng);
        let (chain, first) = (A::chain(&shared), A::first_sets(&shared));
        let node = |node: usize| {
            let key = keys.public(Purpose::Consensus, plan.member_of(node));
            let mut node = Node::new(chain, key, first.clone());
            node.init();
            node
        };
        let nodes = (0..plan.nodes()).map(node).collect();
        let mut world = Self {
            nodes,
            shared,
            hostile: (0..plan.nodes()).map(|_| Hostile::default()).collect(),
            queue: Queue::default(),
            now: Micros(0),
            rng: Rng::new(plan.seed).fork(0x6e65_7477),
            app_rng,
            trace: Trace::new(plan.seed, tracing),
            oracles: Oracles::new(&plan, &keys, chain),
            broken: None,
            counts: Counts::default(),
            timing: Timing::from(&Params::local()),
            size_check_every: u64::try_from(plan.members / 16).unwrap_or(1).max(1),
            goal: None,
            keys,
            plan,
        };
        world.schedule();
        world
    }

    /// What the plan says will happen.
    fn schedule(&mut self) {
        self.queue.put(Micros(0), Event::Outside(0));
        for node in 0..self.plan.nodes() {
            if self.plan.role(node) != Role::Silent {
                // Who starts late misses messages, and that is no calm.
                let late = if self.oracles.is_calm() { 1 } else { 50_000 };
                let at = Micros(self.rng.below(late));
                self.queue.put(at, Event::Start(node));
            }
        }
        for (index, crash) in self.plan.crashes.iter().enumerate() {
            self.queue.put(crash.at, Event::Crash(index));
            self.queue
                .put(crash.at.plus(crash.down), Event::Start(crash.node));
        }
    }

    /// Runs until everybody is where it must be, or an oracle is broken.
    pub(crate) fn run(&mut self) {
        let limit = self.plan.gst.plus(BOUND);
        while self.broken.is_none() {
            if A::is_void(&self.shared) {
                return;
            }
            if self.is_done() {
                self.end();
                return;
            }
            match self.queue.take() {
                Some((at, event)) if at <= limit => {
                    self.now = at;
                    self.counts.events += 1;
                    self.handle(event);
                }
                _ => return self.stalled(),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.trace.note(self.now.0);
        match event {
            Event::Deliver { from, to, wire } => self.deliver(from, to, &wire),
            Event::Local { node, life, what } => {
                if self.nodes.get(node).is_some_and(|node| node.life == life) {
                    self.local(node, what);
                }
            }
            Event::Crash(index) => self.crash(index),
            Event::Start(node) => self.start(node),
            Event::Outside(token) => self.outside(token),
            Event::Submit { to, bytes } => self.submitted(to, &bytes),
        }
    }

    fn local(&mut self, node: usize, what: Local) {
        match what {
            Local::Timer(id) => self.timer(node, id),
            Local::Disk => self.synced(node),
            Local::Input(input) => self.step(node, *input),
            Local::App(token) => self.app_timer(node, token),
            Local::Status => self.tell_tip(node),
            Local::Mischief => self.mischief(node),
        }
    }

    /// Lets something happen within this life of a node.
    pub(crate) fn later(&mut self, node: usize, after: Micros, what: Local) {
        if let Some(life) = self.nodes.get(node).map(|node| node.life) {
            let event = Event::Local { node, life, what };
            self.queue.put(self.now.plus(after), event);
        }
    }

    /// Puts a message on a link; it arrives late, twice, or never.
    pub(crate) fn send(&mut self, from: usize, to: usize, wire: Wire) {
        self.counts.messages += 1;
        self.counts.bytes += bytes_of(&wire);
        let is_good = self.now >= self.plan.gst;
        let links = if is_good {
            self.plan.after
        } else {
            self.plan.before
        };
        let is_lost =
            !is_good && (self.plan.is_cut(self.now, from, to) || self.rng.chance(links.loss));
        if is_lost {
            return;
        }
        if links.twice > 0 && self.rng.chance(links.twice) {
            let delay = Micros(self.rng.between(links.delay_min.0, links.delay_max.0));
            let wire = wire.clone();
            self.queue
                .put(self.now.plus(delay), Event::Deliver { from, to, wire });
        }
        let delay = Micros(self.rng.between(links.delay_min.0, links.delay_max.0));
        self.queue
            .put(self.now.plus(delay), Event::Deliver { from, to, wire });
    }

    pub(crate) fn send_all(&mut self, from: usize, wire: &Wire) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            self.send(from, to, wire.clone());
        }
    }

    /// The first thing that went wrong counts.
    pub(crate) fn fail(&mut self, broken: Broken) {
        let node = self.plan.nodes();
        self.trace.line(self.now, node, || {
            format!("BROKEN {}: {}", broken.oracle, broken.text)
        });
        self.broken.get_or_insert(broken);
    }

    fn is_done(&mut self) -> bool {
        if self.now < self.plan.gst {
            return false;
        }
        let tips = |world: &Self| -> Vec<Height> {
            world
                .plan
                .honest()
                .filter_map(|n| world.nodes.get(n))
                .map(Node::tip)
                .collect()
        };
        let Some(goal) = self.goal else {
            let most = tips(self).into_iter().max().unwrap_or_default();
            self.goal = Some(most.plus(3).max(Height(self.plan.setup.heights)));
            return false;
        };
        tips(self).into_iter().all(|tip| tip >= goal)
            && A::is_done(&self.shared)
            && self.unpunished().is_none()
    }

    fn stalled(&mut self) {
        let goal = self.goal.unwrap_or_default();
        let behind = self
            .plan
            .honest()
            .find(|n| self.nodes.get(*n).is_none_or(|n| n.tip() < goal));
        let broken = match (behind, self.unpunished()) {
            (Some(node), _) => {
                let tips: Vec<u64> = self.nodes.iter().map(|node| node.tip().0).collect();
                Broken::new("L1", format!("n{node} did not reach {goal}: tips {tips:?}"))
            }
            (None, Some(broken)) => broken,
            (None, None) => {
                let what = A::waits_for(&self.shared);
                Broken::new("L1", format!("those outside are still waiting: {what}"))
            }
        };
        self.fail(broken);
    }

    fn end(&mut self) {
        let nodes: Vec<Option<&A>> = self.nodes.iter().map(|node| node.app.as_ref()).collect();
        if let Err(broken) = A::check_end(&mut self.shared, &nodes) {
            self.fail(broken);
        }
    }

    /// The lowest tip of those that must get on.
    pub(crate) fn heights(&self) -> u64 {
        let tips = self
            .plan
            .honest()
            .filter_map(|n| self.nodes.get(n))
            .map(Node::tip);
        tips.min().unwrap_or_default().0
    }
}

fn bytes_of(wire: &Wire) -> u64 {
    let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(0);
    match wire {
        Wire::Gossip(gossip) => gossip.bytes,
        Wire::BodyRequest(_) => 40,
        Wire::HeightRequest(_) | Wire::Status(_) | Wire::Hello(_) => 16,
        Wire::Body(_, block) => length(block) + 40,
        Wire::Synced(block, certificate) => {
            let signatures = u64::try_from(certificate.signatures.len()).unwrap_or(0);
            length(block) + 44 + 97 * signatures
        }
        Wire::App(bytes) => length(bytes),
    }
}

/// What receivers find out about a message.
pub(crate) fn gossip(
    chain: &protocol::digest::ChainId,
    relay: &protocol::keys::SecretKey,
    message: &Outgoing,
) -> Option<Gossip> {
    deliver::gossip(chain, relay, message)
}
