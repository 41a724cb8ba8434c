//! A contradicting pair in its three forms: proved, kept on disk, reported. Pure.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic,
        clippy::as_conversions
    )
)]

use ledger::State;
use protocol::envelope::{seal_proposal, seal_vote};
use protocol::evidence::{ContradictingPair, EvidenceKind};
use protocol::limits::VALID_UNTIL_BLOCKS_MAX;
use protocol::tx::{SubmitEvidence, TxBody};
use protocol::units::Height;

use crate::evidence::workflow::Proof;

/// A report stays valid for so many blocks, in steps: its bytes, and so its id, change rarely.
const VALID_STEP: u64 = VALID_UNTIL_BLOCKS_MAX / 2;

/// Checks a pair as the ledger will: the cheap part first, then membership, then signatures.
#[must_use]
pub fn prove(state: &State, kind: EvidenceKind, first: &[u8], second: &[u8]) -> Option<Proof> {
    let pair = ContradictingPair::parse(kind, first, second).ok()?;
    let validator = state.member_at(pair.height(), &pair.signer())?.id;
    pair.verify(&state.chain_id()).ok()?;
    Some(Proof { validator, pair })
}

/// The two messages as envelopes, which is how they are signed, kept and sent.
#[must_use]
pub fn envelopes(pair: &ContradictingPair) -> (Vec<u8>, Vec<u8>) {
    match pair {
        ContradictingPair::Votes(a, b) => (seal_vote(a), seal_vote(b)),
        ContradictingPair::Proposals(a, b) => (seal_proposal(a, &[]), seal_proposal(b, &[])),
    }
}

/// What is kept on disk: kind, length of the first message, both.
#[must_use]
pub fn to_disk(pair: &ContradictingPair) -> Vec<u8> {
    let (first, second) = envelopes(pair);
    let len = u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[pair.kind().code()], len.as_slice(), &first, &second].concat()
}

/// Reads what [`to_disk`] wrote.
#[must_use]
pub fn from_disk(bytes: &[u8]) -> Option<(EvidenceKind, Vec<u8>, Vec<u8>)> {
    let (kind, rest) = bytes.split_first()?;
    let kind = [EvidenceKind::DoubleVote, EvidenceKind::DoubleProposal]
        .into_iter()
        .find(|known| known.code() == *kind)?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (first, second) = rest.split_at_checked(len)?;
    Some((kind, first.to_vec(), second.to_vec()))
}

/// The report of a pair while this height is the newest, and the last height that may include it.
#[must_use]
pub fn report(pair: &ContradictingPair, height: Height) -> (TxBody, Height) {
    let (a, b) = envelopes(pair);
    let kind = pair.kind();
    let steps = height.0.checked_div(VALID_STEP).unwrap_or(0);
    let valid_until = steps.saturating_add(1).saturating_mul(VALID_STEP);
    let body = TxBody::SubmitEvidence(SubmitEvidence { kind, a, b });
    (body, Height(valid_until).next())
}
