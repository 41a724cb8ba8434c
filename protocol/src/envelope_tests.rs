use super::*;
use crate::digest::sha256;
use crate::keys::SecretKey;
use crate::limits::VOTE_ENVELOPE_BYTES;
use crate::vote::CommitCertificate;

fn chain() -> ChainId {
    ChainId::of_genesis(b"palisade-local")
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).unwrap()
}

fn vote() -> Signed<Vote> {
    let vote = Vote {
        kind: VoteKind::Prevote,
        height: Height(3),
        round: Round(2),
        block: Some(BlockId(sha256(b"b"))),
        signer: key().public(),
    };
    Signed::sign(vote, &key(), &chain())
}

fn proposal(body: BodyPlace) -> Signed<Proposal> {
    let proposal = Proposal {
        height: Height(3),
        round: Round(2),
        pol_round: Some(Round(0)),
        block: BlockId(sha256(b"b")),
        body,
        signer: key().public(),
    };
    Signed::sign(proposal, &key(), &chain())
}

#[test]
fn votes_travel_whole() {
    let bytes = seal_vote(&vote());
    assert_eq!(bytes.len(), VOTE_ENVELOPE_BYTES);
    let back = Envelope::parse(&bytes).unwrap().to_vote().unwrap();
    assert_eq!(back, vote());
    assert!(back.verify(&chain()).is_ok());
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = seal_vote(&vote());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let accepted = Envelope::parse(&flipped)
            .and_then(|envelope| envelope.to_vote())
            .is_ok_and(|vote| vote.verify(&chain()).is_ok());
        assert!(!accepted, "bit {bit}");
    }
}

#[test]
fn inline_blocks_can_neither_be_stripped_nor_added() {
    let inline = seal_proposal(&proposal(BodyPlace::Inline), b"block");
    let envelope = Envelope::parse(&inline).unwrap();
    assert_eq!(envelope.body, b"block");
    assert_eq!(envelope.to_proposal().unwrap(), proposal(BodyPlace::Inline));

    let mut apart = seal_proposal(&proposal(BodyPlace::Apart), b"ignored");
    assert_eq!(Envelope::parse(&apart).unwrap().body, b"");
    apart.push(0);
    assert_eq!(Envelope::parse(&apart), Err(EnvelopeError::Trailing(1)));

    let mut stripped = inline;
    stripped[5] = 0;
    assert_eq!(Envelope::parse(&stripped), Err(EnvelopeError::Trailing(5)));
}

#[test]
fn certificates_and_pairs_travel_whole() {
    let certificate = Certificate::Commit(CommitCertificate {
        height: Height(3),
        round: Round(0),
        block: BlockId(sha256(b"b")),
        signatures: Vec::new(),
    });
    let relayed = RelayedCertificate {
        certificate,
        signer: key().public(),
    };
    let relayed = Signed::sign(relayed, &key(), &chain());
    let bytes = seal_certificate(&relayed);
    assert_eq!(
        Envelope::parse(&bytes).unwrap().to_certificate(),
        Ok(relayed)
    );

    let pair = Pair {
        height: Height(3),
        round: Round(2),
        first: seal_vote(&vote()),
        second: seal_vote(&vote()),
        signer: key().public(),
    };
    let pair = Signed::sign(pair, &key(), &chain());
    let bytes = seal_pair(&pair);
    assert_eq!(Envelope::parse(&bytes).unwrap().to_pair(), Ok(pair));
}

#[test]
fn lengths_are_checked_before_anything_is_read() {
    let mut bytes = seal_vote(&vote());
    bytes[53..57].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(
        Envelope::parse(&bytes),
        Err(EnvelopeError::PayloadLength { .. })
    ));
    assert!(matches!(
        Envelope::parse(&bytes[..20]),
        Err(EnvelopeError::Truncated(20))
    ));
}

#[test]
fn kinds_are_not_mistaken_for_one_another() {
    let bytes = seal_vote(&vote());
    let envelope = Envelope::parse(&bytes).unwrap();
    assert_eq!(envelope.to_proposal(), Err(EnvelopeError::Kind(1)));
    assert_eq!(envelope.to_tx_bytes(), Err(EnvelopeError::Kind(1)));
}
