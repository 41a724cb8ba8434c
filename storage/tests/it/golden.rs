//! Goal: bytes on disk never change by accident. Method: each kind of record and slot encoded
//! from fixed values, compared by hash and by its readable parts.

use std::fs;
use std::path::Path;

use protocol::digest::{Digest, sha256};
use protocol::units::{Height, TimeMs};
use storage::audit::checkpoint::{Checkpoint, LogIdentity};
use storage::audit::record::{AuditEntry, AuditRecord};
use storage::record::format::{
    FileKind, Identity, Record, decode_record, decode_segment_header, encode_record,
    encode_segment_header,
};
use storage::sign::floor::{Floor, Step};
use storage::sign::slot::{SLOT_BYTES, Slot};
use storage::wal::WalEntry;
use storage::{Durability, StorageHandle};

use crate::scene::{
    block, chain, digest, identity, init_sign_state, key, mark, open, reply, state,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn segment_header() {
    let identity = Identity {
        kind: FileKind::Blocks,
        genesis: Digest([0xAB; 32]),
        payload_bytes_max: 10,
    };
    let bytes = encode_segment_header(&identity, 0x0102_0304_0506_0708);
    let genesis = "ab".repeat(32);
    assert_eq!(
        hex(&bytes),
        format!("504c5352000102{genesis}0102030405060708{SEGMENT_CRC}")
    );
    assert_eq!(
        decode_segment_header(&identity, &bytes),
        Ok(0x0102_0304_0506_0708)
    );
}

#[test]
fn record() {
    let record = Record {
        kind: 2,
        seq: 7,
        durable: 5,
        payload: b"abc",
    };
    let mut bytes = Vec::new();
    encode_record(&mut bytes, &record);
    let fields = "02".to_owned() + "0000000000000007" + "0000000000000005" + "616263";
    assert_eq!(hex(&bytes), format!("00000003{RECORD_CRC}{fields}"));
    assert_eq!(decode_record(&bytes, 0, 3), Some(record));
    assert_eq!(decode_record(&bytes, 0, 2), None);
    assert_eq!(decode_record(&bytes[..bytes.len() - 1], 0, 3), None);
}

#[test]
fn slot() {
    let floor = Floor::from(mark(5, 2, Step::Precommit, b"bytes"));
    let slot = Slot {
        identity: identity(),
        seq: 3,
        floor,
        wal_seq: 9,
    };
    let bytes = slot.encode();
    assert_eq!(bytes.len(), SLOT_BYTES);
    assert_eq!(Slot::decode(&bytes), Ok(slot));
    let expected = [
        b"PLSS".to_vec(),
        vec![0, 1],
        chain().as_bytes().to_vec(),
        key().public().as_bytes().to_vec(),
        3_u64.to_be_bytes().to_vec(),
        5_u64.to_be_bytes().to_vec(),
        2_u32.to_be_bytes().to_vec(),
        vec![3, 1],
        sha256(b"bytes").as_bytes().to_vec(),
        9_u64.to_be_bytes().to_vec(),
    ];
    let expected = expected.concat();
    assert_eq!(bytes[..expected.len()], expected);
    assert_eq!(sha256(&bytes).to_string(), SLOT_HASH);
}

#[test]
fn audit_record_and_checkpoint() {
    let entry = AuditEntry {
        time: TimeMs(2),
        actor: "a".to_owned(),
        action: "bc".to_owned(),
        subject: "def".to_owned(),
        body_hash: Digest([5; 32]),
    };
    let record = AuditRecord {
        seq: 1,
        entry,
        prev_hash: Digest([4; 32]),
    };
    let hashes = "04".repeat(32) + &"05".repeat(32);
    let expected = format!(
        "0100000000000000010000000000000002016102626300{}{hashes}",
        "03646566"
    );
    assert_eq!(hex(&record.encode()), expected);
    assert_eq!(AuditRecord::decode(&record.encode()), Some(record));
    let log = LogIdentity {
        chain: chain(),
        signer: key().public(),
    };
    let signed = log.sign(
        &Checkpoint {
            size: 12,
            root: digest("root"),
        },
        &key(),
    );
    let text = String::from_utf8(signed.clone()).unwrap();
    let name = hex(key().public().as_bytes());
    assert!(
        text.starts_with(&format!("palisade/audit/{}/{name}\n12\n", chain())),
        "{text}"
    );
    assert_eq!(sha256(&signed).to_string(), CHECKPOINT_HASH);
}

/// The files of a home after a fixed sequence of requests.
#[test]
fn files() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let (storage, _) = open(home.path()).unwrap();
    write(&storage.handle());
    storage.close().unwrap();
    let hash = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        sha256(&bytes[..=end]).to_string()
    };
    let found = ["wal", "blocks", "evidence", "sign-state/commits"]
        .map(|dir| hash(&home.path().join("data").join(dir).join("0000000001.plsr")));
    assert_eq!(found, FILE_HASHES);
}

fn write(handle: &StorageHandle) {
    let height = Height(1);
    let own = WalEntry::Own {
        mark: mark(1, 0, Step::Prevote, b"b"),
        bytes: b"own".to_vec(),
    };
    let input = WalEntry::Input {
        height,
        bytes: b"input".to_vec(),
    };
    let body = WalEntry::Body {
        height,
        id: block(1).id,
        bytes: b"body".to_vec(),
    };
    let (answer, outcome) = reply();
    handle
        .wal(vec![input, body, own], Durability::Now, answer)
        .unwrap();
    outcome.recv().unwrap().unwrap();
    let (answer, outcome) = reply();
    handle.commit(block(1), state(1), answer).unwrap();
    outcome.recv().unwrap().unwrap();
    let (answer, outcome) = reply();
    handle
        .keep(digest("pair"), b"pair".to_vec(), answer)
        .unwrap();
    outcome.recv().unwrap().unwrap();
    let job = protocol::digest::JobId(digest("job"));
    let seat = storage::sign::commits::SeatKey {
        job,
        attempt: 1,
        seat: 2,
    };
    let (answer, outcome) = reply();
    handle.mark(seat, digest("commit"), answer).unwrap();
    outcome.recv().unwrap().unwrap();
}

/// Computed bit by bit from the polynomial, apart from the crate used.
const SEGMENT_CRC: &str = "0964c7b5";
/// Likewise.
const RECORD_CRC: &str = "9b7faeb5";
const SLOT_HASH: &str = "1f661e36590ec1d3c5a825f432837fc730f5fec3d01af48a73bcbcadb4108896";
const CHECKPOINT_HASH: &str = "c6ead17c242261e1cf286cedb0f30ffae82462f04bad7e89b661b0d70a8884f3";
/// WAL, blocks, evidence, commits.
const FILE_HASHES: [&str; 4] = [
    "e9c2ebb9d32d1d6d1565cb8365d85ae40da15b8fca3d939ca6fb15a538d6210a",
    "8a7fa1e88c540d6e4848d5ffeb186b5062849d21f7ebe2dc63dd7b50e1f17710",
    "f66721f6448a83d649ccff070f1780e80f720a9113c9c53dd21fe4ab850732a3",
    "3e8cd3c0e9a73f534913180c630686143f51c29737282913fb2cea8e1f254235",
];
