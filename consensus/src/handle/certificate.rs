//! Certificates that peers relay. The votes inside prove themselves; the core checks them.

use protocol::signed::{Message, Signed};
use protocol::vote::{Certificate, CommitCertificate, Vote, VoteKind};

use crate::context::CoreInput;
use crate::input::Peer;
use crate::machine::Machine;
use crate::pool::Held;
use crate::verifier::{polka_to_core, round_to_core};

impl Machine {
    pub(crate) fn on_certificate(&mut self, peer: &Peer, certificate: Certificate) {
        let height = certificate.height();
        if height > self.host.height {
            self.host.sync.hint(peer, height.previous());
        }
        self.find_contradictions(&certificate);
        if height != self.host.height {
            if let Certificate::Commit(commit) = certificate {
                self.compare(&commit);
            }
            return;
        }
        match certificate {
            Certificate::Polka(polka) => {
                self.feed(CoreInput::PolkaCertificate(polka_to_core(&polka)));
                self.host.bodies.holder(height, polka.block, peer);
            }
            Certificate::Round(round) => {
                self.feed(CoreInput::RoundCertificate(round_to_core(&round)));
            }
            Certificate::Commit(commit) => self.on_commit_certificate(peer, &commit, None),
        }
    }

    /// A certificate may carry the only copy of a vote that contradicts one we hold. Signatures are
    /// checked only where there is something to prove.
    fn find_contradictions(&mut self, certificate: &Certificate) {
        for vote in votes(certificate) {
            let held = Held::Vote(vote.clone());
            let height = vote.message.height;
            let is_member = self
                .host
                .schedule
                .get(height)
                .is_some_and(|set| set.power_of(&vote.message.signer).is_some());
            if !is_member || !self.host.pool.would_contradict(&held) {
                continue;
            }
            let digest = vote.message.signing_digest(&self.host.chain);
            if self
                .host
                .verifier
                .is_good(Some(digest), &vote.message.signer, &vote.signature)
            {
                self.host.pool(held);
            }
        }
    }

    /// A second certificate for a decided height must be for the same block.
    pub(crate) fn compare(&mut self, commit: &CommitCertificate) {
        let Some(ours) = self.host.decided.get(&commit.height) else {
            return;
        };
        if ours.block == commit.block {
            return;
        }
        if self.host.is_commit_good(commit) {
            let ours = ours.clone();
            self.host.freeze(ours, commit.clone());
        }
    }
}

fn votes(certificate: &Certificate) -> Vec<Signed<Vote>> {
    let (height, round) = (certificate.height(), certificate.round());
    let vote = |kind, block, signer, signature| {
        let message = Vote {
            kind,
            height,
            round,
            block,
            signer,
        };
        Signed { message, signature }
    };
    match certificate {
        Certificate::Polka(polka) => polka
            .signatures
            .iter()
            .map(|part| {
                vote(
                    VoteKind::Prevote,
                    Some(polka.block),
                    part.signer,
                    part.signature,
                )
            })
            .collect(),
        Certificate::Commit(commit) => commit
            .signatures
            .iter()
            .map(|part| {
                vote(
                    VoteKind::Precommit,
                    Some(commit.block),
                    part.signer,
                    part.signature,
                )
            })
            .collect(),
        Certificate::Round(round) => round
            .signatures
            .iter()
            .map(|part| vote(part.kind, part.block, part.signer, part.signature))
            .collect(),
    }
}
