//! Requests that we make.

use std::time::Duration;

use libp2p::PeerId;
use protocol::digest::BlockId;
use protocol::envelope::EnvelopeHeader;
use protocol::units::{Height, Round};

use super::Engine;
use crate::buckets::Taken;
use crate::event::{BulkEvent, ConsensusEvent, FetchFailure};
use crate::frame::Request;
use crate::lanes::Sent;
use crate::messages::{BlobRequest, VoteKey, VotesetRequest, encode_tip};
use crate::metrics::OUTBOUND;
use crate::service::Service;

/// What was asked, so that the answer, or its absence, can be told.
#[derive(Clone, Debug)]
pub(super) enum Question {
    Hello,
    Status,
    Voteset,
    Body { block: BlockId },
    Sync { from: Height },
    Blob { request: BlobRequest },
}

/// A question on its way.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) peer: PeerId,
    pub(super) question: Question,
    pub(super) since: Duration,
}

/// A question for which there is no stream yet.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    question: Question,
}

/// Questions that may wait for one peer and protocol.
const WAITING_MAX: usize = 16;

impl Question {
    pub(super) const fn service(&self) -> Service {
        match self {
            Self::Hello => Service::Hello,
            Self::Status => Service::Status,
            Self::Voteset => Service::Voteset,
            Self::Body { .. } => Service::Body,
            Self::Sync { .. } => Service::Sync,
            Self::Blob { .. } => Service::Blob,
        }
    }
}

/// Names what envelopes say, for the `have` list of a `voteset`.
fn keys(envelopes: &[Vec<u8>]) -> Vec<VoteKey> {
    envelopes
        .iter()
        .filter_map(|bytes| EnvelopeHeader::parse(bytes).ok())
        .map(|header| VoteKey {
            kind: header.kind,
            signer: header.signer,
        })
        .collect()
}

impl Engine {
    /// Sends a request to a connected peer; nobody is dialled for it.
    pub(super) fn ask(&mut self, peer: PeerId, bytes: Vec<u8>, question: Question) {
        let service = question.service();
        let greeted = self.peers.is_greeted(&peer);
        if !(greeted || service == Service::Hello && self.peers.is_connected(&peer)) {
            self.metrics.request(service, "failed");
            self.unanswered(peer, question, FetchFailure::NoAnswer);
            return;
        }
        // A large file is many requests; whoever wants it finds another peer or comes back.
        if service == Service::Blob && self.asking.take(&peer, 1) != Taken::Yes {
            self.metrics.request(service, "held_back");
            self.unanswered(peer, question, FetchFailure::NoAnswer);
            return;
        }
        let on_the_way = self
            .asked
            .iter()
            .filter(|((of, _), asked)| *of == service && asked.peer == peer)
            .count();
        if on_the_way < service.streams_max() {
            self.send(peer, bytes, question);
            return;
        }
        let waiting = self.waiting.entry((peer, service)).or_default();
        if waiting.len() < WAITING_MAX {
            waiting.push_back(Waiting { bytes, question });
        } else {
            self.metrics.request(service, "failed");
            self.unanswered(peer, question, FetchFailure::NoAnswer);
        }
    }

    fn send(&mut self, peer: PeerId, bytes: Vec<u8>, question: Question) {
        let service = question.service();
        self.metrics
            .bytes
            .with_label_values(&[OUTBOUND])
            .inc_by(bytes.len() as u64);
        let requests = self.swarm.behaviour_mut().requests(service);
        let id = requests.send_request(&peer, Request::Bytes(bytes));
        let since = self.now();
        self.asked.insert(
            (service, id),
            Asked {
                peer,
                question,
                since,
            },
        );
    }

    /// A stream is free again: the next question may go. If the peer is gone, all are given up.
    pub(super) fn ask_next(&mut self, peer: PeerId, service: Service) {
        if !self.peers.is_greeted(&peer) {
            for Waiting { question, .. } in
                self.waiting.remove(&(peer, service)).unwrap_or_default()
            {
                self.metrics.request(service, "failed");
                self.unanswered(peer, question, FetchFailure::NoAnswer);
            }
            return;
        }
        let Some(waiting) = self.waiting.get_mut(&(peer, service)) else {
            return;
        };
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&(peer, service));
        }
        if let Some(Waiting { bytes, question }) = next {
            self.ask(peer, bytes, question);
        }
    }

    pub(super) fn send_hello(&mut self, peer: PeerId) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.greeting_sent = true;
        }
        let hello = self.own_hello().encode();
        self.ask(peer, hello, Question::Hello);
    }

    pub(super) fn ask_status(&mut self, peer: PeerId) {
        let tip = self.ports.chain.tip();
        self.ask(peer, encode_tip(&tip), Question::Status);
    }

    /// Asks for what we lack of a round and offers some of what we have.
    pub(super) fn ask_voteset(
        &mut self,
        peer: PeerId,
        height: Height,
        round: Round,
        held: &[Vec<u8>],
        offered: Vec<Vec<u8>>,
    ) {
        let request = VotesetRequest {
            height,
            round,
            have: keys(held),
            offered,
        };
        self.ask(peer, request.encode(), Question::Voteset);
    }

    /// A question will not be answered: whoever waits for it is told.
    pub(super) fn unanswered(&mut self, peer: PeerId, question: Question, why: FetchFailure) {
        let sent = match question {
            Question::Hello | Question::Status | Question::Voteset => Sent::Yes,
            Question::Body { block } => self.lanes.consensus(ConsensusEvent::Body {
                peer,
                block,
                bytes: None,
            }),
            Question::Sync { from } => self.lanes.consensus(ConsensusEvent::Synced {
                peer,
                from,
                blocks: Vec::new(),
            }),
            Question::Blob { request } => self.lanes.bulk(BulkEvent {
                peer,
                request,
                outcome: Err(why),
            }),
        };
        if sent == Sent::Dropped {
            tracing::debug!(event = "failure_not_told", %peer);
        }
    }
}
