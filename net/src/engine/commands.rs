//! Commands of the handle.

use std::collections::HashSet;

use libp2p::PeerId;
use libp2p::gossipsub::PublishError;
use libp2p::swarm::dial_opts::DialOpts;
use protocol::digest::Digest;
use protocol::envelope::EnvelopeHeader;
use protocol::units::{Height, Round};

use super::ask::Question;
use super::intake::signed_value;
use super::{Engine, LINGER};
use crate::buckets::{Buckets, Taken};
use crate::bundle;
use crate::handle::{High, Low};
use crate::messages::{OFFERED_MAX, encode_body_request, encode_sync_request};
use crate::metrics::OUTBOUND;
use crate::service::Service;
use crate::topic::Topic;

/// Messages waiting for our own pace, per topic.
const OUTBOX_MAX: usize = 512;

impl Engine {
    pub(super) fn on_high(&mut self, command: High) {
        match command {
            High::Publish { topic, bytes } => self.publish(topic, bytes),
            #[cfg(feature = "hostile")]
            High::PublishRaw { topic, bytes } => {
                self.publish_now(topic, bytes);
            }
            High::Offer { height, round } => self.offer(height, round),
            High::Admit(members) => {
                self.members = members
                    .into_iter()
                    .map(|member| (member.validator, member.session_key))
                    .collect();
                self.recheck_proofs();
            }
            High::SetProof(proof) => {
                self.proof = Some(proof);
                for peer in self.peers.greeted() {
                    self.send_hello(peer);
                }
            }
            High::Report { peer, offence } => self.punish(peer, offence, 1),
            High::Ban(peer) => self.ban_by_operator(peer),
            High::Unban(peer) => self.unban_by_operator(&peer),
            High::Shutdown => self.stopping = true,
        }
    }

    pub(super) fn on_low(&mut self, command: Low) {
        match command {
            Low::FetchBody { peer, block } => {
                self.ask(peer, encode_body_request(&block), Question::Body { block });
            }
            Low::AskHeight { peer, from } => {
                self.ask(peer, encode_sync_request(from), Question::Sync { from });
            }
            Low::FetchChunk { peer, request } => {
                self.ask(peer, request.encode(), Question::Blob { request });
            }
            Low::Dial(address) => self.dial(DialOpts::from(address)),
        }
    }

    pub(super) fn dial(&mut self, options: DialOpts) {
        if let Err(error) = self.swarm.dial(options) {
            tracing::debug!(event = "dial_refused", %error);
        }
    }

    /// Publishes at once, or at the pace we hold ourselves to. Consensus is never held back.
    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) {
        let outbox = &mut self.outboxes[topic.index()];
        if topic == Topic::Cons {
            self.publish_now(topic, bytes);
            return;
        }
        if outbox.waiting.len() >= OUTBOX_MAX {
            return self.metrics.message(topic, OUTBOUND, "send_failed", 1);
        }
        outbox.waiting.push_back(bytes);
        match topic {
            Topic::Tx if self.linger.is_some() && outbox.waiting.len() < bundle::TXS_MAX => {}
            Topic::Tx => self.drain_bundles(),
            topic => self.drain_outbox(topic),
        }
    }

    /// Publishes the transactions that the pace allows now, as few messages as hold them. The first
    /// goes at once; those that follow soon wait for each other. All wait while nobody listens, as
    /// right after a start: a client was told that they are taken.
    pub(super) fn drain_bundles(&mut self) {
        while self.peers.listen_to(Topic::Tx) {
            let outbox = &mut self.outboxes[Topic::Tx.index()];
            let fitting = bundle::fitting(outbox.waiting.iter());
            let allowed = outbox.waiting.iter().take(fitting);
            let (messages, bytes) = (&outbox.messages, &outbox.bytes);
            let allowed = allowed.take_while(|envelope| allows(messages, bytes, envelope.len()));
            let count = allowed.count();
            if count == 0 {
                return;
            }
            let envelopes: Vec<Vec<u8>> = outbox.waiting.drain(..count).collect();
            self.publish_bundle(envelopes);
            self.linger = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
    }

    /// What a node has published it knows when it comes back in somebody else's bundle.
    fn publish_bundle(&mut self, envelopes: Vec<Vec<u8>>) {
        let (before, now) = (envelopes.len(), self.now());
        let value = |envelope: &Vec<u8>| {
            let header = EnvelopeHeader::parse(envelope).ok()?;
            signed_value(&header, envelope)
        };
        let seen = &mut self.heard.seen;
        let fresh = envelopes
            .into_iter()
            .map(|envelope| (value(&envelope), envelope))
            .filter(|(value, _)| value.is_none_or(|value| !seen.contains(&value)));
        let (values, fresh): (Vec<Option<Digest>>, Vec<Vec<u8>>) = fresh.unzip();
        let known = u32::try_from(before - fresh.len()).unwrap_or(u32::MAX);
        self.metrics
            .message(Topic::Tx, OUTBOUND, "duplicate", known);
        if !fresh.is_empty() && self.publish_now(Topic::Tx, bundle::seal(&fresh)) {
            let seen = &mut self.heard.seen;
            values
                .iter()
                .flatten()
                .for_each(|value| seen.enter(value, now));
        }
    }

    /// Publishes what the pace allows now.
    pub(super) fn drain_outbox(&mut self, topic: Topic) {
        loop {
            let outbox = &mut self.outboxes[topic.index()];
            let Some(bytes) = outbox.waiting.front() else {
                return;
            };
            if !allows(&outbox.messages, &outbox.bytes, bytes.len()) {
                return;
            }
            if let Some(bytes) = outbox.waiting.pop_front() {
                self.publish_now(topic, bytes);
            }
        }
    }

    /// Whether it went out.
    fn publish_now(&mut self, topic: Topic, bytes: Vec<u8>) -> bool {
        let length = bytes.len() as u64;
        let parts = match topic {
            Topic::Tx => bundle::claimed(&bytes),
            _ => 1,
        };
        let hash = self.topics.hash(topic).clone();
        let published = self.swarm.behaviour_mut().tap.gossip.publish(hash, bytes);
        let sent = published.is_ok();
        let outcome = match published {
            Ok(_) => {
                self.metrics
                    .bytes
                    .with_label_values(&[OUTBOUND])
                    .inc_by(length);
                "sent"
            }
            Err(PublishError::Duplicate) => "duplicate",
            Err(error) => {
                tracing::debug!(event = "publish_failed", topic = topic.name(), %error);
                "send_failed"
            }
        };
        self.metrics.message(topic, OUTBOUND, outcome, parts);
        sent
    }

    /// Offers a round to all validator peers, or to everybody if there are none.
    fn offer(&mut self, height: Height, round: Round) {
        let validators: HashSet<PeerId> = self.peers.validators();
        let envelopes = self.ports.chain.round(height, round);
        let offered: Vec<Vec<u8>> = envelopes.iter().take(OFFERED_MAX).cloned().collect();
        for peer in self.peers.greeted() {
            if validators.is_empty() || validators.contains(&peer) {
                self.ask_voteset(peer, height, round, &envelopes, offered.clone());
            }
        }
        if self.peers.greeted().is_empty() {
            self.metrics.request(Service::Voteset, "failed");
        }
    }
}

/// Whether our own pace allows one more message of this length.
fn allows(messages: &Buckets<()>, bytes: &Buckets<()>, length: usize) -> bool {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    messages.take(&(), 1) == Taken::Yes && bytes.take(&(), length) != Taken::Empty
}
