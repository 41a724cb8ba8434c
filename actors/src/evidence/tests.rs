//! A proof from the moment it is seen until it is punished, and the proof against ourselves.

use protocol::digest::{BlockId, ChainId, EvidenceId, ValidatorId, sha256};
use protocol::events::Event;
use protocol::evidence::{ContradictingPair, EvidenceKind};
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{Vote, VoteKind};

use super::workflow::{
    Evidence, GOSSIP_BLOCKS, Input, Intent, PAIRS_MAX, PAIRS_PER_VALIDATOR, Proof, Source,
};

fn proof(seed: u8, height: u64) -> Proof {
    let chain = ChainId::of_genesis(b"evidence");
    let key = SecretKey::from_bytes(&[seed; 32]).unwrap();
    let vote = |block: &[u8]| {
        let vote = Vote {
            kind: VoteKind::Prevote,
            height: Height(height),
            round: Round(0),
            block: Some(BlockId(sha256(block))),
            signer: key.public(),
        };
        Signed::sign(vote, &key, &chain)
    };
    let pair = ContradictingPair::votes(vote(b"one"), vote(b"other")).unwrap();
    Proof {
        validator: ValidatorId(sha256(&[seed])),
        pair,
    }
}

fn own_key() -> protocol::keys::PublicKey {
    SecretKey::from_bytes(&[1; 32]).unwrap().public()
}

fn evidence() -> Evidence {
    Evidence::new(Some(own_key()), Height(9))
}

fn found(evidence: &mut Evidence, proof: &Proof, source: Source) -> Vec<Intent> {
    evidence.step(Input::Found(Box::new(proof.clone()), source))
}

fn height(evidence: &mut Evidence, height: u64, events: Vec<Event>) -> Vec<Intent> {
    height_above(evidence, height, 0, events)
}

fn height_above(
    evidence: &mut Evidence,
    height: u64,
    floor: u64,
    events: Vec<Event>,
) -> Vec<Intent> {
    evidence.step(Input::Committed {
        height: Height(height),
        floor: Height(floor),
        events,
    })
}

fn accepted(evidence: EvidenceId) -> Event {
    accepted_of(evidence, ValidatorId::ZERO)
}

fn accepted_of(evidence: EvidenceId, validator: ValidatorId) -> Event {
    Event::EvidenceAccepted {
        evidence,
        kind: EvidenceKind::DoubleVote,
        validator,
        reporter: Default::default(),
    }
}

#[test]
fn a_pair_is_durable_before_anybody_hears_of_it() {
    let (mut evidence, proof) = (evidence(), proof(2, 9));
    let id = proof.id();
    let keep = Intent::Keep(id, proof.clone());
    let seen = found(&mut evidence, &proof, Source::Seen);
    assert_eq!(seen, [Intent::Audit("evidence_seen", id), keep.clone()]);
    assert_eq!(
        height(&mut evidence, 10, vec![]),
        [keep, Intent::Note(Height(10))],
        "not kept yet"
    );
    let told = evidence.step(Input::Kept(id));
    assert_eq!(told, [Intent::Gossip(proof.clone()), Intent::Submit(proof)]);
    assert_eq!(evidence.step(Input::Kept(id)), []);
}

#[test]
fn one_offence_is_held_once_whoever_brings_it() {
    let (mut evidence, proof) = (evidence(), proof(2, 9));
    let received = found(&mut evidence, &proof, Source::Gossip);
    assert_eq!(received[0], Intent::Audit("evidence_received", proof.id()));
    assert_eq!(found(&mut evidence, &proof, Source::Seen), []);
    assert_eq!(evidence.open(), 1);
}

#[test]
fn it_is_reported_until_the_chain_has_it() {
    let (mut evidence, proof) = (evidence(), proof(2, 9));
    found(&mut evidence, &proof, Source::Seen);
    evidence.step(Input::Kept(proof.id()));
    let submit = Intent::Submit(proof.clone());
    assert_eq!(
        height(&mut evidence, 10, vec![]),
        [submit.clone(), Intent::Note(Height(10))]
    );
    let again = height(&mut evidence, 9 + GOSSIP_BLOCKS, vec![]);
    assert!(
        again.contains(&Intent::Gossip(proof.clone())),
        "peers are told again"
    );
    let done = height(&mut evidence, 20, vec![accepted(proof.id())]);
    assert_eq!(
        done,
        [
            Intent::Audit("evidence_punished", proof.id()),
            Intent::Done(proof.id()),
            Intent::Note(Height(20))
        ]
    );
    assert_eq!(evidence.open(), 0);
}

#[test]
fn what_is_too_old_is_forgotten() {
    let (mut evidence, proof) = (evidence(), proof(2, 9));
    found(&mut evidence, &proof, Source::Seen);
    evidence.step(Input::Kept(proof.id()));
    height_above(&mut evidence, 900, 9, vec![]);
    assert_eq!(evidence.open(), 1, "however many blocks that are");
    let done = height_above(&mut evidence, 901, 10, vec![]);
    assert_eq!(done, [Intent::Done(proof.id()), Intent::Note(Height(901))]);
}

#[test]
fn a_pair_from_disk_is_reported_at_once() {
    let (mut evidence, proof) = (evidence(), proof(2, 9));
    assert_eq!(
        found(&mut evidence, &proof, Source::Disk),
        [Intent::Submit(proof.clone())]
    );
    let next = height(&mut evidence, 10, vec![]);
    assert_eq!(
        next[..2],
        [Intent::Submit(proof.clone()), Intent::Gossip(proof)]
    );
}

#[test]
fn a_proof_against_ourselves_means_a_twin() {
    let (mut evidence, proof) = (evidence(), proof(1, 9));
    assert_eq!(
        found(&mut evidence, &proof, Source::Gossip),
        [Intent::OwnKey(proof)]
    );
    assert_eq!(evidence.open(), 0);
}

#[test]
fn a_flood_of_pairs_is_bounded() {
    let mut evidence = evidence();
    for number in 0..u64::try_from(PAIRS_MAX).unwrap() + 5 {
        let validator = ValidatorId(sha256(&number.to_be_bytes()));
        let proof = Proof {
            validator,
            ..proof(2, 100)
        };
        found(&mut evidence, &proof, Source::Gossip);
    }
    assert_eq!(evidence.open(), PAIRS_MAX);
}

/// Goal: one liar cannot buy impunity for another. Method: it signs more contradictions than the pool
/// holds; the other's single one must still be kept and reported.
#[test]
fn a_liar_that_signs_hundreds_shields_no_accomplice() {
    let mut evidence = evidence();
    for height in 0..u64::try_from(PAIRS_MAX).unwrap() {
        found(&mut evidence, &proof(2, 100 + height), Source::Gossip);
    }
    assert_eq!(evidence.open(), PAIRS_PER_VALIDATOR);
    let accomplice = proof(3, 100);
    let kept = found(&mut evidence, &accomplice, Source::Gossip);
    assert!(kept.contains(&Intent::Keep(accomplice.id(), accomplice.clone())));
}

/// What the chain knows already must not be read again at every start.
#[test]
fn a_moot_pair_on_disk_is_done_with() {
    let (mut evidence, proof) = (evidence(), proof(2, 9));
    let moot = |source| Input::Moot(proof.id(), source);
    assert_eq!(
        evidence.step(moot(Source::Disk)),
        [Intent::Done(proof.id())]
    );
    assert_eq!(evidence.step(moot(Source::Gossip)), []);
    assert_eq!(evidence.step(moot(Source::Seen)), []);
    assert_eq!(evidence.open(), 0);
}

/// The chain punishes a validator once; what else there is against it would be reported in vain, every
/// height until it is too old.
#[test]
fn a_punished_validator_is_not_reported_again() {
    let (mut evidence, first, second) = (evidence(), proof(2, 9), proof(2, 10));
    for proof in [&first, &second] {
        found(&mut evidence, proof, Source::Seen);
        evidence.step(Input::Kept(proof.id()));
    }
    let events = vec![accepted_of(first.id(), first.validator)];
    let intents = height(&mut evidence, 11, events);
    assert!(intents.contains(&Intent::Done(second.id())));
    assert!(!intents.contains(&Intent::Submit(second)));
    assert_eq!(evidence.open(), 0);
}

/// Storage refuses what finds its queue full, and answers nothing then.
#[test]
fn a_pair_that_a_full_journal_did_not_take_is_kept_later() {
    let (mut evidence, proof) = (evidence(), proof(2, 9));
    found(&mut evidence, &proof, Source::Seen);
    let keep = Intent::Keep(proof.id(), proof.clone());
    assert!(height(&mut evidence, 10, vec![]).contains(&keep));
    assert!(height(&mut evidence, 11, vec![]).contains(&keep));
    evidence.step(Input::Kept(proof.id()));
    assert!(!height(&mut evidence, 12, vec![]).contains(&keep));
}
