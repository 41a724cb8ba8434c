//! Goal: exactly the pairs that no honest validator signs are evidence.

use super::*;
use crate::digest::{Digest, sha256};
use crate::envelope::{seal_proposal, seal_vote};
use crate::keys::{SecretKey, Signature};
use crate::vote::{BodyPlace, VoteKind};

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

fn chain() -> ChainId {
    ChainId::of_genesis(b"palisade-local")
}

fn block(name: &[u8]) -> BlockId {
    BlockId(sha256(name))
}

fn vote(name: Option<&[u8]>) -> Vote {
    Vote {
        kind: VoteKind::Prevote,
        height: Height(7),
        round: Round(1),
        block: name.map(block),
        signer: key(1).public(),
    }
}

fn proposal(name: &[u8], body: BodyPlace) -> Proposal {
    Proposal {
        height: Height(7),
        round: Round(1),
        pol_round: None,
        block: block(name),
        body,
        signer: key(1).public(),
    }
}

fn sealed(vote: Vote, by: &SecretKey) -> Vec<u8> {
    seal_vote(&Signed::sign(vote, by, &chain()))
}

fn parse_votes(a: Vote, b: Vote) -> Result<ContradictingPair, PairError> {
    ContradictingPair::parse(
        EvidenceKind::DoubleVote,
        &sealed(a, &key(1)),
        &sealed(b, &key(1)),
    )
}

#[test]
fn two_values_in_one_slot_are_evidence() {
    let pair = parse_votes(vote(Some(b"a")), vote(Some(b"b"))).unwrap();
    assert_eq!(pair.verify(&chain()), Ok(()));
    assert_eq!((pair.height(), pair.round()), (Height(7), Round(1)));
    assert_eq!(pair.signer(), key(1).public());
    let nil = parse_votes(vote(Some(b"a")), vote(None)).unwrap();
    assert_eq!(nil.verify(&chain()), Ok(()));
    assert!(pair.verify(&ChainId::of_genesis(b"other")).is_err());
}

#[test]
fn proposals_differ_by_block_alone() {
    let seal = |name: &[u8], body| {
        seal_proposal(&Signed::sign(proposal(name, body), &key(1), &chain()), &[])
    };
    let kind = EvidenceKind::DoubleProposal;
    let pair = ContradictingPair::parse(
        kind,
        &seal(b"a", BodyPlace::Apart),
        &seal(b"b", BodyPlace::Inline),
    );
    assert_eq!(pair.unwrap().verify(&chain()), Ok(()));
    assert_eq!(
        ContradictingPair::parse(
            kind,
            &seal(b"a", BodyPlace::Apart),
            &seal(b"a", BodyPlace::Inline)
        ),
        Err(PairError::SameValue),
        "where the body rides is no statement"
    );
}

#[test]
fn what_may_stand_side_by_side_is_refused() {
    let base = vote(Some(b"a"));
    let other = vote(Some(b"b"));
    assert_eq!(parse_votes(base, base), Err(PairError::SameValue));
    for changed in [
        Vote {
            height: Height(8),
            ..other
        },
        Vote {
            round: Round(2),
            ..other
        },
        Vote {
            kind: VoteKind::Precommit,
            ..other
        },
    ] {
        assert_eq!(parse_votes(base, changed), Err(PairError::Slots));
    }
    let foreign = Vote {
        signer: key(2).public(),
        ..other
    };
    assert!(matches!(
        parse_votes(base, foreign),
        Err(PairError::Signers(..))
    ));
}

#[test]
fn same_message_two_signatures_is_no_evidence() {
    let a = Signed::sign(vote(Some(b"a")), &key(1), &chain());
    let b = Signed {
        signature: Signature([7; 64]),
        ..a.clone()
    };
    let pair = ContradictingPair::parse(EvidenceKind::DoubleVote, &seal_vote(&a), &seal_vote(&b));
    assert_eq!(pair, Err(PairError::SameValue));
}

#[test]
fn forged_half_does_not_verify() {
    let bad = sealed(vote(Some(b"b")), &key(2));
    let pair = ContradictingPair::parse(
        EvidenceKind::DoubleVote,
        &sealed(vote(Some(b"a")), &key(1)),
        &bad,
    );
    assert!(matches!(
        pair.unwrap().verify(&chain()),
        Err(PairError::Signature(_))
    ));
}

#[test]
fn malformed_messages_are_refused() {
    let good = sealed(vote(Some(b"a")), &key(1));
    let kind = EvidenceKind::DoubleVote;
    assert!(matches!(
        ContradictingPair::parse(kind, &good, &good[..40]),
        Err(PairError::Envelope(_))
    ));
    assert!(matches!(
        ContradictingPair::parse(kind, &good, &[0; EVIDENCE_MESSAGE_BYTES_MAX + 1]),
        Err(PairError::TooLong { .. })
    ));
    let inline = proposal(b"a", BodyPlace::Inline);
    let with_body = seal_proposal(&Signed::sign(inline, &key(1), &chain()), &[9; 10]);
    assert_eq!(
        ContradictingPair::parse(EvidenceKind::DoubleProposal, &with_body, &with_body),
        Err(PairError::Body)
    );
    assert!(matches!(
        ContradictingPair::parse(EvidenceKind::DoubleProposal, &good, &good),
        Err(PairError::Envelope(_))
    ));
}

#[test]
fn ids_name_the_offence() {
    let id = |kind, height, round| {
        evidence_id(
            kind,
            &ValidatorId(Digest::ZERO),
            Height(height),
            Round(round),
        )
    };
    let base = id(EvidenceKind::DoubleVote, 7, 1);
    assert_eq!(base, id(EvidenceKind::DoubleVote, 7, 1));
    assert_ne!(base, id(EvidenceKind::DoubleProposal, 7, 1));
    assert_ne!(base, id(EvidenceKind::DoubleVote, 8, 1));
    assert_ne!(base, id(EvidenceKind::DoubleVote, 7, 2));
}
