//! Junk of every sort, as much as a node is given time for.

use std::sync::Arc;

use consensus::Outgoing;
use protocol::keys::Signature;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{
    BodyPlace, Certificate, CertificateSignature, CommitCertificate, PolkaCertificate, Proposal,
    Vote, VoteKind,
};

use crate::sim::app::App;
use crate::sim::keys::Purpose;
use crate::sim::world::{Wire, World};

const JUNK_PER_TURN: u64 = 6;
const KINDS: u64 = 10;

impl<A: App> World<A> {
    pub(super) fn flood(&mut self, node: usize) {
        let tip = self.nodes.get(node).and_then(|node| node.machine.as_ref());
        let height = tip.map_or(Height(1), consensus::Machine::height);
        for _ in 0..JUNK_PER_TURN {
            let to = self.anybody();
            if to == node {
                continue;
            }
            match self.rng.below(KINDS) {
                0 => self.forged_vote(node, to, height),
                1 | 2 => self.future_vote(node, to, height),
                3 => self.junk_body(node, to),
                4 => self.junk_decision(node, to, height),
                5 => self.junk_certificate(node, to, height),
                6 => self.unasked_proposal(node, to, height),
                7 => self.send(node, to, Wire::HeightRequest(Height(1))),
                _ => self.app_junk(node),
            }
        }
    }

    fn random_vote(&mut self, height: Height) -> Vote {
        let kind = if self.rng.chance(500) {
            VoteKind::Prevote
        } else {
            VoteKind::Precommit
        };
        let block = Some(self.junk_id());
        let round = Round(u32::try_from(self.rng.below(14)).unwrap_or(0));
        let member = self.rng.index(self.plan.members);
        let signer = self.keys.public(Purpose::Consensus, member);
        Vote {
            kind,
            height,
            round,
            block,
            signer,
        }
    }

    /// Of somebody else, with a signature that is none.
    fn forged_vote(&mut self, node: usize, to: usize, height: Height) {
        let message = self.random_vote(height);
        let signature = Signature([9; 64]);
        self.send_to(node, to, &Outgoing::Vote(Signed { message, signature }));
    }

    /// Well signed, for heights and rounds that are not there yet.
    fn future_vote(&mut self, node: usize, to: usize, height: Height) {
        let ahead = self.rng.below(5);
        let mut message = self.random_vote(height.plus(ahead));
        message.signer = self
            .keys
            .public(Purpose::Consensus, self.plan.member_of(node));
        let signed = Signed::sign(message, &self.own_secret(node), &self.chain());
        self.send_to(node, to, &Outgoing::Vote(signed));
    }

    fn junk_body(&mut self, node: usize, to: usize) {
        let id = self.junk_id();
        let bytes: Arc<[u8]> = id.as_bytes().as_slice().into();
        self.send(node, to, Wire::Body(id, bytes));
    }

    fn junk_signatures(&mut self) -> Vec<CertificateSignature> {
        let members = 0..self.plan.members;
        let mut signatures: Vec<_> = members
            .map(|member| CertificateSignature {
                signer: self.keys.public(Purpose::Consensus, member),
                signature: Signature([3; 64]),
            })
            .collect();
        signatures.sort_by_key(|part| part.signer);
        signatures
    }

    fn junk_decision(&mut self, node: usize, to: usize, height: Height) {
        let block = self.junk_id();
        let certificate = CommitCertificate {
            height,
            round: Round(0),
            block,
            signatures: self.junk_signatures(),
        };
        let bytes: Arc<[u8]> = vec![0; 300].into();
        self.send(node, to, Wire::Synced(bytes, Arc::new(certificate)));
    }

    fn junk_certificate(&mut self, node: usize, to: usize, height: Height) {
        let polka = PolkaCertificate {
            height,
            round: Round(u32::try_from(self.rng.below(12)).unwrap_or(0)),
            block: self.junk_id(),
            signatures: self.junk_signatures(),
        };
        self.send_to(node, to, &Outgoing::Certificate(Certificate::Polka(polka)));
    }

    /// In rounds that are another's, and in its own: blocks that nobody can produce.
    fn unasked_proposal(&mut self, node: usize, to: usize, height: Height) {
        let message = Proposal {
            height: height.plus(self.rng.below(2)),
            round: Round(u32::try_from(self.rng.below(8)).unwrap_or(0)),
            pol_round: None,
            block: self.junk_id(),
            body: BodyPlace::Apart,
            signer: self
                .keys
                .public(Purpose::Consensus, self.plan.member_of(node)),
        };
        let signed = Signed::sign(message, &self.own_secret(node), &self.chain());
        self.send_to(node, to, &Outgoing::Proposal(signed, None));
    }
}
