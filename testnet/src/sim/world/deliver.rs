//! Arrival: as the network does it, admission by header, then the signature, then the machine.

use std::sync::Arc;

use consensus::admission::Admission;
use consensus::{Input, Outgoing, Peer, Received};
use protocol::digest::ChainId;
use protocol::envelope::{EnvelopeHeader, seal_certificate, seal_proposal, seal_vote};
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::vote::RelayedCertificate;

use super::{Gossip, Wire, World};
use crate::sim::app::{App, Sender};
use crate::sim::node::Node;
use crate::sim::plan::Role;

/// Blocks sent in one answer.
const SYNC_BLOCKS: usize = 64;

/// The name of a node on the network.
pub(crate) fn peer(node: usize) -> Peer {
    Peer::new(&u16::try_from(node).unwrap_or(u16::MAX).to_be_bytes())
}

pub(crate) fn node_of(peer: &Peer) -> usize {
    let bytes = peer.as_bytes().first_chunk::<2>();
    bytes.map_or(usize::MAX, |bytes| usize::from(u16::from_be_bytes(*bytes)))
}

pub(super) fn gossip(chain: &ChainId, relay: &SecretKey, message: &Outgoing) -> Option<Gossip> {
    let (bytes, received, block) = match message {
        Outgoing::Vote(vote) => {
            let received = vote.clone().verify(chain).ok().map(Received::Vote);
            (seal_vote(vote), received, None)
        }
        Outgoing::Proposal(proposal, block) => {
            let received = proposal.clone().verify(chain).ok().map(Received::Proposal);
            let id = proposal.message.block;
            let block = block.as_ref().map(|block| (id, Arc::clone(block)));
            (seal_proposal(proposal, &[]), received, block)
        }
        Outgoing::Certificate(certificate) => {
            let message = RelayedCertificate {
                certificate: certificate.clone(),
                signer: relay.public(),
            };
            let signed = Signed::sign(message, relay, chain);
            let bytes = seal_certificate(&signed);
            (
                bytes,
                signed.verify(chain).ok().map(Received::Certificate),
                None,
            )
        }
    };
    let riding = block.as_ref().map_or(0, |(_, block)| block.len());
    Some(Gossip {
        header: EnvelopeHeader::parse(&bytes).ok()?,
        received,
        block,
        bytes: u64::try_from(bytes.len() + riding).unwrap_or(0),
    })
}

impl<A: App> World<A> {
    pub(super) fn deliver(&mut self, from: usize, to: usize, wire: &Wire) {
        if self.nodes.get(to).is_none_or(|node| !node.is_up()) {
            return;
        }
        let by = peer(from);
        self.trace
            .note(u64::try_from((from << 16) | to).unwrap_or(0));
        match wire {
            Wire::Gossip(gossip) => self.take_in(by, to, gossip),
            Wire::BodyRequest(id) => self.serve_body(from, to, *id),
            Wire::Body(id, block) => self.step(to, Input::Body(by, *id, Arc::clone(block))),
            Wire::HeightRequest(height) => self.serve_height(from, to, *height),
            Wire::Synced(block, certificate) => {
                let (block, certificate) = (Arc::clone(block), (**certificate).clone());
                self.step(
                    to,
                    Input::Synced {
                        peer: by,
                        block,
                        certificate,
                    },
                );
            }
            Wire::Status(tip) => {
                let tip = *tip;
                self.step(to, Input::Status { peer: by, tip });
            }
            Wire::Hello(tip) => {
                let (tip, own) = (*tip, self.nodes.get(to).map(Node::tip).unwrap_or_default());
                self.step(to, Input::Status { peer: by, tip });
                self.send(to, from, Wire::Status(own));
            }
            Wire::App(bytes) => self.app_message(to, Sender::Node(from), bytes),
        }
    }

    fn serve_body(&mut self, from: usize, to: usize, id: protocol::digest::BlockId) {
        if self.plan.role(to) == Role::Withhold {
            return;
        }
        let Some(node) = self.nodes.get(to) else {
            return;
        };
        let kept = node
            .blocks
            .values()
            .find(|(_, certificate)| certificate.block == id);
        let block = kept.map(|(block, _)| Arc::clone(block));
        let block = block
            .or_else(|| {
                node.machine
                    .as_ref()
                    .and_then(|machine| machine.window().block(&id))
            })
            .or_else(|| self.hostile.get(to).and_then(|hostile| hostile.block(id)));
        if let Some(block) = block {
            self.send(to, from, Wire::Body(id, block));
        }
    }

    fn serve_height(&mut self, from: usize, to: usize, height: protocol::units::Height) {
        if self.plan.role(to) == Role::ForgedSync && self.forge_answers(from, to, height) {
            return;
        }
        let Some(node) = self.nodes.get(to) else {
            return;
        };
        let answers: Vec<_> = node
            .blocks
            .range(height..)
            .take(SYNC_BLOCKS)
            .map(|(_, decided)| decided.clone())
            .collect();
        for (block, certificate) in answers {
            self.send(to, from, Wire::Synced(block, certificate));
        }
    }

    /// A gossiped message of agreement.
    fn take_in(&mut self, by: Peer, to: usize, gossip: &Gossip) {
        let Some(machine) = self.nodes.get(to).and_then(|node| node.machine.as_ref()) else {
            return;
        };
        let admission = machine.admit(&gossip.header);
        let height = machine.height();
        match admission {
            Admission::Admit | Admission::Late => {}
            Admission::Ahead => {
                let tip = gossip.header.height.previous();
                return self.step(to, Input::Status { peer: by, tip });
            }
            _ => return,
        }
        let Some(received) = gossip.received.clone() else {
            return;
        };
        self.hear(to, height, &received);
        self.step(to, Input::Message(by.clone(), received));
        self.check_heard(to);
        if let Some((id, block)) = &gossip.block {
            self.step(to, Input::Body(by, *id, Arc::clone(block)));
        }
    }
}
