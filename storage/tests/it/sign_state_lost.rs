//! Goal: the floor for signing is where it was after the loss of any one file, and the node
//! refuses to start when it cannot know. Method: the rule as a table, then damaged homes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use protocol::digest::JobId;
use protocol::units::Height;
use storage::sign::commits::SeatKey;
use storage::sign::floor::{Allowed, Floor, SignMark, SignPoint, Step};
use storage::sign::portable::{SignStateExport, StoppedSignState};
use storage::sign::slot::{SLOT_BYTES, SignerIdentity};
use storage::sign::state::{SignStateError, init};
use storage::wal::WalEntry;
use storage::{Durability, ExitKind, HomeLock, JournalError, OpenError, StorageHandle};

use crate::scene::{
    block, chain, config, digest, identity, init_sign_state, key, mark, open, open_with, os, reply,
    state,
};

#[test]
fn the_rule() {
    use Step::{Precommit, Prevote, Propose};
    let floor = Floor::from(mark(5, 2, Prevote, b"a"));
    let table = [
        (mark(4, 9, Precommit, b"a"), None),
        (mark(5, 1, Precommit, b"a"), None),
        (mark(5, 2, Propose, b"a"), None),
        (mark(5, 2, Prevote, b"b"), None),
        (mark(5, 2, Prevote, b"a"), Some(Allowed::Again)),
        (mark(5, 2, Precommit, b"b"), Some(Allowed::Above)),
        (mark(5, 3, Propose, b"b"), Some(Allowed::Above)),
        (mark(6, 0, Propose, b"b"), Some(Allowed::Above)),
    ];
    for (asked, expected) in table {
        assert_eq!(floor.judge(&asked).ok(), expected, "{asked:?}");
        if expected.is_none() {
            let refused = floor.judge(&asked).unwrap_err();
            assert_eq!((refused.asked, refused.floor), (asked.point, floor.point));
        }
    }
    let unknown = Floor {
        sign_bytes: None,
        ..floor
    };
    assert!(unknown.judge(&mark(5, 2, Prevote, b"a")).is_err());
    assert_eq!(floor.max(Floor::from(mark(5, 2, Prevote, b"b"))), unknown);
    assert!(
        Floor::end_of(Height(5))
            .judge(&mark(5, u32::MAX, Precommit, b""))
            .is_err()
    );
    assert!(
        Floor::end_of(Height(5))
            .judge(&mark(6, 0, Propose, b""))
            .is_ok()
    );
}

fn vote(handle: &StorageHandle, mark: SignMark) -> Result<u64, JournalError> {
    let (answer, outcome) = reply();
    let entry = WalEntry::Own {
        mark,
        bytes: b"vote".to_vec(),
    };
    handle.wal(vec![entry], Durability::Now, answer).unwrap();
    outcome.recv().unwrap()
}

/// A home whose last own message is a precommit at (3, 1), with heights 1 and 2 committed.
fn voted(home: &Path) -> SignPoint {
    init_sign_state(home);
    let (storage, _) = open(home).unwrap();
    let handle = storage.handle();
    for height in [1, 2] {
        vote(&handle, mark(height, 0, Step::Precommit, b"v")).unwrap();
        let (answer, outcome) = reply();
        handle.commit(block(height), state(height), answer).unwrap();
        outcome.recv().unwrap().unwrap();
    }
    vote(&handle, mark(3, 0, Step::Prevote, b"v")).unwrap();
    vote(&handle, mark(3, 1, Step::Precommit, b"v")).unwrap();
    storage.close().unwrap();
    mark(3, 1, Step::Precommit, b"v").point
}

fn floor(home: &Path) -> Result<SignPoint, OpenError> {
    let (storage, recovered) = open(home)?;
    storage.close().unwrap();
    Ok(recovered.floor.unwrap().point)
}

fn slots(home: &Path) -> std::path::PathBuf {
    home.join("data/sign-state/slots")
}

#[test]
fn a_refused_signature_writes_nothing() {
    let home = tempfile::tempdir().unwrap();
    voted(home.path());
    let (storage, before) = open(home.path()).unwrap();
    let handle = storage.handle();
    let again = mark(3, 1, Step::Precommit, b"v");
    vote(&handle, again).unwrap();
    let error = vote(
        &handle,
        SignMark {
            sign_bytes: digest("other"),
            ..again
        },
    )
    .unwrap_err();
    assert!(matches!(error, JournalError::Refused(_)), "{error}");
    assert_eq!(error.exit(), Some(ExitKind::SignState));
    // Allowed and refused in one batch: all of it is refused.
    let (answer, outcome) = reply();
    let batch = [
        mark(4, 0, Step::Prevote, b"x"),
        mark(4, 0, Step::Prevote, b"y"),
    ];
    let batch = batch.map(|mark| WalEntry::Own {
        mark,
        bytes: Vec::new(),
    });
    handle.wal(batch.to_vec(), Durability::Now, answer).unwrap();
    assert!(matches!(
        outcome.recv().unwrap(),
        Err(JournalError::Refused(_))
    ));
    storage.close().unwrap();
    let (storage, after) = open(home.path()).unwrap();
    storage.close().unwrap();
    assert_eq!(after.wal.len(), before.wal.len() + 1);
    assert_eq!(after.floor, before.floor);
}

#[test]
fn either_slot_may_be_lost() {
    for place in [0, 1] {
        let home = tempfile::tempdir().unwrap();
        let expected = voted(home.path());
        let mut bytes = fs::read(slots(home.path())).unwrap();
        bytes[place * SLOT_BYTES + 80] ^= 1;
        fs::write(slots(home.path()), &bytes).unwrap();
        assert_eq!(floor(home.path()).unwrap(), expected, "slot {place}");
        // Opening rewrote it, so now the other one may go.
        let mut bytes = fs::read(slots(home.path())).unwrap();
        bytes[(1 - place) * SLOT_BYTES + 80] ^= 1;
        fs::write(slots(home.path()), &bytes).unwrap();
        assert_eq!(
            floor(home.path()).unwrap(),
            expected,
            "slot {place}, then the other"
        );
    }
}

#[test]
fn every_byte_of_both_slots() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("sign-state");
    init(&storage::layer::OsLayer, &dir, identity(), Height(7)).unwrap();
    let whole = fs::read(dir.join("slots")).unwrap();
    // Only the second slot is written by init, so damage to its bytes must never be believed.
    for offset in 0..137 {
        let mut bytes = whole.clone();
        bytes[SLOT_BYTES + offset] ^= 0x10;
        fs::write(dir.join("slots"), &bytes).unwrap();
        let found = storage::sign::state::SignState::open(&os(), &dir, identity(), None, 0);
        assert!(
            matches!(found, Err(SignStateError::Missing { .. })),
            "byte {offset}"
        );
    }
}

#[test]
fn stale_slots_are_made_good_by_the_log() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let fresh = fs::read(slots(home.path())).unwrap();
    let other = tempfile::tempdir().unwrap();
    let expected = voted(other.path());
    fs::write(slots(other.path()), fresh).unwrap();
    assert_eq!(floor(other.path()).unwrap(), expected);
}

#[test]
fn committed_heights_are_a_floor() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let (storage, _) = open(home.path()).unwrap();
    for height in 1..=4 {
        let (answer, outcome) = reply();
        storage
            .handle()
            .commit(block(height), state(height), answer)
            .unwrap();
        outcome.recv().unwrap().unwrap();
    }
    storage.close().unwrap();
    assert_eq!(floor(home.path()).unwrap(), SignPoint::end_of(Height(4)));
    // Also when only the state remembers them.
    fs::remove_dir_all(home.path().join("data/blocks")).unwrap();
    assert_eq!(floor(home.path()).unwrap(), SignPoint::end_of(Height(4)));
}

#[test]
fn a_lost_log_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    voted(home.path());
    fs::remove_dir_all(home.path().join("data/wal")).unwrap();
    let error = floor(home.path()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Sign(SignStateError::WalLost { end: 0, .. })
        ),
        "{error}"
    );
    assert_eq!(error.exit(), ExitKind::Durability);
}

#[test]
fn no_slot_no_start() {
    for ruin in [false, true] {
        let home = tempfile::tempdir().unwrap();
        voted(home.path());
        if ruin {
            fs::write(slots(home.path()), vec![0xAA; 2 * SLOT_BYTES]).unwrap();
        } else {
            fs::remove_file(slots(home.path())).unwrap();
        }
        let error = floor(home.path()).unwrap_err();
        assert!(
            matches!(error, OpenError::Sign(SignStateError::Missing { .. })),
            "{error}"
        );
        assert_eq!(error.exit(), ExitKind::SignState);
        let lock = HomeLock::acquire(home.path()).unwrap();
        let data = home.path().join("data");
        let stopped = StoppedSignState::new(os(), &data, identity(), &lock);
        stopped.init(Height(9)).unwrap();
        assert!(matches!(
            stopped.init(Height(10)),
            Err(SignStateError::Exists { .. })
        ));
        drop(lock);
        assert_eq!(floor(home.path()).unwrap(), SignPoint::end_of(Height(9)));
    }
}

#[test]
fn another_key_or_chain_is_refused() {
    let home = tempfile::tempdir().unwrap();
    voted(home.path());
    let mut other_key = config(home.path());
    other_key.signer = Some(
        protocol::keys::SecretKey::from_bytes(&[8; 32])
            .unwrap()
            .public(),
    );
    let error = open_with(other_key, home.path()).unwrap_err();
    assert_eq!(error.exit(), ExitKind::SignState, "{error}");
    let mut other_chain = config(home.path());
    other_chain.chain = protocol::digest::ChainId::of_genesis(b"other");
    let error = open_with(other_chain, home.path()).unwrap_err();
    assert_eq!(error.exit(), ExitKind::Configuration, "{error}");
}

#[test]
fn a_node_without_key_signs_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut observer = config(home.path());
    observer.signer = None;
    let (storage, recovered) = open_with(observer, home.path()).unwrap();
    assert_eq!(recovered.floor, None);
    let error = vote(&storage.handle(), mark(1, 0, Step::Prevote, b"v")).unwrap_err();
    assert!(matches!(error, JournalError::NoSigner), "{error}");
    storage.close().unwrap();
}

fn seat(seat: u16) -> SeatKey {
    SeatKey {
        job: JobId(digest("job")),
        attempt: 1,
        seat,
    }
}

fn commit_seat(handle: &StorageHandle, key: SeatKey, commit: &str) -> Result<(), JournalError> {
    let (answer, outcome) = reply();
    handle.mark(key, digest(commit), answer).unwrap();
    outcome.recv().unwrap()
}

#[test]
fn one_commit_a_seat_across_restarts() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    for _ in 0..2 {
        let (storage, _) = open(home.path()).unwrap();
        let handle = storage.handle();
        commit_seat(&handle, seat(1), "a").unwrap();
        let error = commit_seat(&handle, seat(1), "b").unwrap_err();
        let other = JournalError::Sign(SignStateError::OtherCommit { seat: seat(1) });
        assert_eq!(error.to_string(), other.to_string());
        assert_eq!(error.exit(), None);
        commit_seat(&handle, seat(2), "b").unwrap();
        storage.close().unwrap();
    }
    let (storage, recovered) = open(home.path()).unwrap();
    storage.close().unwrap();
    assert_eq!(
        recovered.seat_commits,
        [(seat(1), digest("a")), (seat(2), digest("b"))].into()
    );
}

#[test]
fn export_and_import_take_the_maximum() {
    let home = tempfile::tempdir().unwrap();
    let expected = voted(home.path());
    let (storage, _) = open(home.path()).unwrap();
    commit_seat(&storage.handle(), seat(1), "a").unwrap();
    storage.close().unwrap();
    let lock = HomeLock::acquire(home.path()).unwrap();
    let data = home.path().join("data");
    let stopped = StoppedSignState::new(os(), &data, identity(), &lock);
    let export = stopped.export().unwrap();
    assert_eq!(export.point, expected);
    assert_eq!(export.commits, [(seat(1), digest("a"))].into());
    let lower = SignStateExport {
        point: SignPoint::end_of(Height(2)),
        commits: [(seat(1), digest("other")), (seat(5), digest("e"))].into(),
        ..export.clone()
    };
    let imported = stopped.import(&lower).unwrap();
    assert_eq!((imported.point, imported.commits_added), (expected, 1));
    assert_eq!(imported.conflicts, [seat(1)]);
    let higher = SignStateExport {
        point: SignPoint::end_of(Height(8)),
        ..export.clone()
    };
    assert_eq!(
        stopped.import(&higher).unwrap().point,
        SignPoint::end_of(Height(8))
    );
    let foreign = SignerIdentity {
        public_key: key().public(),
        chain: chain(),
    };
    assert_eq!(export.identity, foreign);
    drop(lock);
    assert_eq!(floor(home.path()).unwrap(), SignPoint::end_of(Height(8)));
    // On a host without sign-state the import becomes it.
    let fresh = tempfile::tempdir().unwrap();
    let lock = HomeLock::acquire(fresh.path()).unwrap();
    let data = fresh.path().join("data");
    let stopped = StoppedSignState::new(Arc::clone(&os()), &data, identity(), &lock);
    assert!(matches!(
        stopped.export(),
        Err(SignStateError::Missing { .. })
    ));
    stopped.import(&export).unwrap();
    assert_eq!(stopped.export().unwrap(), export);
}
