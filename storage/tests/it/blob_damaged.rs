//! Goal: no wrong byte of a blob is ever handed out, and the quota holds. Method: damage files,
//! offer wrong ones, fill the quota.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::digest::{Digest, Tag, sha256, th};
use storage::blobs::{BlobConfig, BlobError, BlobStore, CHUNK_BYTES, FileParts};

use crate::scene::{digest, noise};

fn open(dir: &Path, quota_bytes: u64) -> BlobStore {
    BlobStore::open(BlobConfig {
        dir: dir.to_path_buf(),
        quota_bytes,
    })
    .unwrap()
}

fn path(dir: &Path, key: &Digest) -> PathBuf {
    let name = key.to_string();
    dir.join(&name[..2]).join(name)
}

#[test]
fn put_get_and_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = noise(1, 1_000);
    let key = sha256(&bytes);
    let mut store = open(dir.path(), 1 << 20);
    assert!(matches!(store.get(&key), Err(BlobError::Missing { .. })));
    store.put(key, &bytes).unwrap();
    store.put(key, &bytes).unwrap();
    assert_eq!(store.used_bytes(), 1_000);
    fs::write(dir.path().join("tmp/left-over"), b"x").unwrap();
    let mut store = open(dir.path(), 1 << 20);
    assert_eq!(store.get(&key).unwrap(), bytes);
    assert_eq!(store.used_bytes(), 1_000);
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    store.remove(&key).unwrap();
    assert_eq!((store.used_bytes(), store.bytes_of(&key)), (0, None));
}

#[test]
fn manifests_lie_under_their_root() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 1 << 20);
    for tag in [Tag::Model, Tag::Input] {
        let key = th(tag, &[b"manifest"]);
        store.put(key, b"manifest").unwrap();
        assert_eq!(store.get(&key).unwrap(), b"manifest");
        assert_eq!(store.chunk(&key, 0).unwrap(), b"manifest");
    }
    let other = th(Tag::Vote, &[b"manifest"]);
    assert!(matches!(
        store.put(other, b"manifest"),
        Err(BlobError::WrongHash { .. })
    ));
    // Longer than a manifest can be: only its SHA-256 names it.
    let long = noise(1, (16 << 10) + 1);
    assert!(matches!(
        store.put(th(Tag::Model, &[&long]), &long),
        Err(BlobError::WrongHash { .. })
    ));
}

#[test]
fn a_damaged_blob_is_deleted_never_handed_out() {
    let bytes = noise(2, CHUNK_BYTES + 10);
    let key = sha256(&bytes);
    for (damaged, by_chunk) in [
        (0, false),
        (CHUNK_BYTES + 3, false),
        (5, true),
        (CHUNK_BYTES, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path(), 1 << 20);
        store.put(key, &bytes).unwrap();
        let start = (damaged / CHUNK_BYTES * CHUNK_BYTES) as u64;
        if by_chunk {
            // Verified once, damaged afterwards: the chunk's own hash must still tell.
            assert_eq!(store.chunk(&key, 0).unwrap(), bytes[..CHUNK_BYTES]);
        }
        let mut wrong = bytes.clone();
        wrong[damaged] ^= 1;
        fs::write(path(dir.path(), &key), &wrong).unwrap();
        let error = if by_chunk {
            store.chunk(&key, start)
        } else {
            store.get(&key)
        };
        assert!(matches!(error, Err(BlobError::Corrupt { .. })), "{damaged}");
        assert!(!path(dir.path(), &key).exists());
        assert!(matches!(store.get(&key), Err(BlobError::Missing { .. })));
        store.put(key, &bytes).unwrap();
        assert_eq!(store.get(&key).unwrap(), bytes);
    }
}

#[test]
fn a_file_cut_short_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = noise(3, 3 * CHUNK_BYTES);
    let key = sha256(&bytes);
    let mut store = open(dir.path(), 1 << 20);
    store.put(key, &bytes).unwrap();
    store.chunk(&key, 0).unwrap();
    fs::write(path(dir.path(), &key), &bytes[..CHUNK_BYTES]).unwrap();
    let error = store.chunk(&key, 2 * CHUNK_BYTES as u64).unwrap_err();
    assert!(matches!(error, BlobError::Corrupt { .. }), "{error}");
}

#[test]
fn chunks_start_at_multiples() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = noise(4, CHUNK_BYTES + 10);
    let key = sha256(&bytes);
    let mut store = open(dir.path(), 1 << 20);
    store.put(key, &bytes).unwrap();
    assert_eq!(
        store.chunk(&key, CHUNK_BYTES as u64).unwrap(),
        bytes[CHUNK_BYTES..]
    );
    for offset in [1, CHUNK_BYTES as u64 - 1, 2 * CHUNK_BYTES as u64, u64::MAX] {
        assert!(
            matches!(store.chunk(&key, offset), Err(BlobError::Offset { .. })),
            "{offset}"
        );
    }
}

fn parts(bytes: &[u8]) -> FileParts {
    let chunks = bytes.chunks(CHUNK_BYTES).map(sha256).collect();
    FileParts {
        sha256: sha256(bytes),
        size: bytes.len() as u64,
        chunks,
    }
}

#[test]
fn a_file_is_assembled_of_its_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = noise(5, 2 * CHUNK_BYTES + 100);
    let parts = parts(&bytes);
    let mut store = open(dir.path(), 8 << 20);
    for (index, chunk) in bytes.chunks(CHUNK_BYTES).enumerate().rev() {
        assert_eq!(store.assemble(&parts).unwrap(), parts.chunks[..=index]);
        store.put(sha256(chunk), chunk).unwrap();
    }
    assert!(store.assemble(&parts).unwrap().is_empty());
    assert_eq!(store.get(&parts.sha256).unwrap(), bytes);
    assert_eq!(
        store.used_bytes(),
        bytes.len() as u64,
        "chunks stay beside the whole"
    );
    assert!(
        store.assemble(&parts).unwrap().is_empty(),
        "again is no error"
    );
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = noise(6, 2 * CHUNK_BYTES);
    let good = parts(&bytes);
    let mut store = open(dir.path(), 8 << 20);
    for chunk in bytes.chunks(CHUNK_BYTES) {
        store.put(sha256(chunk), chunk).unwrap();
    }
    let wrong_count = FileParts {
        size: good.size + 1,
        ..good.clone()
    };
    assert!(matches!(
        store.assemble(&wrong_count),
        Err(BlobError::WrongParts { chunks: 2, .. })
    ));
    let too_long = FileParts {
        size: u64::MAX,
        ..good.clone()
    };
    assert!(matches!(
        store.assemble(&too_long),
        Err(BlobError::TooLong { .. })
    ));
    let swapped = FileParts {
        chunks: good.chunks.iter().rev().copied().collect(),
        ..good.clone()
    };
    assert!(matches!(
        store.assemble(&swapped),
        Err(BlobError::WrongHash { .. })
    ));
    let single = FileParts {
        sha256: digest("x"),
        size: 1,
        chunks: vec![good.chunks[0]],
    };
    assert_eq!(
        store.assemble(&single).unwrap(),
        [good.chunks[0]],
        "a chunk of another length"
    );
    assert!(store.assemble(&good).unwrap().is_empty());
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn the_quota_evicts_the_least_used_and_never_the_referenced() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), 3_000);
    let blobs: Vec<_> = (0..5).map(|seed| noise(seed * 1_000, 1_000)).collect();
    let keys: Vec<_> = blobs.iter().map(|bytes| sha256(bytes)).collect();
    for index in 0..3 {
        store.put(keys[index], &blobs[index]).unwrap();
    }
    let full = store.put(keys[3], &blobs[3]).unwrap_err();
    assert!(matches!(
        full,
        BlobError::QuotaFull {
            needed: 1_000,
            used: 3_000,
            quota: 3_000
        }
    ));
    store.pin(BTreeSet::from([keys[1]]));
    store.get(&keys[0]).unwrap();
    store.put(keys[3], &blobs[3]).unwrap();
    let held: Vec<_> = keys
        .iter()
        .map(|key| store.bytes_of(key).is_some())
        .collect();
    assert_eq!(held, [true, true, false, true, false]);
    store.put(keys[4], &blobs[4]).unwrap();
    let held: Vec<_> = keys
        .iter()
        .map(|key| store.bytes_of(key).is_some())
        .collect();
    assert_eq!(held, [false, true, false, true, true]);
    store.pin(keys.iter().copied().collect());
    assert!(matches!(
        store.put(keys[0], &blobs[0]),
        Err(BlobError::QuotaFull { .. })
    ));
    assert_eq!(fs::read(path(dir.path(), &keys[1])).unwrap(), blobs[1]);
}
