use super::*;
use crate::codec::{decode_canonical, encode};
use crate::digest::{ValidatorId, sha256};
use crate::keys::SecretKey;
use crate::signed::Signed;
use crate::validators::ValidatorEntry;

fn chain() -> ChainId {
    ChainId::of_genesis(b"palisade-local")
}

fn keys() -> Vec<SecretKey> {
    (1..=4)
        .map(|seed| SecretKey::from_bytes(&[seed; 32]).unwrap())
        .collect()
}

fn set() -> ValidatorSet {
    let member = |key: &SecretKey| ValidatorEntry {
        id: ValidatorId(sha256(key.public().as_bytes())),
        consensus_key: key.public(),
        power: 1,
    };
    ValidatorSet::new(keys().iter().map(member).collect())
}

fn certificate(signers: usize) -> CommitCertificate {
    let mut certificate = CommitCertificate {
        height: Height(7),
        round: Round(1),
        block: BlockId(sha256(b"block")),
        signatures: Vec::new(),
    };
    for key in keys().iter().take(signers) {
        let vote = certificate.vote(key.public());
        let signature = Signed::sign(vote, key, &chain()).signature;
        certificate.signatures.push(CertificateSignature {
            signer: key.public(),
            signature,
        });
    }
    certificate.signatures.sort_by_key(|part| part.signer);
    certificate
}

#[test]
fn vote_vector_of_the_specification() {
    let key = SecretKey::from_bytes(&[1; 32]).unwrap();
    let vote = Vote {
        kind: VoteKind::Precommit,
        height: Height(7),
        round: Round(0),
        block: None,
        signer: key.public(),
    };
    let digest = vote.signing_digest(&chain()).to_string();
    assert!(
        digest.starts_with("bce47d3b") && digest.ends_with("9b35bc9"),
        "{digest}"
    );
    let signature = format!("{:?}", Signed::sign(vote, &key, &chain()).signature);
    assert!(
        signature.starts_with("6cead166") && signature.ends_with("69717"),
        "{signature}"
    );
}

#[test]
fn three_of_four_commit_and_two_do_not() {
    assert_eq!(certificate(3).verify(&set(), &chain()), Ok(()));
    assert_eq!(
        certificate(2).verify(&set(), &chain()),
        Err(CertificateError::TooFew { found: 2, total: 4 })
    );
}

#[test]
fn doubled_unknown_and_forged_signers_are_named() {
    let mut doubled = certificate(3);
    doubled.signatures[1] = doubled.signatures[0];
    assert_eq!(
        doubled.verify(&set(), &chain()),
        Err(CertificateError::Order)
    );

    let mut forged = certificate(3);
    forged.signatures[0].signature.0[5] ^= 1;
    let signer = forged.signatures[0].signer;
    assert_eq!(
        forged.verify(&set(), &chain()),
        Err(CertificateError::BadSignature(signer))
    );

    let fewer = ValidatorSet::new(set().members()[1..].to_vec());
    let result = certificate(4).verify(&fewer, &chain());
    assert!(
        matches!(result, Err(CertificateError::UnknownSigner(_))),
        "{result:?}"
    );
}

#[test]
fn other_domain_rejected() {
    let other = ChainId::of_genesis(b"another chain");
    assert!(certificate(3).verify(&set(), &other).is_err());
}

/// Goal: the largest legal set can say in a certificate what it decided, whoever of it voted.
#[test]
fn certificates_hold_a_vote_of_everybody_in_the_largest_set() {
    let signature = Signature([7; 64]);
    let key = |number: usize| {
        let seed = sha256(&number.to_be_bytes());
        SecretKey::from_bytes(seed.as_bytes()).unwrap().public()
    };
    let signers: Vec<PublicKey> = (0..crate::limits::VALIDATORS_MAX).map(key).collect();
    let block = BlockId(sha256(b"block"));
    let (height, round) = (Height(u64::MAX), Round(u32::MAX));
    let votes = signers.iter().map(|signer| RoundSignature {
        kind: VoteKind::Precommit,
        block: Some(block),
        signer: *signer,
        signature,
    });
    let parts = signers
        .iter()
        .map(|signer| CertificateSignature {
            signer: *signer,
            signature,
        })
        .collect::<Vec<_>>();
    let certificates = [
        Certificate::Round(RoundCertificate {
            height,
            round,
            kind: RoundCertificateKind::Skip,
            signatures: votes.collect(),
        }),
        Certificate::Polka(PolkaCertificate {
            height,
            round,
            block,
            signatures: parts.clone(),
        }),
        Certificate::Commit(CommitCertificate {
            height,
            round,
            block,
            signatures: parts,
        }),
    ];
    for certificate in certificates {
        let bytes = encode(&certificate);
        assert_eq!(decode_canonical(&bytes), Ok(certificate));
    }
}
