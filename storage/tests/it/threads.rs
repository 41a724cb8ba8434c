//! Goal: the three threads answer in the order that the promises need. Method: requests through
//! the handle, with the state thread held back where the lag matters.

use std::sync::mpsc::{TryRecvError, channel};

use protocol::units::{Height, TimeMs};
use storage::audit::record::AuditEntry;
use storage::blocks::BlockError;
use storage::journal::STATE_LAG_MAX;
use storage::request::Thread;
use storage::state::EVENT_HEIGHTS;
use storage::wal::{BODY_BYTES_MAX, ENTRY_BYTES_MAX, WalEntry};
use storage::{Durability, JournalError, NotTaken};

use crate::scene::{block, digest, init_sign_state, open, reply, state};

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    home
}

/// While the state thread stands still, eight commits are answered and the ninth is not; votes
/// are answered all the same.
#[test]
fn a_commit_waits_once_the_state_lags_by_eight() {
    let home = home();
    let (storage, _) = open(home.path()).unwrap();
    let handle = storage.handle();
    let (release, held) = channel::<()>();
    let (standing, stands) = channel();
    let block_thread = Box::new(move |_: Result<Option<Vec<u8>>, _>| {
        standing.send(()).unwrap();
        held.recv().unwrap();
    });
    handle.events(Height(1), block_thread).unwrap();
    stands.recv().unwrap();
    let mut outcomes = Vec::new();
    for height in 1..=STATE_LAG_MAX + 1 {
        let (answer, outcome) = reply();
        handle.commit(block(height), state(height), answer).unwrap();
        outcomes.push(outcome);
    }
    let last = outcomes.pop().unwrap();
    for outcome in outcomes {
        outcome.recv().unwrap().unwrap();
    }
    let entry = WalEntry::Input {
        height: Height(10),
        bytes: b"vote".to_vec(),
    };
    let (answer, outcome) = reply();
    handle.wal(vec![entry], Durability::Now, answer).unwrap();
    outcome.recv().unwrap().unwrap();
    assert_eq!(
        last.try_recv().unwrap_err(),
        TryRecvError::Empty,
        "the lag is not bounded"
    );
    assert_eq!(
        handle.blocks().tip().unwrap().height,
        Height(9),
        "the block itself is durable"
    );
    release.send(()).unwrap();
    last.recv().unwrap().unwrap();
    storage.close().unwrap();
    let (storage, recovered) = open(home.path()).unwrap();
    storage.close().unwrap();
    assert_eq!(recovered.state.meta.unwrap().height, Height(9));
}

#[test]
fn a_full_queue_refuses_at_once() {
    let home = home();
    let (storage, _) = open(home.path()).unwrap();
    let handle = storage.handle();
    let (release, held) = channel::<()>();
    handle
        .get_blob(digest("none"), Box::new(move |_| held.recv().unwrap()))
        .unwrap();
    let refused = (0..storage::handle::BLOB_QUEUE + 2)
        .find_map(|_| handle.get_blob(digest("none"), Box::new(|_| {})).err());
    assert_eq!(refused, Some(NotTaken::Full(Thread::Blobs)));
    release.send(()).unwrap();
    storage.close().unwrap();
    let ended = handle
        .get_blob(digest("none"), Box::new(|_| {}))
        .unwrap_err();
    assert_eq!(ended, NotTaken::Ended(Thread::Blobs));
}

#[test]
fn the_same_block_again_is_accepted_and_another_is_not() {
    let home = home();
    let (storage, _) = open(home.path()).unwrap();
    let handle = storage.handle();
    let commit = |block, state| {
        let (answer, outcome) = reply();
        handle.commit(block, state, answer).unwrap();
        outcome.recv().unwrap()
    };
    commit(block(1), state(1)).unwrap();
    let mut other = block(1);
    other.id = block(2).id;
    let error = commit(other, state(1)).unwrap_err();
    assert!(
        matches!(error, JournalError::Block(BlockError::OtherBlock { .. })),
        "{error}"
    );
    assert_eq!(error.exit(), None);
    assert_eq!(handle.blocks().block(Height(1)).unwrap(), Some(block(1)));
    assert_eq!(handle.blocks().block(Height(2)).unwrap(), None);
    let header = handle.blocks().header(Height(1)).unwrap().unwrap();
    assert_eq!(
        header.header,
        block(1).block[..protocol::block::HEADER_BYTES]
    );
    assert_eq!(header.certificate, block(1).certificate);
    storage.close().unwrap();
}

#[test]
fn the_log_returns_open_heights_and_forgets_committed_ones() {
    let home = home();
    let (storage, _) = open(home.path()).unwrap();
    let handle = storage.handle();
    let body = |height: u64| WalEntry::Body {
        height: Height(height),
        id: block(height).id,
        bytes: vec![7; 1 << 20],
    };
    // Each body nearly fills a segment, so committing must delete five of them and spare the
    // sealed ones of open heights.
    for height in 1..=8 {
        let (answer, outcome) = reply();
        handle
            .wal(vec![body(height)], Durability::Now, answer)
            .unwrap();
        outcome.recv().unwrap().unwrap();
    }
    for height in 1..=5 {
        let (answer, outcome) = reply();
        handle.commit(block(height), state(height), answer).unwrap();
        outcome.recv().unwrap().unwrap();
    }
    storage.close().unwrap();
    let (storage, recovered) = open(home.path()).unwrap();
    storage.close().unwrap();
    let entries: Vec<_> = recovered
        .wal
        .iter()
        .map(|record| record.entry.clone())
        .collect();
    assert_eq!(entries, [body(6), body(7), body(8)]);
    assert_eq!(recovered.wal[0].seq, 6);
    let held = |ordinal| {
        home.path()
            .join(format!("data/wal/{ordinal:010}.plsr"))
            .exists()
    };
    let expected = [false, false, false, false, false, true, true, true, true];
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 9].map(held), expected);
}

#[test]
fn entries_too_long_are_refused_and_the_rest_goes_on() {
    let home = home();
    let (storage, _) = open(home.path()).unwrap();
    let handle = storage.handle();
    let height = Height(1);
    let wal = |entry| {
        let (answer, outcome) = reply();
        handle.wal(vec![entry], Durability::Now, answer).unwrap();
        outcome.recv().unwrap()
    };
    let id = block(1).id;
    assert!(
        wal(WalEntry::Input {
            height,
            bytes: vec![0; ENTRY_BYTES_MAX + 1]
        })
        .is_err()
    );
    assert!(
        wal(WalEntry::Body {
            height,
            id,
            bytes: vec![0; BODY_BYTES_MAX + 1]
        })
        .is_err()
    );
    assert_eq!(
        wal(WalEntry::Input {
            height,
            bytes: vec![0; ENTRY_BYTES_MAX]
        })
        .unwrap(),
        1
    );
    assert_eq!(
        wal(WalEntry::Body {
            height,
            id,
            bytes: vec![0; BODY_BYTES_MAX]
        })
        .unwrap(),
        2
    );
    storage.close().unwrap();
}

#[test]
fn pairs_stay_until_done() {
    let home = home();
    let (storage, _) = open(home.path()).unwrap();
    let handle = storage.handle();
    for name in ["a", "b", "a"] {
        let (answer, outcome) = reply();
        handle
            .keep(digest(name), name.as_bytes().to_vec(), answer)
            .unwrap();
        outcome.recv().unwrap().unwrap();
    }
    let (answer, outcome) = reply();
    handle.done(digest("a"), answer).unwrap();
    outcome.recv().unwrap().unwrap();
    storage.close().unwrap();
    let (storage, recovered) = open(home.path()).unwrap();
    storage.close().unwrap();
    assert_eq!(recovered.pairs, [(digest("b"), b"b".to_vec())]);
}

#[test]
fn old_events_go() {
    let home = home();
    let mut memory = crate::scene::config(home.path());
    memory.backend = storage::state::Backend::Memory;
    let (storage, _) = crate::scene::open_with(memory, home.path()).unwrap();
    let handle = storage.handle();
    let last = EVENT_HEIGHTS + 3;
    for height in 1..=last {
        let (answer, outcome) = reply();
        let mut commit = state(height);
        commit.events = vec![1; 70_000 * usize::from(height % 2 == 0)];
        handle.replay(commit, answer).unwrap();
        outcome.recv().unwrap().unwrap();
    }
    let events = |height| {
        let (answer, outcome) = reply();
        handle.events(Height(height), answer).unwrap();
        outcome.recv().unwrap().unwrap()
    };
    assert_eq!(events(last - EVENT_HEIGHTS), None);
    assert_eq!(events(last - EVENT_HEIGHTS + 1), Some(vec![1; 70_000]));
    assert_eq!(
        events(last),
        Some(Vec::new()),
        "no events is not the same as forgotten"
    );
    storage.close().unwrap();
}

#[test]
fn audit_records_are_numbered_and_anchored_after_sixty_four() {
    let home = home();
    let (storage, _) = open(home.path()).unwrap();
    let handle = storage.handle();
    for index in 0..64 {
        assert_eq!(handle.audit_anchor(), None);
        let entry = AuditEntry {
            time: TimeMs(index),
            actor: "test".to_owned(),
            action: "count".to_owned(),
            subject: index.to_string(),
            body_hash: digest("body"),
        };
        let (answer, outcome) = reply();
        handle.audit(entry, answer).unwrap();
        assert_eq!(outcome.recv().unwrap().unwrap(), index);
    }
    assert!(handle.audit_anchor().is_some());
    storage.close().unwrap();
}
