//! Answers to our requests, and their absence.

use std::io;

use libp2p::PeerId;
use libp2p::request_response::{self, InboundFailure, Message, OutboundFailure, OutboundRequestId};

use super::Engine;
use super::ask::{Asked, Question};
use crate::event::{BulkEvent, ConsensusEvent, FetchFailure};
use crate::frame::Request;
use crate::ladder::Offence;
use crate::lanes::Sent;
use crate::messages::{
    Hello, decode_blob_answer, decode_body_answer, decode_sync_answer, decode_tip,
    decode_voteset_answer,
};
use crate::metrics::INBOUND;
use crate::service::Service;
use crate::wire::WireError;

impl Engine {
    pub(super) fn on_requests(
        &mut self,
        service: Service,
        event: request_response::Event<Request, Vec<u8>>,
    ) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request, channel, ..
                } => {
                    self.on_request(service, peer, &request, channel);
                }
                Message::Response {
                    request_id,
                    response,
                } => {
                    self.on_response(service, request_id, &response);
                }
            },
            request_response::Event::OutboundFailure {
                request_id, error, ..
            } => {
                self.on_outbound_failure(service, request_id, &error);
            }
            request_response::Event::InboundFailure { error, .. } => {
                self.on_inbound_failure(service, &error);
            }
            request_response::Event::ResponseSent { .. } => {
                self.metrics.request(service, "served");
            }
        }
    }

    fn take_asked(&mut self, service: Service, id: OutboundRequestId) -> Option<Asked> {
        let asked = self.asked.remove(&(service, id))?;
        let seconds = self.now().saturating_sub(asked.since).as_secs_f64();
        self.metrics
            .request_seconds
            .with_label_values(&[service.name()])
            .observe(seconds);
        Some(asked)
    }

    fn on_response(&mut self, service: Service, id: OutboundRequestId, bytes: &[u8]) {
        let Some(Asked { peer, question, .. }) = self.take_asked(service, id) else {
            return;
        };
        self.ask_next(peer, service);
        self.metrics
            .bytes
            .with_label_values(&[INBOUND])
            .inc_by(bytes.len() as u64);
        let outcome = match self.on_answer(peer, question.clone(), bytes) {
            Ok(()) => "ok",
            Err(error) => {
                tracing::debug!(event = "broken_answer", %peer, protocol = service.name(), %error);
                self.punish(peer, Offence::BrokenRequest, 1);
                self.unanswered(peer, question, FetchFailure::Broken);
                "broken"
            }
        };
        self.metrics.request(service, outcome);
    }

    fn on_answer(
        &mut self,
        peer: PeerId,
        question: Question,
        bytes: &[u8],
    ) -> Result<(), WireError> {
        let sent = match question {
            Question::Hello => {
                let hello = Hello::decode(bytes)?;
                self.greet(peer, hello);
                Sent::Yes
            }
            Question::Status => {
                let tip = decode_tip(bytes)?;
                self.note_tip(peer, tip);
                Sent::Yes
            }
            Question::Voteset => {
                let envelopes = decode_voteset_answer(bytes)?;
                self.take_pulled(peer, envelopes);
                Sent::Yes
            }
            Question::Body { block } => {
                let bytes = decode_body_answer(bytes)?;
                self.lanes
                    .consensus(ConsensusEvent::Body { peer, block, bytes })
            }
            Question::Sync { from } => {
                let blocks = decode_sync_answer(bytes)?;
                self.lanes
                    .consensus(ConsensusEvent::Synced { peer, from, blocks })
            }
            Question::Blob { request } => {
                let outcome = decode_blob_answer(bytes)?.ok_or(FetchFailure::NotHeld);
                self.lanes.bulk(BulkEvent {
                    peer,
                    request,
                    outcome,
                })
            }
        };
        if sent == Sent::Dropped {
            tracing::debug!(event = "answer_dropped", %peer);
        }
        Ok(())
    }

    fn on_outbound_failure(
        &mut self,
        service: Service,
        id: OutboundRequestId,
        error: &OutboundFailure,
    ) {
        let Some(Asked { peer, question, .. }) = self.take_asked(service, id) else {
            return;
        };
        self.ask_next(peer, service);
        let outcome = match error {
            OutboundFailure::Timeout => "timeout",
            OutboundFailure::Io(error) if is_broken(error) => {
                self.punish(peer, Offence::BrokenRequest, 1);
                "broken"
            }
            _ => "failed",
        };
        self.metrics.request(service, outcome);
        tracing::debug!(event = "request_failed", %peer, protocol = service.name(), %error);
        match question {
            Question::Hello => self.hello_failed(peer, error),
            question => self.unanswered(peer, question, FetchFailure::NoAnswer),
        }
    }

    fn on_inbound_failure(&self, service: Service, error: &InboundFailure) {
        match error {
            // We dropped the channel ourselves and counted why.
            InboundFailure::ResponseOmission => {}
            InboundFailure::Timeout => self.metrics.request(service, "timeout"),
            _ => self.metrics.request(service, "failed"),
        }
    }
}

/// A stream can end in many honest ways; only a frame that breaks the rules is the peer's fault.
fn is_broken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}
