//! What each effect of the core becomes.

use arc_malachitebft_core_consensus::{
    LivenessMsg, MisbehaviorEvidence, Resumable, SignedConsensusMsg,
};
use arc_malachitebft_core_types::{
    CommitCertificate as CoreCommit, SignedMessage, Timeout, TimeoutKind,
};
use arc_malachitebft_signing::VerifierExt;
use protocol::signed::{Message as _, Signed};
use protocol::units::Round;
use protocol::vote::{BodyPlace, Certificate, CommitCertificate};

use crate::context::{
    CoreEffect, CoreInput, CoreProposal, CoreResume, CoreVote, Ctx, SignedProposal, SignedVote,
    our_round,
};
use crate::core_record::to_bytes;
use crate::effect::{Delivery, Effect, Halt, Outgoing};
use crate::guard::{SignMark, SignPoint, Step};
use crate::host::{Host, Mode, Todo};
use crate::limits::INLINE_BLOCK_BYTES_MAX;
use crate::log::Output;
use crate::pool::Held;
use crate::timers::TimerKind;
use crate::verifier::{commit_from_core, polka_from_core, poll_once, round_from_core};
use crate::wal::Record;

impl Host {
    /// Handles one effect and says how the core goes on. After a halt the answer is one that the
    /// core does not expect, which ends it at once.
    pub(crate) fn on_effect(&mut self, effect: CoreEffect) -> CoreResume {
        match effect {
            CoreEffect::ScheduleTimeout(timeout, r) => {
                self.schedule_timeout(timeout);
                r.resume_with(())
            }
            CoreEffect::CancelTimeout(timeout, r) => {
                if let Some((kind, round)) = timer_of(timeout) {
                    self.timers.cancel(kind, round, &mut self.out);
                }
                r.resume_with(())
            }
            CoreEffect::CancelAllTimeouts(r) => {
                self.timers.cancel_core(&mut self.out);
                r.resume_with(())
            }
            CoreEffect::StartRound(.., r) => {
                self.log.close(&mut self.out);
                r.resume_with(())
            }
            CoreEffect::WalAppend(_, input, r) => {
                self.append(&input);
                r.resume_with(())
            }
            CoreEffect::SignVote(vote, r) => match self.sign_vote(vote) {
                Some(signed) => r.resume_with(signed),
                None => CoreResume::Continue,
            },
            CoreEffect::SignProposal(proposal, r) => match self.sign_proposal(proposal) {
                Some(signed) => r.resume_with(signed),
                None => CoreResume::Continue,
            },
            CoreEffect::PublishConsensusMsg(message, r) => {
                self.publish(message);
                r.resume_with(())
            }
            CoreEffect::PublishLivenessMsg(message, r) => {
                self.publish_liveness(message);
                r.resume_with(())
            }
            CoreEffect::RepublishVote(vote, r) => {
                self.broadcast_vote(&vote, Delivery::Again);
                r.resume_with(())
            }
            CoreEffect::RepublishRoundCertificate(certificate, r) => {
                let ours = round_from_core(&certificate).map(Certificate::Round);
                self.broadcast_certificate(ours, Delivery::Again);
                r.resume_with(())
            }
            CoreEffect::GetValue(_, round, _, r) => {
                self.build(our_round(round).unwrap_or_default());
                r.resume_with(())
            }
            // The block rides on the proposal that follows, or is pulled from our store.
            CoreEffect::RestreamProposal(.., r) => r.resume_with(()),
            CoreEffect::Decide(certificate, _, r) => {
                self.decide(&certificate);
                r.resume_with(())
            }
            CoreEffect::Finalize(_, _, evidence, r) => {
                self.merge(&evidence);
                r.resume_with(())
            }
            CoreEffect::CertVerifiedSyncValue(response, _, r) => {
                let round = our_round(response.certificate.round).unwrap_or_default();
                self.todo.push_back(Todo::Certified {
                    id: response.certificate.value_id,
                    round,
                });
                r.resume_with(())
            }
            CoreEffect::CertRejectedSyncValue(.., r) => {
                self.todo.push_back(Todo::Rejected);
                r.resume_with(())
            }
            CoreEffect::ExtendVote(.., r) => r.resume_with(None),
            CoreEffect::VerifyVoteExtension(.., r) => r.resume_with(Ok(())),
            other => self.verify(other),
        }
    }

    /// The effects that ask whether signatures are good.
    fn verify(&mut self, effect: CoreEffect) -> CoreResume {
        use arc_malachitebft_core_consensus::ConsensusMsg;
        let (verifier, ctx) = (&self.verifier, &self.ctx);
        let verdict = match effect {
            CoreEffect::VerifySignature(signed, key, r) => {
                let good = match &signed.message {
                    ConsensusMsg::Vote(vote) => {
                        verifier.vote_is_good(vote, &key, &signed.signature)
                    }
                    ConsensusMsg::Proposal(proposal) => {
                        verifier.proposal_is_good(proposal, &key, &signed.signature)
                    }
                };
                return r.resume_with(good);
            }
            CoreEffect::VerifyCommitCertificate(certificate, set, params, r) => {
                poll_once(verifier.verify_commit_certificate(ctx, &certificate, &set, params))
                    .map(|result| r.resume_with(result))
            }
            CoreEffect::VerifyExtendedCommitCertificate(certificate, set, params, policy, r) => {
                poll_once(verifier.verify_extended_commit_certificate(
                    ctx,
                    &certificate,
                    &set,
                    params,
                    policy,
                ))
                .map(|result| r.resume_with(result))
            }
            CoreEffect::VerifyPolkaCertificate(certificate, set, params, r) => {
                poll_once(verifier.verify_polka_certificate(ctx, &certificate, &set, params))
                    .map(|result| r.resume_with(result))
            }
            CoreEffect::VerifyRoundCertificate(certificate, set, params, r) => {
                poll_once(verifier.verify_round_certificate(ctx, &certificate, &set, params))
                    .map(|result| r.resume_with(result))
            }
            _ => None,
        };
        verdict.unwrap_or_else(|| {
            self.halt(Halt::Invariant("an effect of the core has no handler"));
            CoreResume::Continue
        })
    }

    fn schedule_timeout(&mut self, timeout: Timeout) {
        if let Some((kind, round)) = timer_of(timeout) {
            let after = self.timing.of(kind, round);
            self.set_timer(kind, round, after);
        }
    }

    /// Into the open batch. During replay everything is in the log already, except an own message
    /// that the crash came before.
    fn append(&mut self, input: &CoreInput) {
        if self.is_decided() {
            return;
        }
        let own = self.own_mark(input);
        if let Mode::Replay { own: logged, .. } = &self.mode
            && own.is_none_or(|mark| logged.contains(&mark.point))
        {
            return;
        }
        let Some(bytes) = to_bytes(input) else {
            return self.halt(Halt::Invariant("the core logs an input that has no record"));
        };
        self.log.append(match own {
            Some(mark) => Record::Own { mark, bytes },
            None => Record::Input {
                height: self.height,
                bytes,
            },
        });
    }

    /// The mark of an own message.
    pub(crate) fn own_mark(&self, input: &CoreInput) -> Option<SignMark> {
        let own = self.key()?;
        match input {
            CoreInput::Vote(vote) if vote.address.0 == Some(own) => self.vote_mark(&vote.message),
            CoreInput::Proposal(proposal) if proposal.address.0 == Some(own) => {
                self.proposal_mark(&proposal.message)
            }
            _ => None,
        }
    }

    fn vote_mark(&self, vote: &CoreVote) -> Option<SignMark> {
        let ours = vote.to_ours()?;
        let point = SignPoint {
            height: ours.height,
            round: ours.round,
            step: ours.kind.into(),
        };
        Some(SignMark {
            point,
            digest: vote.digest(&self.chain)?,
        })
    }

    fn proposal_mark(&self, proposal: &CoreProposal) -> Option<SignMark> {
        let ours = proposal.to_ours()?;
        let point = SignPoint {
            height: ours.height,
            round: ours.round,
            step: Step::Propose,
        };
        Some(SignMark {
            point,
            digest: proposal.digest(&self.chain)?,
        })
    }

    fn sign_vote(&mut self, vote: CoreVote) -> Option<SignedVote> {
        let mark = self.vote_mark(&vote)?;
        Some(SignedMessage::new(
            vote,
            self.sign(mark.point, mark.digest)?,
        ))
    }

    /// Decides where the block goes, then signs, so that no relay can move it.
    fn sign_proposal(&mut self, mut proposal: CoreProposal) -> Option<SignedProposal> {
        let block = self
            .bodies
            .get(self.height, proposal.value.0)
            .and_then(|item| item.block.as_ref());
        if block.is_some_and(|block| block.len() <= INLINE_BLOCK_BYTES_MAX) {
            proposal.place = BodyPlace::Inline;
        }
        let mark = self.proposal_mark(&proposal)?;
        Some(SignedMessage::new(
            proposal,
            self.sign(mark.point, mark.digest)?,
        ))
    }

    fn publish(&mut self, message: SignedConsensusMsg<Ctx>) {
        match message {
            SignedConsensusMsg::Vote(vote) => self.broadcast_vote(&vote, Delivery::First),
            SignedConsensusMsg::Proposal(proposal) => {
                let Some(message) = proposal.message.to_ours() else {
                    return;
                };
                let block = match message.body {
                    BodyPlace::Apart => None,
                    BodyPlace::Inline => self
                        .bodies
                        .get(self.height, message.block)
                        .and_then(|item| item.block.clone()),
                };
                let signed = Signed {
                    message,
                    signature: proposal.signature,
                };
                self.queue(Output::Broadcast(
                    Outgoing::Proposal(signed, block),
                    Delivery::First,
                ));
            }
        }
    }

    fn publish_liveness(&mut self, message: LivenessMsg<Ctx>) {
        let certificate = match message {
            LivenessMsg::Vote(vote) => return self.broadcast_vote(&vote, Delivery::Again),
            LivenessMsg::PolkaCertificate(polka) => polka_from_core(&polka).map(Certificate::Polka),
            LivenessMsg::SkipRoundCertificate(round) => {
                round_from_core(&round).map(Certificate::Round)
            }
        };
        self.broadcast_certificate(certificate, Delivery::First);
    }

    fn broadcast_vote(&mut self, vote: &SignedVote, delivery: Delivery) {
        if let Some(message) = vote.message.to_ours() {
            let signed = Signed {
                message,
                signature: vote.signature,
            };
            self.queue(Output::Broadcast(Outgoing::Vote(signed), delivery));
        }
    }

    fn broadcast_certificate(&mut self, certificate: Option<Certificate>, delivery: Delivery) {
        if let Some(certificate) = certificate {
            self.queue(Output::Broadcast(
                Outgoing::Certificate(certificate),
                delivery,
            ));
        }
    }

    /// During replay the wish is held: the log may answer it.
    fn build(&mut self, round: Round) {
        match &mut self.mode {
            Mode::Replay { build, .. } => *build = Some(round),
            Mode::Live => self.out.push(Effect::Build {
                height: self.height,
                round,
            }),
        }
    }

    fn decide(&mut self, certificate: &CoreCommit<Ctx>) {
        let Some(certificate) = commit_from_core(certificate) else {
            return self.halt(Halt::Invariant("a decision without signers"));
        };
        if let Some(other) = self
            .certified
            .take_if(|other| other.block != certificate.block)
        {
            return self.freeze(other, certificate);
        }
        let item = self.bodies.get(self.height, certificate.block);
        let Some(block) = item.and_then(|item| item.block.clone()) else {
            return self.halt(Halt::Invariant("a decided block is not at hand"));
        };
        self.is_catching_up = item.is_some_and(|item| item.commit.is_some());
        if let Some(found) = self.foreign_part(&certificate) {
            return self.halt(found);
        }
        // Its own precommit may be signed but not yet published: both wait for the same batch.
        self.log.close(&mut self.out);
        self.decided.insert(self.height, certificate.clone());
        self.queue(Output::Commit(block, certificate));
    }

    /// Our own signature in a decision, at a point where this silent host has not signed: a second
    /// host.
    fn foreign_part(&self, certificate: &CommitCertificate) -> Option<Halt> {
        let key = self.key().filter(|_| self.is_silent())?;
        let mut signers = certificate.signatures.iter().map(|part| part.signer);
        signers.find(|signer| *signer == key)?;
        let found = SignPoint {
            height: certificate.height,
            round: certificate.round,
            step: Step::Precommit,
        };
        let digest = certificate.vote(key).signing_digest(&self.chain);
        let is_foreign = self.guard.is_foreign(&SignMark {
            point: found,
            digest,
        });
        is_foreign.then_some(Halt::OwnKeyElsewhere { key, found })
    }

    /// The core keeps evidence of its own, up to three pairs a validator.
    fn merge(&mut self, evidence: &MisbehaviorEvidence<Ctx>) {
        for (_, pairs) in evidence.votes.iter() {
            for vote in pairs.iter().flat_map(|(a, b)| [a, b]) {
                if let Some(message) = vote.message.to_ours() {
                    self.pool(Held::Vote(Signed {
                        message,
                        signature: vote.signature,
                    }));
                }
            }
        }
        for (_, pairs) in evidence.proposals.iter() {
            for proposal in pairs.iter().flat_map(|(a, b)| [a, b]) {
                if let Some(message) = proposal.message.to_ours() {
                    self.pool(Held::Proposal(Signed {
                        message,
                        signature: proposal.signature,
                    }));
                }
            }
        }
    }
}

/// Our timer of a core timeout. `FinalizeHeight` needs a target time, which is never set.
fn timer_of(timeout: Timeout) -> Option<(TimerKind, Round)> {
    let kind = match timeout.kind {
        TimeoutKind::Propose => TimerKind::Propose,
        TimeoutKind::Prevote => TimerKind::Prevote,
        TimeoutKind::Precommit => TimerKind::Precommit,
        TimeoutKind::Rebroadcast => TimerKind::Rebroadcast,
        TimeoutKind::FinalizeHeight(_) => return None,
    };
    Some((kind, our_round(timeout.round)?))
}

/// The core's timeout of one of our timers.
pub(crate) fn timeout_of(kind: TimerKind, round: Round) -> Option<Timeout> {
    let round = arc_malachitebft_core_types::Round::new(round.0);
    match kind {
        TimerKind::Propose => Some(Timeout::propose(round)),
        TimerKind::Prevote => Some(Timeout::prevote(round)),
        TimerKind::Precommit => Some(Timeout::precommit(round)),
        TimerKind::Rebroadcast => Some(Timeout::rebroadcast(round)),
        _ => None,
    }
}
