//! A message's way in, cheapest check first.
//!
//! The tap has done size, standing and relayer's buckets. Here: header, topic, gate, whether the
//! signer has spent its quota, slot, and then the pool; on the way back slot again, the signer's
//! bucket, which only its own messages may empty, verdict, lane.

use std::collections::BTreeSet;

use libp2p::PeerId;
use libp2p::gossipsub::{Message, MessageAcceptance, MessageId};
use protocol::digest::{Digest, sha256};
use protocol::envelope::{EnvelopeHeader, Kind};
use protocol::limits::ENVELOPE_HEADER_BYTES;
use protocol::units::{Height, Round};

use super::Engine;
use super::verdicts::Verdicts;
use crate::bundle;
use crate::event::{ConsensusEvent, EvidenceEvent, TxEvent};
use crate::gossip::PAYLOAD_BYTES_MAX;
use crate::ladder::Offence;
use crate::lanes::Sent;
use crate::metrics::INBOUND;
use crate::ports::Admission;
use crate::seen::Seen;
use crate::slots::{SlotState, Slots, has_slot};
use crate::topic::Topic;
use crate::verify::{Delivery, Done, Job, Outcome, Source, topic_of};

/// Rounds remembered for a pull; the lowest are forgotten first, they matter least.
const DIRTY_MAX: usize = 64;

/// What was said already, and what is being judged.
#[derive(Debug, Default)]
pub(super) struct Heard {
    slots: Slots,
    pub(super) seen: Seen,
    verdicts: Verdicts,
}

/// Why a message goes no further, with what is said of it.
struct Stop {
    acceptance: MessageAcceptance,
    outcome: &'static str,
    offence: Option<Offence>,
}

impl Stop {
    const fn ignore(outcome: &'static str) -> Self {
        Self {
            acceptance: MessageAcceptance::Ignore,
            outcome,
            offence: None,
        }
    }

    const fn reject(offence: Offence) -> Self {
        let outcome = "rejected";
        Self {
            acceptance: MessageAcceptance::Reject,
            outcome,
            offence: Some(offence),
        }
    }
}

impl Engine {
    pub(super) fn on_message(&mut self, peer: PeerId, id: MessageId, message: Message) {
        let bytes = message.data;
        self.metrics
            .bytes
            .with_label_values(&[INBOUND])
            .inc_by(bytes.len() as u64);
        let Some(topic) = self.topics.find(&message.topic) else {
            self.report(&id, &peer, MessageAcceptance::Reject);
            return;
        };
        let parts = match topic {
            Topic::Tx => bundle::open(&bytes),
            Topic::Cons | Topic::Evid | Topic::Duty => Ok(vec![bytes]),
        };
        // What does not open is judged as one part.
        self.heard
            .verdicts
            .expect(&id, parts.as_ref().map_or(1, Vec::len));
        let source = Source::Gossip(id);
        let Ok(parts) = parts else {
            return self.judged(topic, peer, &source, Stop::reject(Offence::Malformed));
        };
        for bytes in parts {
            if let Err(stop) = self.take_in(topic, peer, source.clone(), bytes) {
                self.judged(topic, peer, &source, stop);
            }
        }
    }

    /// A part is judged: counted, punished, and reported if it was the message's last.
    fn judged(&mut self, topic: Topic, peer: PeerId, source: &Source, stop: Stop) {
        self.metrics.message(topic, INBOUND, stop.outcome, 1);
        if let Source::Gossip(id) = source
            && let Some(verdict) = self.heard.verdicts.judged(id, stop.acceptance)
        {
            self.report(id, &peer, verdict);
        }
        if let Some(offence) = stop.offence {
            self.punish(peer, offence, 1);
        }
    }

    /// Envelopes that a `voteset` answer brought.
    pub(super) fn take_pulled(&mut self, peer: PeerId, envelopes: Vec<Vec<u8>>) {
        for bytes in envelopes {
            if let Err(Stop {
                offence: Some(offence),
                ..
            }) = self.take_in(Topic::Cons, peer, Source::Pull, bytes)
            {
                self.punish(peer, offence, 1);
            }
        }
    }

    /// Envelopes that came along with a `voteset` request; what we hold already costs nothing.
    pub(super) fn take_offered(
        &mut self,
        peer: PeerId,
        mut offered: Vec<Vec<u8>>,
        held: &[Vec<u8>],
    ) {
        offered.retain(|bytes| !held.contains(bytes));
        self.take_pulled(peer, offered);
    }

    fn take_in(
        &mut self,
        topic: Topic,
        peer: PeerId,
        source: Source,
        bytes: Vec<u8>,
    ) -> Result<(), Stop> {
        let malformed = || Stop::reject(Offence::Malformed);
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(malformed());
        }
        let header = EnvelopeHeader::parse(&bytes).map_err(|_| malformed())?;
        if topic_of(header.kind) != topic {
            return Err(malformed());
        }
        let admission = self.ports.gate.admit(&header);
        match admission {
            Admission::Admit | Admission::Late => {}
            Admission::Foreign => return Err(malformed()),
            Admission::Duplicate => return Err(Stop::ignore("duplicate")),
            Admission::UnknownSet => return Err(Stop::ignore("ignored")),
            Admission::Ahead => {
                self.hint_ahead(peer, header.height);
                return Err(Stop::ignore("ignored"));
            }
        }
        if !self.signers[topic.index()].may_speak(&header.signer, self.now()) {
            return Err(self.over_quota(&header));
        }
        let value = signed_value(&header, &bytes).ok_or_else(malformed)?;
        let pulled = matches!(source, Source::Pull);
        match self.look(&header, value) {
            SlotState::Open => {}
            // Pulled again: whoever verified it first may have had no room for it.
            SlotState::Known if pulled => {}
            SlotState::Known => return Err(Stop::ignore("duplicate")),
            SlotState::Full => return Err(Stop::ignore("ignored")),
        }
        let since = self.now();
        let job = Job {
            topic,
            peer,
            source,
            header,
            admission,
            value,
            bytes,
            since,
        };
        self.pool.submit(job).map_err(|job| {
            self.mark_dirty(&job.header);
            Stop::ignore("overflow")
        })
    }

    /// Whether a value is news: by its slot, or as a user's transaction.
    fn look(&self, header: &EnvelopeHeader, value: Digest) -> SlotState {
        match header.kind {
            Kind::Tx if self.heard.seen.contains(&value) => SlotState::Known,
            _ => self.heard.slots.look(header, value),
        }
    }

    /// The relayer does not pay for it.
    fn over_quota(&mut self, header: &EnvelopeHeader) -> Stop {
        self.metrics
            .rate_limited
            .with_label_values(&["signer"])
            .inc();
        self.mark_dirty(header);
        Stop::ignore("overflow")
    }

    /// Whether the signer of a verified message has quota for it. Of what was pulled only a new value
    /// of a slot counts: anybody can offer one message of an honest signer any number of times.
    fn charge_signer(&mut self, job: &Job, before: SlotState) -> bool {
        let free = match job.source {
            Source::Gossip(_) => false,
            Source::Pull => before == SlotState::Known || !has_slot(job.header.kind),
        };
        free || self.signers[job.topic.index()].charge(&job.header.signer)
    }

    /// The pool is done with a message: verdict, offence or lane.
    pub(super) fn on_done(&mut self, done: Done) {
        let Done { job, outcome } = done;
        let waited = self.now().saturating_sub(job.since).as_secs_f64();
        self.metrics.verify_wait(job.topic).observe(waited);
        self.metrics
            .validation_seconds
            .with_label_values(&[job.topic.name()])
            .observe(waited);
        let stop = match outcome {
            Outcome::Verified(delivery) => self.on_verified(&job, *delivery),
            Outcome::Refused(offence) => Stop::reject(offence),
            Outcome::Expired => {
                self.mark_dirty(&job.header);
                Stop::ignore("expired")
            }
        };
        self.judged(job.topic, job.peer, &job.source, stop);
    }

    fn on_verified(&mut self, job: &Job, delivery: Delivery) -> Stop {
        let pulled = matches!(job.source, Source::Pull);
        let known = self.look(&job.header, job.value);
        match known {
            SlotState::Full => return Stop::ignore("ignored"),
            SlotState::Known if !pulled => return Stop::ignore("duplicate"),
            SlotState::Known | SlotState::Open => {}
        }
        if !self.charge_signer(job, known) {
            return self.over_quota(&job.header);
        }
        if self.deliver(job.peer, job.topic, delivery) == Sent::Dropped {
            self.mark_dirty(&job.header);
            return Stop::ignore("overflow");
        }
        if job.topic == Topic::Tx {
            let now = self.now();
            self.heard.seen.enter(&job.value, now);
        }
        let before = self.heard.slots.enter(&job.header, job.value);
        if pulled && before == SlotState::Open {
            self.metrics.pull_repairs.inc();
        }
        match job.admission {
            Admission::Late => Stop::ignore("late"),
            _ => Stop {
                acceptance: MessageAcceptance::Accept,
                outcome: "accepted",
                offence: None,
            },
        }
    }

    fn deliver(&self, peer: PeerId, topic: Topic, delivery: Delivery) -> Sent {
        match delivery {
            Delivery::Vote(vote) => self.lanes.consensus(ConsensusEvent::Vote { peer, vote }),
            Delivery::Proposal(proposal, block) => self.lanes.consensus(ConsensusEvent::Proposal {
                peer,
                proposal,
                block,
            }),
            Delivery::Certificate(certificate) => self
                .lanes
                .consensus(ConsensusEvent::Certificate { peer, certificate }),
            Delivery::Pair(pair) => self.lanes.evidence(EvidenceEvent { peer, pair }),
            Delivery::Tx(tx) if topic == Topic::Duty => self.lanes.duty(TxEvent { peer, tx: *tx }),
            Delivery::Tx(tx) => self.lanes.tx(TxEvent { peer, tx: *tx }),
        }
    }

    fn report(&mut self, id: &MessageId, peer: &PeerId, acceptance: MessageAcceptance) {
        let gossip = &mut self.swarm.behaviour_mut().tap.gossip;
        if !gossip.report_message_validation_result(id, peer, acceptance) {
            tracing::debug!(event = "verdict_after_cache_forgot", %peer);
        }
    }

    /// At most four hints a second and peer: a hint is a claim that nobody checked.
    fn hint_ahead(&mut self, peer: PeerId, height: Height) {
        let now = self.now();
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        if entry.hint_at > now {
            return;
        }
        entry.hint_at = now + std::time::Duration::from_millis(250);
        self.tell(ConsensusEvent::Ahead { peer, height });
    }

    /// Something of this round was lost here; it will be pulled.
    fn mark_dirty(&mut self, header: &EnvelopeHeader) {
        if topic_of(header.kind) == Topic::Cons {
            self.remember_dirty(header.height, header.round);
        }
    }

    /// Messages were lost unread: the rounds they belong to can only be guessed.
    pub(super) fn mark_all_dirty(&mut self) {
        let next = Height(self.ports.chain.tip().height.0.saturating_add(1));
        self.remember_dirty(next, Round(0));
    }

    fn remember_dirty(&mut self, height: Height, round: Round) {
        self.dirty.insert((height, round));
        if self.dirty.len() > DIRTY_MAX {
            self.dirty.pop_first();
        }
    }

    /// Pulls what was lost of some rounds, each from one greeted peer.
    pub(super) fn pull_dirty(&mut self) {
        let tip = self.ports.chain.tip().height;
        let rounds = std::mem::take(&mut self.dirty);
        let peers = self.peers.greeted();
        if peers.is_empty() {
            self.dirty = rounds;
            return;
        }
        let mut kept = BTreeSet::new();
        for (height, round) in rounds {
            if height <= tip {
                continue;
            }
            if self.last.pulls >= super::ticks::PULLS_PER_TICK {
                kept.insert((height, round));
                continue;
            }
            self.last.pulls += 1;
            self.last.turn = self.last.turn.wrapping_add(1);
            let peer = peers[self.last.turn % peers.len()];
            let held = self.ports.chain.round(height, round);
            self.ask_voteset(peer, height, round, &held, Vec::new());
        }
        self.dirty.append(&mut kept);
    }
}

/// Hash of what an envelope's signature covers; `None` if it is cut short.
pub(super) fn signed_value(header: &EnvelopeHeader, bytes: &[u8]) -> Option<Digest> {
    let signed = ENVELOPE_HEADER_BYTES.saturating_add(header.payload_len);
    bytes.get(4..signed).map(sha256)
}
