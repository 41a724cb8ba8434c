//! `hello`: until it is done a peer is a stranger whose gossip is not even remembered.

use std::time::Duration;

use libp2p::PeerId;
use libp2p::request_response::OutboundFailure;
use protocol::digest::ValidatorId;

use super::Engine;
use crate::config::{NoisePrologue, TcpSecurity};
use crate::event::ConsensusEvent;
use crate::gossip::application_score;
use crate::ladder::Offence;
use crate::lanes::Sent;
use crate::messages::{Hello, Life, Tip};
use crate::peers::{Direction, Greeted, connection_name};
use crate::proof::Proof;
use crate::role::Role;

/// From the connection to the end of `hello`.
pub(super) const HELLO_DEADLINE: Duration = Duration::from_secs(5);

impl Engine {
    pub(super) fn own_hello(&self) -> Hello {
        Hello {
            chain: self.config.chain,
            life: self.life,
            role: self.config.role,
            tip: self.ports.chain.tip(),
            agent: self.config.agent.clone(),
            proof: self.proof.clone(),
        }
    }

    /// A peer has introduced itself, for the first time or with a new proof.
    pub(super) fn greet(&mut self, peer: PeerId, hello: Hello) {
        if !self.peers.is_connected(&peer) || !self.accepts(peer, &hello) {
            return;
        }
        let validator = hello
            .proof
            .as_ref()
            .and_then(|proof| self.proven(peer, proof));
        let greeted = Greeted {
            life: hello.life,
            claimed: hello.role,
            agent: hello.agent,
            tip: hello.tip,
            proof: hello.proof,
            validator,
        };
        let role = greeted.role();
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let known_before = entry.greeted.replace(greeted);
        let dialled = entry
            .connections
            .iter()
            .find(|connection| connection.direction == Direction::Outbound)
            .map(|connection| connection.address.clone());
        if let Some(address) = dialled {
            self.book_changed |= self.book.reached(peer, &address);
        }
        self.update_standing(peer);
        let news = known_before.is_none_or(|before| before.validator != validator);
        if news {
            tracing::info!(event = "peer_up", %peer, %role);
            self.tell(ConsensusEvent::PeerUp {
                peer,
                role,
                validator,
                tip: hello.tip,
            });
            self.dial_speakers();
            self.refresh_view();
        }
    }

    /// Whether this `hello` may make its sender a peer. If not, the connection has been dealt with.
    fn accepts(&mut self, peer: PeerId, hello: &Hello) -> bool {
        if hello.chain != self.config.chain {
            self.wrong_chain(peer);
            return false;
        }
        if let Some(proof) = &hello.proof
            && let Err(error) = proof.check_peer(peer)
        {
            tracing::warn!(event = "foreign_proof", %peer, %error);
            self.punish(peer, Offence::ForeignProof, 1);
            return false;
        }
        if self.has_restarted(peer, hello.life) {
            tracing::info!(event = "peer_came_back", %peer);
            self.disconnect(&peer);
            return false;
        }
        true
    }

    /// Whether an earlier life of the peer was greeted over connections that it has forgotten since.
    /// Gossip has told its subscriptions on the first of them only and would not tell them again.
    fn has_restarted(&self, peer: PeerId, life: Life) -> bool {
        let before = self.peers.get(&peer).and_then(|peer| peer.greeted.as_ref());
        before.is_some_and(|before| before.life != life)
    }

    /// Validators stay connected to all validators whose address they know.
    fn dial_speakers(&mut self) {
        for (peer, validator) in self
            .peers
            .iter()
            .filter_map(|(id, peer)| Some((*id, peer.validator()?)))
        {
            self.speakers.insert(validator, peer);
        }
        self.speakers
            .retain(|validator, _| self.members.contains_key(validator));
        if self.config.role == Role::Validator {
            self.book
                .set_validators(&self.speakers.values().copied().collect());
        }
    }

    /// The validator that a proof speaks for, if it holds against the admitted set now.
    fn proven(&self, peer: PeerId, proof: &Proof) -> Option<ValidatorId> {
        let session = self.members.get(&proof.validator)?;
        match proof.verify(session, &self.config.chain, peer, self.now_ms()) {
            Ok(()) => Some(proof.validator),
            Err(error) => {
                tracing::debug!(event = "proof_refused", %peer, %error);
                None
            }
        }
    }

    /// The admitted set changed, or time has passed: who speaks for a validator now?
    pub(super) fn recheck_proofs(&mut self) {
        for peer in self.peers.greeted() {
            let Some(greeted) = self.peers.get(&peer).and_then(|peer| peer.greeted.clone()) else {
                continue;
            };
            let validator = greeted
                .proof
                .as_ref()
                .and_then(|proof| self.proven(peer, proof));
            if validator == greeted.validator {
                continue;
            }
            let greeted = Greeted {
                validator,
                ..greeted
            };
            let (role, tip) = (greeted.role(), greeted.tip);
            if let Some(entry) = self.peers.get_mut(&peer) {
                entry.greeted = Some(greeted);
            }
            self.update_standing(peer);
            self.tell(ConsensusEvent::PeerUp {
                peer,
                role,
                validator,
                tip,
            });
        }
        self.dial_speakers();
    }

    /// Tells gossip and the connection limits what a peer is now.
    pub(super) fn update_standing(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get(&peer) else {
            return;
        };
        let standing = entry.standing();
        let kept = self.book.is_static(&peer);
        let role = entry.greeted.as_ref().map(Greeted::role);
        let score = role.map_or(0.0, |role| application_score(role, kept));
        let reserved = kept || entry.validator().is_some();
        let behaviour = self.swarm.behaviour_mut();
        behaviour.tap.set_standing(&peer, standing, score);
        if reserved {
            behaviour.connection_limits.bypass_peer_id(&peer);
        } else {
            behaviour.connection_limits.remove_peer_id(&peer);
        }
    }

    pub(super) fn note_tip(&mut self, peer: PeerId, tip: Tip) {
        if let Some(greeted) = self
            .peers
            .get_mut(&peer)
            .and_then(|peer| peer.greeted.as_mut())
        {
            greeted.tip = tip;
            self.tell(ConsensusEvent::Status { peer, tip });
        }
    }

    /// The request failed; another connection to the same peer may do better.
    pub(super) fn hello_failed(&mut self, peer: PeerId, error: &OutboundFailure) {
        if self.peers.is_greeted(&peer) {
            return;
        }
        match error {
            // Protocol names carry the chain's prefix.
            OutboundFailure::UnsupportedProtocols => self.wrong_chain(peer),
            OutboundFailure::ConnectionClosed if self.peers.is_connected(&peer) => {
                self.send_hello(peer);
            }
            _ => {}
        }
    }

    /// Over TLS and QUIC an honest peer can end up here by mistake; through a noise handshake that
    /// is bound to our chain it cannot.
    fn wrong_chain(&mut self, peer: PeerId) {
        let name = self.peers.get(&peer).map_or("tcp", connection_name);
        tracing::info!(event = "wrong_chain", %peer);
        self.metrics
            .handshake_failures
            .with_label_values(&[name, "wrong_chain"])
            .inc();
        let bound = self.config.tcp_security == TcpSecurity::Noise
            && self.config.noise_prologue == NoisePrologue::BoundToChain;
        if bound && name == "tcp" {
            self.punish(peer, Offence::OtherChain, 1);
        }
        self.disconnect(&peer);
    }

    /// Sends an event to consensus; hints that find no room are merely dropped.
    pub(super) fn tell(&self, event: ConsensusEvent) {
        if self.lanes.consensus(event) == Sent::Dropped {
            tracing::debug!(event = "hint_dropped");
        }
    }
}
