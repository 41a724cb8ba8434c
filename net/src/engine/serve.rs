//! Requests that peers make.

use std::sync::Arc;

use libp2p::PeerId;
use libp2p::request_response::ResponseChannel;

use super::Engine;
use crate::buckets::Taken;
use crate::frame::Request;
use crate::ladder::Offence;
use crate::messages::{
    BlobRequest, Hello, SYNC_BLOCKS_MAX, VoteKey, VotesetRequest, decode_body_request,
    decode_sync_request, decode_tip, encode_blob_answer, encode_body_answer, encode_sync_answer,
    encode_tip, encode_voteset_answer,
};
use crate::metrics::{INBOUND, OUTBOUND};
use crate::ports::Access;
use crate::service::Service;
use crate::wire::WireError;

/// Disk reads in flight for one peer.
const BLOBS_PER_PEER: usize = 4;
/// Disk reads in flight for all.
const BLOBS_MAX: usize = 16;
/// Finished reads that may wait for the loop; at most this many are ever in flight.
pub(super) const SERVED_MAX: usize = BLOBS_MAX;

/// An answer that a blocking thread has prepared.
#[derive(Debug)]
pub(crate) struct Served {
    service: Service,
    peer: PeerId,
    bytes: Vec<u8>,
    channel: ResponseChannel<Vec<u8>>,
}

impl Engine {
    pub(super) fn on_request(
        &mut self,
        service: Service,
        peer: PeerId,
        request: &Request,
        channel: ResponseChannel<Vec<u8>>,
    ) {
        let length = match request {
            Request::Bytes(bytes) => bytes.len() as u64,
            Request::Broken => 0,
        };
        self.metrics
            .bytes
            .with_label_values(&[INBOUND])
            .inc_by(length);
        if service != Service::Hello && !self.peers.is_greeted(&peer) {
            self.metrics.request(service, "not_greeted");
            return;
        }
        if self.services[service.index()].requests.take(&peer, 1) != Taken::Yes {
            self.metrics.request(service, "refused");
            self.overflow(peer, "request", 1);
            return;
        }
        let served = match request {
            Request::Bytes(bytes) => self.serve(service, peer, bytes, channel),
            Request::Broken => Err(WireError::Frame),
        };
        if let Err(error) = served {
            tracing::debug!(event = "broken_request", %peer, protocol = service.name(), %error);
            self.metrics.request(service, "broken");
            self.punish(peer, Offence::BrokenRequest, 1);
        }
    }

    fn serve(
        &mut self,
        service: Service,
        peer: PeerId,
        bytes: &[u8],
        channel: ResponseChannel<Vec<u8>>,
    ) -> Result<(), WireError> {
        let answer = match service {
            Service::Hello => {
                let hello = Hello::decode(bytes)?;
                let answer = self.own_hello().encode();
                self.respond(service, peer, answer, channel);
                self.greet(peer, hello);
                return Ok(());
            }
            Service::Status => {
                let tip = decode_tip(bytes)?;
                self.note_tip(peer, tip);
                encode_tip(&self.ports.chain.tip())
            }
            Service::Voteset => self.serve_voteset(peer, VotesetRequest::decode(bytes)?),
            Service::Body => {
                let block = decode_body_request(bytes)?;
                encode_body_answer(self.ports.chain.body(&block).as_deref())
            }
            Service::Sync => {
                let from = decode_sync_request(bytes)?;
                let chain = Arc::clone(&self.ports.chain);
                self.serve_blocking(service, peer, channel, move || {
                    encode_sync_answer(&chain.decided(from, SYNC_BLOCKS_MAX))
                });
                return Ok(());
            }
            Service::Blob => {
                let request = BlobRequest::decode(bytes)?;
                let speaks = self.peers.get(&peer).and_then(|peer| peer.validator());
                let access = speaks.map_or(Access::Public, |_| Access::Validator);
                let blobs = Arc::clone(&self.ports.blobs);
                self.serve_blocking(service, peer, channel, move || {
                    encode_blob_answer(blobs.chunk(request, access).as_ref())
                });
                return Ok(());
            }
        };
        self.respond(service, peer, answer, channel);
        Ok(())
    }

    fn serve_voteset(&mut self, peer: PeerId, request: VotesetRequest) -> Vec<u8> {
        let held = self.ports.chain.round(request.height, request.round);
        self.take_offered(peer, request.offered, &held);
        let mut missing = held;
        missing.retain(|bytes| {
            protocol::envelope::EnvelopeHeader::parse(bytes).is_ok_and(|header| {
                let key = VoteKey {
                    kind: header.kind,
                    signer: header.signer,
                };
                !request.have.contains(&key)
            })
        });
        encode_voteset_answer(&missing)
    }

    /// Reads a disk on a blocking thread, a bounded number at a time.
    fn serve_blocking(
        &mut self,
        service: Service,
        peer: PeerId,
        channel: ResponseChannel<Vec<u8>>,
        read: impl FnOnce() -> Vec<u8> + Send + 'static,
    ) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        if entry.blobs_in_flight >= BLOBS_PER_PEER || self.blobs_in_flight >= BLOBS_MAX {
            self.metrics.request(service, "refused");
            return;
        }
        entry.blobs_in_flight += 1;
        self.blobs_in_flight += 1;
        let finished = self.served_in.clone();
        drop(tokio::task::spawn_blocking(move || {
            let bytes = read();
            if finished
                .blocking_send(Served {
                    service,
                    peer,
                    bytes,
                    channel,
                })
                .is_err()
            {
                tracing::debug!(event = "answer_after_the_end");
            }
        }));
    }

    pub(super) fn on_served(&mut self, served: Served) {
        self.blobs_in_flight = self.blobs_in_flight.saturating_sub(1);
        if let Some(entry) = self.peers.get_mut(&served.peer) {
            entry.blobs_in_flight = entry.blobs_in_flight.saturating_sub(1);
        }
        self.respond(served.service, served.peer, served.bytes, served.channel);
    }

    /// Sends an answer if peer and uplink have tokens for it; else drops it, which the peer sees as
    /// a failed request.
    fn respond(
        &mut self,
        service: Service,
        peer: PeerId,
        bytes: Vec<u8>,
        channel: ResponseChannel<Vec<u8>>,
    ) {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let allowed = self.services[service.index()].egress.take(&peer, length) == Taken::Yes
            && (service != Service::Blob || self.uplink.take(&(), length) == Taken::Yes);
        if !allowed {
            self.metrics
                .rate_limited
                .with_label_values(&["egress"])
                .inc();
            self.metrics.request(service, "refused");
            return;
        }
        self.metrics
            .bytes
            .with_label_values(&[OUTBOUND])
            .inc_by(u64::from(length));
        let requests = self.swarm.behaviour_mut().requests(service);
        if requests.send_response(channel, bytes).is_err() {
            self.metrics.request(service, "failed");
        }
    }
}
