//! Inputs of the core as bytes of a record, and back.

use arc_malachitebft_core_consensus::ProposedValue;
use arc_malachitebft_core_types::{Round, Timeout, TimeoutKind, Validity, ValueOrigin};
use protocol::codec::{decode_canonical, encode};
use protocol::digest::{BlockId, Digest};
use protocol::envelope::{Envelope, seal_proposal, seal_vote};
use protocol::keys::PublicKey;
use protocol::signed::Signed;
use protocol::units::{self, Height};
use protocol::vote::Certificate;

use crate::context::{
    CoreAddress, CoreHeight, CoreInput, CoreProposal, CoreValue, CoreVote, core_round, our_round,
};
use crate::verifier::{polka_from_core, polka_to_core};

const VERSION: u8 = 1;
const VOTE: u8 = 1;
const PROPOSAL: u8 = 2;
const TIMEOUT: u8 = 3;
const VERDICT: u8 = 4;
const POLKA: u8 = 5;
const NO_ROUND: u32 = u32::MAX;

/// The record's bytes; `None` for inputs that are not logged.
pub(crate) fn to_bytes(input: &CoreInput) -> Option<Vec<u8>> {
    let (tag, payload) = match input {
        CoreInput::Vote(vote) => {
            let signed = Signed {
                message: vote.message.to_ours()?,
                signature: vote.signature,
            };
            (VOTE, seal_vote(&signed))
        }
        CoreInput::Proposal(proposal) => {
            let message = proposal.message.to_ours()?;
            let signed = Signed {
                message,
                signature: proposal.signature,
            };
            (PROPOSAL, seal_proposal(&signed, &[]))
        }
        CoreInput::TimeoutElapsed(timeout) => (TIMEOUT, timeout_bytes(timeout)?),
        CoreInput::ProposedValue(value, origin) => (VERDICT, verdict_bytes(value, *origin)),
        CoreInput::PolkaCertificate(polka) => {
            (POLKA, encode(&Certificate::Polka(polka_from_core(polka)?)))
        }
        _ => return None,
    };
    Some([&[VERSION, tag], payload.as_slice()].concat())
}

/// The input that the bytes are; `None` if they are none.
pub(crate) fn from_bytes(height: Height, bytes: &[u8]) -> Option<CoreInput> {
    let ([version, tag], payload) = bytes.split_first_chunk::<2>()?;
    if *version != VERSION {
        return None;
    }
    Some(match *tag {
        VOTE => CoreInput::Vote(CoreVote::signed(
            &Envelope::parse(payload).ok()?.to_vote().ok()?,
        )),
        PROPOSAL => {
            let signed = Envelope::parse(payload).ok()?.to_proposal().ok()?;
            CoreInput::Proposal(CoreProposal::signed(&signed))
        }
        TIMEOUT => CoreInput::TimeoutElapsed(timeout_from(payload)?),
        VERDICT => verdict_from(height, payload)?,
        POLKA => match decode_canonical(payload).ok()? {
            Certificate::Polka(polka) => CoreInput::PolkaCertificate(polka_to_core(&polka)),
            _ => return None,
        },
        _ => return None,
    })
}

fn timeout_bytes(timeout: &Timeout) -> Option<Vec<u8>> {
    let kind: u8 = match timeout.kind {
        TimeoutKind::Propose => 1,
        TimeoutKind::Prevote => 2,
        TimeoutKind::Precommit => 3,
        _ => return None,
    };
    Some([&[kind], timeout.round.as_u32()?.to_be_bytes().as_slice()].concat())
}

fn timeout_from(payload: &[u8]) -> Option<Timeout> {
    let [kind, round @ ..] = *<&[u8; 5]>::try_from(payload).ok()?;
    let round = Round::new(u32::from_be_bytes(round));
    match kind {
        1 => Some(Timeout::propose(round)),
        2 => Some(Timeout::prevote(round)),
        3 => Some(Timeout::precommit(round)),
        _ => None,
    }
}

fn round_bytes(round: Round) -> [u8; 4] {
    round.as_u32().unwrap_or(NO_ROUND).to_be_bytes()
}

fn round_from(bytes: [u8; 4]) -> Round {
    let round = u32::from_be_bytes(bytes);
    core_round((round != NO_ROUND).then_some(units::Round(round)))
}

/// `flags ‖ round ‖ valid round ‖ block ‖ proposer, if known`.
fn verdict_bytes(value: &ProposedValue<crate::context::Ctx>, origin: ValueOrigin) -> Vec<u8> {
    let flags = u8::from(value.validity.is_valid()) | (u8::from(origin.is_sync()) << 1);
    let mut bytes = vec![flags];
    bytes.extend_from_slice(&round_bytes(value.round));
    bytes.extend_from_slice(&round_bytes(value.valid_round));
    bytes.extend_from_slice(value.value.0.as_bytes());
    if let Some(key) = &value.proposer.0 {
        bytes.extend_from_slice(key.as_bytes());
    }
    bytes
}

fn verdict_from(height: Height, payload: &[u8]) -> Option<CoreInput> {
    let ([flags], rest) = payload.split_first_chunk::<1>()?;
    let (round, rest) = rest.split_first_chunk::<4>()?;
    let (valid_round, rest) = rest.split_first_chunk::<4>()?;
    let (block, rest) = rest.split_first_chunk::<32>()?;
    let proposer = match rest {
        [] => None,
        key => Some(PublicKey::from_slice(key).ok()?),
    };
    let (validity, origin) = match flags {
        0 => (Validity::Invalid, ValueOrigin::Consensus),
        1 => (Validity::Valid, ValueOrigin::Consensus),
        2 => (Validity::Invalid, ValueOrigin::Sync),
        3 => (Validity::Valid, ValueOrigin::Sync),
        _ => return None,
    };
    let value = ProposedValue {
        height: CoreHeight(height),
        round: round_from(*round),
        valid_round: round_from(*valid_round),
        proposer: CoreAddress(proposer),
        value: CoreValue(BlockId(Digest(*block))),
        validity,
    };
    our_round(value.round)?;
    Some(CoreInput::ProposedValue(value, origin))
}

#[cfg(test)]
mod tests {
    use protocol::digest::sha256;
    use protocol::keys::{SecretKey, Signature};
    use protocol::vote::{
        BodyPlace, CertificateSignature, PolkaCertificate, Proposal, Vote, VoteKind,
    };

    use super::*;

    fn inputs() -> Vec<CoreInput> {
        let signer = SecretKey::from_bytes(&[1; 32]).unwrap().public();
        let (height, round, block) = (Height(3), units::Round(2), BlockId(sha256(b"block")));
        let signature = Signature([7; 64]);
        let vote = Vote {
            kind: VoteKind::Precommit,
            height,
            round,
            block: Some(block),
            signer,
        };
        let proposal = Proposal {
            height,
            round,
            pol_round: Some(units::Round(1)),
            block,
            body: BodyPlace::Inline,
            signer,
        };
        let value = ProposedValue {
            height: CoreHeight(height),
            round: Round::new(2),
            valid_round: Round::Nil,
            proposer: CoreAddress(Some(signer)),
            value: CoreValue(block),
            validity: Validity::Valid,
        };
        let signatures = vec![CertificateSignature { signer, signature }];
        vec![
            CoreInput::Vote(CoreVote::signed(&Signed {
                message: vote,
                signature,
            })),
            CoreInput::Proposal(CoreProposal::signed(&Signed {
                message: proposal,
                signature,
            })),
            CoreInput::TimeoutElapsed(Timeout::precommit(Round::new(2))),
            CoreInput::ProposedValue(value.clone(), ValueOrigin::Sync),
            CoreInput::ProposedValue(
                ProposedValue {
                    validity: Validity::Invalid,
                    ..value
                },
                ValueOrigin::Consensus,
            ),
            CoreInput::PolkaCertificate(polka_to_core(&PolkaCertificate {
                height,
                round,
                block,
                signatures,
            })),
        ]
    }

    #[test]
    fn every_logged_input_comes_back() {
        for input in inputs() {
            let bytes = to_bytes(&input).unwrap();
            assert_eq!(from_bytes(Height(3), &bytes), Some(input));
        }
    }

    #[test]
    fn cut_records_are_refused_and_never_panic() {
        for input in inputs() {
            let bytes = to_bytes(&input).unwrap();
            for end in 0..bytes.len() {
                let cut = from_bytes(Height(3), &bytes[..end]);
                // A verdict without its proposer is a verdict still; nothing else survives a cut.
                assert!(cut.is_none() || matches!(cut, Some(CoreInput::ProposedValue(..))));
            }
        }
    }
}
