//! Goal: one encoding per transaction, exactly as protocol.md §2 lays it out.

use super::*;
use crate::digest::{Address, JobId, sha256};
use crate::evidence::EvidenceKind;
use crate::job::{DeclineReason, JobParams, JobSpec, Outcome, SeatRef, Sponsor};
use crate::keys::SecretKey;
use crate::units::Fuel;

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).unwrap()
}

fn chain() -> ChainId {
    ChainId::of_genesis(b"palisade-local")
}

fn tx(body: TxBody) -> Tx {
    Tx {
        version: TX_VERSION,
        key_kind: KeyKind::Wallet,
        signer: key().public(),
        nonce: 7,
        fee: Amount(9),
        valid_until: Height(11),
        anchor: None,
        body,
    }
}

fn transfer() -> Tx {
    tx(TxBody::Transfer(Transfer {
        to: Address([5; 20]),
        amount: Amount(3),
    }))
}

fn every_body() -> Vec<TxBody> {
    let (pk, signature) = (key().public(), Signature([3; 64]));
    let seat = SeatRef {
        job: JobId(sha256(b"job")),
        attempt: 0,
        seat: 2,
    };
    let spec = JobSpec {
        model_root: sha256(b"model"),
        engine: 1,
        input: sha256(b"input"),
        params: JobParams::default(),
        fuel_limit: Fuel(1),
        k: 3,
        max_price: Amount(9),
        expiry: Height(50),
    };
    vec![
        TxBody::Transfer(Transfer {
            to: Address([5; 20]),
            amount: Amount(3),
        }),
        TxBody::RegisterValidator(RegisterValidator {
            moniker: "alice".to_owned(),
            consensus_pk: pk,
            session_pk: pk,
            consensus_proof: signature,
            session_proof: signature,
            peer_id: "16Uiu2".to_owned(),
            self_bond: Amount(1),
        }),
        TxBody::Bond(Bond { amount: Amount(1) }),
        TxBody::Unbond(Unbond { amount: Amount(1) }),
        TxBody::Unjail(Unjail {
            height: Height(3),
            block: crate::digest::BlockId(sha256(b"block")),
            consensus_heartbeat: signature,
            session_heartbeat: signature,
        }),
        TxBody::SubmitJob(SubmitJob {
            spec,
            sponsor: Some(Sponsor { key: pk, signature }),
        }),
        TxBody::CancelJob(CancelJob { job: seat.job }),
        TxBody::CommitResult(CommitResult {
            seat,
            commit: sha256(b"commit"),
        }),
        TxBody::RevealResult(RevealResult {
            seat,
            salt: sha256(b"salt"),
            outcome: Outcome::Ok,
            result_root: sha256(b"result"),
            work_digest: Digest::ZERO,
            fuel: Fuel(1),
            output: RevealedOutput::Blob {
                sha256: sha256(b"blob"),
                size: 9,
            },
        }),
        TxBody::Decline(Decline {
            seat,
            reason: DeclineReason::OutOfMemory,
        }),
        TxBody::InputUnavailable(InputUnavailable { seat }),
        TxBody::SubmitEvidence(SubmitEvidence {
            kind: EvidenceKind::DoubleVote,
            a: vec![1],
            b: vec![2],
        }),
    ]
}

#[test]
fn layout_is_the_table() {
    let mut expected = vec![1, 0];
    expected.extend_from_slice(key().public().as_bytes());
    expected.extend_from_slice(&7_u64.to_be_bytes());
    expected.extend_from_slice(&9_u64.to_be_bytes());
    expected.extend_from_slice(&11_u64.to_be_bytes());
    expected.push(0);
    expected.extend_from_slice(&0_u32.to_be_bytes());
    expected.extend_from_slice(&[5; 20]);
    expected.extend_from_slice(&3_u64.to_be_bytes());
    assert_eq!(encode(&transfer()), expected);

    let anchored = Tx {
        anchor: Some(sha256(b"checkpoint")),
        ..transfer()
    };
    let bytes = encode(&anchored);
    assert_eq!(bytes[59], 1);
    assert_eq!(bytes[60..92], *sha256(b"checkpoint").as_bytes());
}

#[test]
fn kinds_are_places_in_the_table() {
    let bodies = every_body();
    assert_eq!(bodies.len(), TxKind::ALL.len());
    for (body, kind) in bodies.iter().zip(TxKind::ALL) {
        assert_eq!(body.kind(), kind);
        assert_eq!(
            encode(body)[..4],
            kind.code().to_be_bytes(),
            "{}",
            kind.name()
        );
        assert_eq!(body.seat().is_some(), kind.is_seat_message());
    }
}

#[test]
fn every_kind_survives_and_every_other_byte_string_does_not() {
    for body in every_body() {
        let signed = Signed::sign(tx(body), &key(), &chain());
        let bytes = signed.to_bytes();
        assert_eq!(signed.byte_len(), bytes.len());
        assert_eq!(Signed::from_bytes(&bytes), Ok(signed.clone()));
        let mut longer = bytes.clone();
        longer.push(0);
        assert_ne!(Signed::from_bytes(&longer), Ok(signed.clone()));
        assert!(Signed::from_bytes(&bytes[..bytes.len() - 1]).ok() != Some(signed.clone()));
        let verified = signed.clone().verify(&chain()).unwrap();
        assert_eq!(verified.tx_id(&chain()), signed.tx_id(&chain()));
        let other_chain = ChainId::of_genesis(b"other");
        assert!(
            signed.verify(&other_chain).is_err(),
            "replayed on another chain"
        );
    }
}

#[test]
fn ids_ignore_signatures() {
    let signed = Signed::sign(transfer(), &key(), &chain());
    let other = Signed {
        message: transfer(),
        signature: Signature([9; 64]),
    };
    assert_eq!(signed.tx_id(&chain()), other.tx_id(&chain()));
    assert_eq!(
        signed.tx_id(&chain()).0,
        digest_of_bytes(&encode(&transfer()), &chain())
    );
}

#[test]
fn bad_bytes_name_their_fault() {
    let bytes = Signed::sign(transfer(), &key(), &chain()).to_bytes();
    let with = |index: usize, value: u8| {
        let mut changed = bytes.clone();
        changed[index] = value;
        Signed::from_bytes(&changed).unwrap_err()
    };
    assert_eq!(with(0, 2), TxDecodeError::Version { found: 2 });
    assert!(
        matches!(with(1, 2), TxDecodeError::Codec(_)),
        "unknown key kind"
    );
    assert!(
        matches!(with(2, 9), TxDecodeError::Codec(_)),
        "signer off the curve"
    );
    assert!(
        matches!(with(59, 2), TxDecodeError::Codec(_)),
        "anchor flag"
    );
    assert!(
        matches!(with(63, 12), TxDecodeError::Codec(_)),
        "unknown kind"
    );
    assert_eq!(
        Signed::from_bytes(&[1; 63]),
        Err(TxDecodeError::TooShort(63))
    );
    let long = vec![1; SIGNED_TX_BYTES_MAX + 1];
    assert_eq!(
        Signed::from_bytes(&long),
        Err(TxDecodeError::TooLong { len: long.len() })
    );
}

#[test]
fn fees_count_bytes_and_signatures() {
    let signed = Signed::sign(transfer(), &key(), &chain());
    assert_eq!(signed.byte_len(), 156);
    assert_eq!(signed.fee_min(), Amount(100 + 2 * 156 + 500));
    let session = Tx {
        key_kind: KeyKind::Session,
        ..transfer()
    };
    assert_eq!(
        Signed::sign(session, &key(), &chain()).fee_min(),
        Amount::ZERO
    );
    let counts: Vec<_> = every_body().iter().map(TxBody::signatures).collect();
    assert_eq!(counts, [1, 3, 1, 1, 3, 2, 1, 1, 1, 1, 1, 3]);
}

/// A golden transaction: any change of the layout shows here.
#[test]
fn golden_transfer() {
    let signed = Signed::sign(transfer(), &key(), &chain());
    assert_eq!(signed.tx_id(&chain()).to_string(), GOLDEN_TRANSFER_ID);
    let found: Vec<_> = every_body()
        .iter()
        .map(|body| sha256(&encode(body)).to_string())
        .collect();
    assert_eq!(found, GOLDEN_BODIES);
}

const GOLDEN_TRANSFER_ID: &str = "9f6b551c8669490102127684aa96ac3f16059aa61d0ab928ec9070c4294be70c";
const GOLDEN_BODIES: [&str; 12] = [
    "a23ac23ede6c07787c57b3927292a8eae91d5800c93cef3daee9e8d2c64ae720",
    "4256e753d54d3335997b13e1820fb27ba13b3f56c129387548a4f9a24d72d961",
    "01251abbff7ee711b66504a49053feadef5082d7a905e4b3484c5433eb7da510",
    "3868c77b67e9a383e85f41b794e60d2023299f42a46b2d8126a448e72bc34b82",
    "5d63245bc45b2423afe40a99f8e072fcf7a442b108c2570a079d8f17f19edd91",
    "269f828986977230fc8e5e76a0a14d547114b6552ec35f928e6527b9d20a31ba",
    "7f6f3750182503d60efd0cb857a2fe1b026ed2b1fbefca9593fa4819cba26b2a",
    "7612c0d563f49ae156af833a3cc3fb42cbcc5eb7e8197dae047ee4685bcefef0",
    "01e1e8fc50fee6ea6ea5caec07cf624368855b364965b59a2da70f39b889968b",
    "871fcbdfeb78bd672dc01ea5d9cc35022d84cec90576b72284355e150e6154cd",
    "d3cb0ff9cb51c8787d0bfea6f9e5286405f5f3f98d92dc810085116611e12fdc",
    "9d34a12bf4bc9cfde6f7261a7dcadc9cd8f8dac77e605233f8cedb061c6cddad",
];
