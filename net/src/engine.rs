//! The loop: one thread owns the swarm and all tables, and never awaits.
//!
//! ```text
//! a turn: verdicts ─ urgent commands ─ swarm ─ served requests ─ ticks ─ other commands   (≤ 32 each)
//! ```
//! An unpolled swarm stalls every connection, so nothing here blocks: signatures are checked in
//! `verify`, disks are read on blocking threads, and both come back through channels.

mod answers;
mod ask;
mod commands;
mod connections;
mod greet;
mod intake;
mod punish;
mod serve;
mod ticks;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use libp2p::request_response::OutboundRequestId;
use libp2p::{Multiaddr, PeerId, Swarm};
use protocol::digest::ValidatorId;
use protocol::keys::PublicKey;
use protocol::units::{Height, Round};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, Sleep};

use crate::bans::{Ban, BanTable};
use crate::behaviour::Behaviour;
use crate::book::{Book, KnownPeer};
use crate::buckets::Buckets;
use crate::clock::Clock;
use crate::config::Config;
use crate::event::Lanes;
use crate::handle::{High, Low, View};
use crate::ladder::Ladder;
use crate::lanes::LaneSenders;
use crate::limits::{Rate, ServiceLimits};
use crate::messages::Life;
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::proof::Proof;
use crate::service::Service;
use crate::signers::SignerBuckets;
use crate::start::Ports;
use crate::topic::{Topic, Topics};
use crate::verify::{Done, Pool};

use self::ask::{Asked, Waiting};
use self::intake::Heard;
use self::serve::Served;

/// Items of each sort that one turn handles.
const TURN: usize = 32;
const TICK: Duration = Duration::from_millis(100);
/// After a bundle of transactions the next waits this long for company.
const LINGER: Duration = Duration::from_millis(20);

/// The receiving ends of the handle's channels.
pub(crate) struct Channels {
    pub(crate) high: mpsc::Receiver<High>,
    pub(crate) low: mpsc::Receiver<Low>,
    pub(crate) view: watch::Sender<Arc<View>>,
}

/// What one peer may ask, and what we send it in answer.
struct ServiceBuckets {
    requests: Buckets<PeerId>,
    egress: Buckets<PeerId>,
}

impl ServiceBuckets {
    fn new(limits: &ServiceLimits, clock: &Clock) -> Self {
        Self {
            requests: Buckets::new(limits.requests, clock),
            egress: Buckets::new(limits.response_bytes, clock),
        }
    }
}

/// What we hold ourselves to when publishing.
struct Outbox {
    messages: Buckets<()>,
    bytes: Buckets<()>,
    waiting: VecDeque<Vec<u8>>,
}

/// Everything the loop owns.
pub(crate) struct Engine {
    config: Config,
    life: Life,
    ports: Ports,
    metrics: Metrics,
    swarm: Swarm<Behaviour>,
    topics: Topics,
    channels: Channels,
    lanes: LaneSenders,
    pool: Pool,
    done: mpsc::Receiver<Done>,
    served_in: mpsc::Sender<Served>,
    served: mpsc::Receiver<Served>,
    tick: Interval,
    last: ticks::Last,
    peers: Peers,
    book: Book,
    bans: BanTable,
    /// Hosts of banned peers, as `ip_guard` names them; none of exempt addresses.
    ban_ips: HashMap<PeerId, IpAddr>,
    ladder: Ladder,
    heard: Heard,
    signers: [SignerBuckets; 4],
    services: [ServiceBuckets; 6],
    uplink: Buckets<()>,
    /// Blob requests to one peer: we stay below what it takes.
    asking: Buckets<PeerId>,
    outboxes: [Outbox; 4],
    /// Runs while transactions wait for company.
    linger: Option<Pin<Box<Sleep>>>,
    members: HashMap<ValidatorId, PublicKey>,
    /// Who last proved to speak for a member, connected or not.
    speakers: BTreeMap<ValidatorId, PeerId>,
    proof: Option<Proof>,
    dirty: BTreeSet<(Height, Round)>,
    asked: HashMap<(Service, OutboundRequestId), Asked>,
    waiting: HashMap<(PeerId, Service), VecDeque<Waiting>>,
    blobs_in_flight: usize,
    listening: Vec<Multiaddr>,
    bans_changed: bool,
    book_changed: bool,
    stopping: bool,
}

impl Engine {
    #[expect(clippy::too_many_arguments, reason = "called once, from start")]
    pub(crate) fn new(
        config: Config,
        ports: Ports,
        metrics: Metrics,
        swarm: Swarm<Behaviour>,
        topics: Topics,
        channels: Channels,
        bans: Vec<Ban>,
        known: Vec<KnownPeer>,
    ) -> io::Result<(Self, Lanes)> {
        let clock = config.clock.clone();
        let (pool, done) = Pool::start(config.chain, &config.limits, &clock)?;
        let (served_in, served) = mpsc::channel(serve::SERVED_MAX);
        let (lanes, out) = LaneSenders::new(metrics.clone());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let limits = &config.limits;
        let signers =
            Topic::ALL.map(|topic| SignerBuckets::new(limits.topic(topic).signer_messages, &clock));
        let services =
            Service::ALL.map(|service| ServiceBuckets::new(limits.service(service), &clock));
        let outboxes = Topic::ALL.map(|topic| Outbox {
            messages: Buckets::new(limits.topic(topic).relayer_messages.sending(), &clock),
            bytes: Buckets::new(limits.topic(topic).relayer_bytes.sending(), &clock),
            waiting: VecDeque::new(),
        });
        let uplink = config.uplink_bytes_per_second / 5 * 3;
        let mut engine = Self {
            life: Life::begin(),
            uplink: Buckets::new(Rate::per_second(uplink, uplink.max(1 << 20)), &clock),
            asking: Buckets::new(limits.blob.requests.sending(), &clock),
            book: Book::new(&config.static_peers, known),
            proof: config.proof.clone(),
            bans: BanTable::restore(bans),
            ports,
            metrics,
            swarm,
            topics,
            channels,
            lanes,
            pool,
            done,
            served_in,
            served,
            tick,
            last: ticks::Last::default(),
            peers: Peers::default(),
            ban_ips: HashMap::new(),
            ladder: Ladder::default(),
            heard: Heard::default(),
            signers,
            services,
            outboxes,
            linger: None,
            members: HashMap::new(),
            speakers: BTreeMap::new(),
            dirty: BTreeSet::new(),
            asked: HashMap::new(),
            waiting: HashMap::new(),
            blobs_in_flight: 0,
            listening: Vec::new(),
            bans_changed: false,
            book_changed: false,
            stopping: false,
            config,
        };
        engine.block_banned();
        Ok((engine, out))
    }

    fn now(&self) -> Duration {
        self.config.clock.now()
    }

    fn now_ms(&self) -> u64 {
        self.config.clock.unix_ms()
    }

    /// One turn. Ready when the network is to end.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut more = false;
        more |= drain(self, |engine| match engine.done.poll_recv(cx) {
            Poll::Ready(Some(done)) => {
                engine.on_done(done);
                true
            }
            _ => false,
        });
        more |= drain(self, |engine| match engine.channels.high.poll_recv(cx) {
            Poll::Ready(Some(command)) => {
                engine.on_high(command);
                true
            }
            // Every handle is gone: nobody is left to serve.
            Poll::Ready(None) => {
                engine.stopping = true;
                false
            }
            Poll::Pending => false,
        });
        if self.stopping {
            return Poll::Ready(());
        }
        more |= drain(self, |engine| match engine.swarm.poll_next_unpin(cx) {
            Poll::Ready(Some(event)) => {
                engine.on_swarm(event);
                true
            }
            _ => false,
        });
        more |= drain(self, |engine| match engine.served.poll_recv(cx) {
            Poll::Ready(Some(served)) => {
                engine.on_served(served);
                true
            }
            _ => false,
        });
        if let Some(linger) = &mut self.linger
            && linger.as_mut().poll(cx).is_ready()
        {
            self.linger = None;
            self.drain_bundles();
        }
        while self.tick.poll_tick(cx).is_ready() {
            self.on_tick();
        }
        more |= drain(self, |engine| match engine.channels.low.poll_recv(cx) {
            Poll::Ready(Some(command)) => {
                engine.on_low(command);
                true
            }
            _ => false,
        });
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Writes what must survive; the last thing before the end.
    pub(crate) fn store(&self) {
        if let Err(error) = self.ports.memory.store_bans(&self.bans.all()) {
            tracing::warn!(event = "bans_not_stored", %error);
        }
        if let Err(error) = self.ports.memory.store_peers(&self.book.known()) {
            tracing::warn!(event = "peers_not_stored", %error);
        }
    }
}

/// Handles up to a turn's worth; tells whether there may be more.
fn drain(engine: &mut Engine, mut step: impl FnMut(&mut Engine) -> bool) -> bool {
    (0..TURN).all(|_| step(engine))
}
