//! Round trips at the bounds, and refusals with their reasons.

use proptest::prelude::*;
use protocol::keys::Signature;

use super::*;
use crate::node_key::NodeKey;

fn proof() -> Proof {
    Proof {
        role: Role::Validator,
        validator: protocol::digest::ValidatorId(Digest([3; 32])),
        peer: NodeKey::from_bytes([1; 32]).unwrap().peer_id(),
        not_before_ms: 1,
        expires_ms: 2,
        signature: Signature([5; 64]),
    }
}

fn hello() -> Hello {
    Hello {
        chain: ChainId(Digest([1; 32])),
        life: Life(9),
        role: Role::Validator,
        tip: Tip {
            height: Height(7),
            block: BlockId(Digest([2; 32])),
        },
        agent: "palisade/0".to_owned(),
        proof: Some(proof()),
    }
}

#[test]
fn hello_round_trip_with_and_without_proof() {
    for proof in [None, Some(proof())] {
        let hello = Hello { proof, ..hello() };
        let bytes = hello.encode();
        assert!(bytes.len() <= Service::Hello.request_bytes_max());
        assert_eq!(Hello::decode(&bytes), Ok(hello));
    }
}

#[test]
fn hello_refusals() {
    let mut bytes = hello().encode();
    bytes.push(0);
    assert_eq!(Hello::decode(&bytes), Err(WireError::Trailing(1)));
    let markup = Hello {
        agent: "caf\u{e9}".to_owned(),
        ..hello()
    };
    assert_eq!(
        Hello::decode(&markup.encode()),
        Err(WireError::Value("agent"))
    );
    assert_eq!(
        Hello::decode(&[0, 1]),
        Err(WireError::Value("hello version"))
    );
    let long = Hello {
        agent: "x".repeat(500),
        ..hello()
    };
    assert_eq!(
        Hello::decode(&long.encode()).unwrap().agent.len(),
        AGENT_BYTES_MAX
    );
}

#[test]
fn voteset_fits_its_caps_whatever_is_put_in() {
    let have = vec![
        VoteKey {
            kind: Kind::Prevote,
            signer: [2; 33]
        };
        1_000
    ];
    let offered = vec![vec![9; 4_000]; 100];
    let request = VotesetRequest {
        height: Height(1),
        round: Round(2),
        have,
        offered,
    };
    let bytes = request.encode();
    assert!(bytes.len() <= Service::Voteset.request_bytes_max());
    let decoded = VotesetRequest::decode(&bytes).unwrap();
    assert_eq!(decoded.have.len(), HAVE_MAX);
    assert_eq!(decoded.offered.len(), 1);
    let answer = encode_voteset_answer(&vec![vec![1; 20_000]; 9]);
    assert!(answer.len() <= Service::Voteset.response_bytes_max());
    assert_eq!(decode_voteset_answer(&answer).unwrap().len(), 3);
}

#[test]
fn sync_answers_are_a_prefix_that_fits() {
    let decided = DecidedBlock {
        block: vec![1; 1 << 20],
        certificate: vec![2; 1_000],
    };
    let answer = encode_sync_answer(&vec![decided.clone(); 9]);
    assert!(answer.len() <= Service::Sync.response_bytes_max());
    assert_eq!(decode_sync_answer(&answer), Ok(vec![decided; 3]));
}

#[test]
fn body_and_chunk_at_their_caps() {
    let body = vec![7; 1 << 20];
    let answer = encode_body_answer(Some(&body));
    assert!(answer.len() <= Service::Body.response_bytes_max());
    assert_eq!(decode_body_answer(&answer), Ok(Some(body)));
    let chunk = Chunk {
        size: 1 << 30,
        bytes: vec![7; CHUNK_BYTES],
    };
    let answer = encode_blob_answer(Some(&chunk));
    assert!(answer.len() <= Service::Blob.response_bytes_max());
    assert_eq!(decode_blob_answer(&answer), Ok(Some(chunk)));
    assert_eq!(decode_blob_answer(&encode_blob_answer(None)), Ok(None));
}

proptest! {
    #[test]
    fn decoders_never_panic_and_accept_only_canonical(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(hello) = Hello::decode(&bytes) {
            prop_assert_eq!(hello.encode(), bytes.clone());
        }
        if let Ok(request) = VotesetRequest::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes.clone());
        }
        if let Ok(blocks) = decode_sync_answer(&bytes) {
            prop_assert_eq!(encode_sync_answer(&blocks), bytes.clone());
        }
        if let Ok(chunk) = decode_blob_answer(&bytes) {
            prop_assert_eq!(encode_blob_answer(chunk.as_ref()), bytes);
        }
    }
}
