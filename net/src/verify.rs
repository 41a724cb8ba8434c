//! The pool that checks signatures: two threads, a budget, consensus first.
//!
//! A job goes in with an envelope and comes back exactly once, verified, refused or expired; so
//! every gossip message gets exactly one verdict. Jobs that wait longer than a second come back
//! expired: a verdict after gossipsub forgot the message forwards nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::MessageId;
use protocol::digest::{ChainId, Digest};
use protocol::envelope::{Envelope, EnvelopeHeader, Kind};
use protocol::signed::{Signed, Verified};
use protocol::tx::{KeyKind, Tx};
use protocol::vote::{BodyPlace, Pair, Proposal, RelayedCertificate, Vote};
use tokio::sync::mpsc;

use crate::buckets::{Buckets, Taken};
use crate::clock::Clock;
use crate::ladder::Offence;
use crate::limits::{Limits, Rate};
use crate::ports::Admission;
use crate::topic::Topic;

const THREADS: usize = 2;
/// Jobs waiting per topic.
const QUEUE_MAX: [usize; 4] = [1_024, 64, 256, 512];
/// The age at which a job is given back unverified.
const AGE_MAX: Duration = Duration::from_secs(1);
/// How long a thread sleeps when all it could do is over budget.
const NAP: Duration = Duration::from_millis(5);
/// Answers that may wait for the loop: all jobs at once.
const ANSWERS: usize = 4_096;

/// Where an envelope came from; decides who is told the verdict.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Gossip: gossipsub waits for a verdict on this id.
    Gossip(MessageId),
    /// An answer to our `voteset`, or an offer.
    Pull,
}

/// An envelope to verify.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) topic: Topic,
    pub(crate) peer: PeerId,
    pub(crate) source: Source,
    pub(crate) header: EnvelopeHeader,
    pub(crate) admission: Admission,
    /// Hash of the signed part.
    pub(crate) value: Digest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) since: Duration,
}

/// A verified message, by kind.
#[derive(Debug)]
pub(crate) enum Delivery {
    Vote(Verified<Vote>),
    Proposal(Verified<Proposal>, Option<Vec<u8>>),
    Certificate(Verified<RelayedCertificate>),
    Pair(Verified<Pair>),
    Tx(Box<Verified<Tx>>),
}

/// What came of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    Verified(Box<Delivery>),
    Refused(Offence),
    Expired,
}

/// A job that is done. `bytes` are gone; the rest says where it came from.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) job: Job,
    pub(crate) outcome: Outcome,
}

#[derive(Default)]
struct Queues {
    topics: [VecDeque<Job>; 4],
    stop: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    ready: Condvar,
    budget: [Buckets<()>; 4],
    clock: Clock,
    chain: ChainId,
}

/// The pool. Dropping it ends its threads.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(crate) fn start(
        chain: ChainId,
        limits: &Limits,
        clock: &Clock,
    ) -> std::io::Result<(Self, mpsc::Receiver<Done>)> {
        let budget = Topic::ALL.map(|topic| {
            let share = limits.verify_share(topic);
            Buckets::new(Rate::per_second(share, share), clock)
        });
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            ready: Condvar::new(),
            budget,
            clock: clock.clone(),
            chain,
        });
        let (sender, receiver) = mpsc::channel(ANSWERS);
        let mut pool = Self {
            shared,
            threads: Vec::new(),
        };
        for index in 0..THREADS {
            let (shared, sender) = (Arc::clone(&pool.shared), sender.clone());
            let thread = std::thread::Builder::new()
                .name(format!("net-verify-{index}"))
                .spawn(move || work(&shared, &sender))?;
            pool.threads.push(thread);
        }
        Ok((pool, receiver))
    }

    /// Queues a job, or gives it back if its topic's queue is full.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Box<Job>> {
        let mut queues = lock(&self.shared.queues);
        let index = job.topic.index();
        if queues.topics[index].len() >= QUEUE_MAX[index] {
            return Err(Box::new(job));
        }
        queues.topics[index].push_back(job);
        drop(queues);
        self.shared.ready.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.queues).stop = true;
        self.shared.ready.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(event = "verify_thread_panicked");
            }
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// The queues are plain data: a panic elsewhere leaves them usable.
fn lock(queues: &Mutex<Queues>) -> MutexGuard<'_, Queues> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(shared: &Shared, answers: &mpsc::Sender<Done>) {
    while let Some(job) = next(shared) {
        let outcome = if shared.clock.now().saturating_sub(job.since) > AGE_MAX {
            Outcome::Expired
        } else {
            check(&job.bytes, &shared.chain).map_or_else(Outcome::Refused, |delivery| {
                Outcome::Verified(Box::new(delivery))
            })
        };
        if answers.blocking_send(Done { job, outcome }).is_err() {
            return;
        }
    }
}

/// The most urgent job that its topic's budget allows, or the oldest expired one.
fn next(shared: &Shared) -> Option<Job> {
    let mut queues = lock(&shared.queues);
    loop {
        if queues.stop {
            return None;
        }
        let now = shared.clock.now();
        let mut waiting = false;
        for topic in Topic::ALL {
            let Some(job) = queues.topics[topic.index()].front() else {
                continue;
            };
            let expired = now.saturating_sub(job.since) > AGE_MAX;
            if expired || shared.budget[topic.index()].take(&(), 1) == Taken::Yes {
                return queues.topics[topic.index()].pop_front();
            }
            waiting = true;
        }
        queues = if waiting {
            let waited = shared.ready.wait_timeout(queues, NAP);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            shared
                .ready
                .wait(queues)
                .unwrap_or_else(PoisonError::into_inner)
        };
    }
}

/// Splits an envelope and verifies what is in it.
pub(crate) fn check(bytes: &[u8], chain: &ChainId) -> Result<Delivery, Offence> {
    let envelope = Envelope::parse(bytes).map_err(|_| Offence::Malformed)?;
    match envelope.header.kind {
        Kind::Prevote | Kind::Precommit => {
            let vote = envelope.to_vote().map_err(|_| Offence::Malformed)?;
            Ok(Delivery::Vote(
                vote.verify(chain).map_err(|_| Offence::BadSignature)?,
            ))
        }
        Kind::Proposal => {
            let proposal = envelope.to_proposal().map_err(|_| Offence::Malformed)?;
            let block = match proposal.message.body {
                BodyPlace::Apart => None,
                BodyPlace::Inline => Some(envelope.body.to_vec()),
            };
            let proposal = proposal.verify(chain).map_err(|_| Offence::BadSignature)?;
            Ok(Delivery::Proposal(proposal, block))
        }
        Kind::Certificate => {
            let relayed = envelope.to_certificate().map_err(|_| Offence::Malformed)?;
            let relayed = relayed.verify(chain).map_err(|_| Offence::BadSignature)?;
            Ok(Delivery::Certificate(relayed))
        }
        Kind::Pair => {
            let pair = envelope.to_pair().map_err(|_| Offence::Malformed)?;
            Ok(Delivery::Pair(
                pair.verify(chain).map_err(|_| Offence::BadSignature)?,
            ))
        }
        Kind::Tx | Kind::Duty => check_tx(&envelope, chain),
    }
}

/// A transaction signs its own bytes, not the envelope; so the header must say what they say.
fn check_tx(envelope: &Envelope<'_>, chain: &ChainId) -> Result<Delivery, Offence> {
    let bytes = envelope.to_tx_bytes().map_err(|_| Offence::Malformed)?;
    let tx = Signed::<Tx>::from_bytes(&bytes).map_err(|_| Offence::Malformed)?;
    let header = &envelope.header;
    let kind = match tx.message.key_kind {
        KeyKind::Wallet => Kind::Tx,
        KeyKind::Session => Kind::Duty,
    };
    let same = header.kind == kind
        && header.signer == *tx.message.signer.as_bytes()
        && header.height == tx.message.valid_until
        && header.round.0 == 0;
    if !same {
        return Err(Offence::Malformed);
    }
    Ok(Delivery::Tx(Box::new(
        tx.verify(chain).map_err(|_| Offence::BadSignature)?,
    )))
}

/// The only topic on which a kind may travel.
pub(crate) const fn topic_of(kind: Kind) -> Topic {
    match kind {
        Kind::Prevote | Kind::Precommit | Kind::Proposal | Kind::Certificate => Topic::Cons,
        Kind::Pair => Topic::Evid,
        Kind::Duty => Topic::Duty,
        Kind::Tx => Topic::Tx,
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
