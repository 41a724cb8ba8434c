//! Goal: a lost or ruined state directory costs time, never content. Method: commit blocks, stop,
//! delete the directory or overwrite every file in it with noise, open, replay from the block
//! log, and compare.

use std::fs;
use std::path::Path;

use protocol::units::Height;
use storage::state::{ActorId, RebuildCause, StateImage};
use storage::{JournalError, Storage, StorageHandle};

use crate::scene::{block, init_sign_state, noise, open, reply, state};

fn commit(handle: &StorageHandle, height: u64) -> Result<(), JournalError> {
    let (answer, outcome) = reply();
    handle.commit(block(height), state(height), answer).unwrap();
    outcome.recv().unwrap()
}

/// A home with ten blocks, closed, and the state that it held.
fn ten_blocks(home: &Path) -> StateImage {
    init_sign_state(home);
    let (storage, _) = open(home).unwrap();
    for height in 1..=10 {
        commit(&storage.handle(), height).unwrap();
    }
    storage.close().unwrap();
    let (storage, recovered) = open(home).unwrap();
    storage.close().unwrap();
    assert_eq!(recovered.state.meta, Some(state(10).meta));
    assert_eq!(recovered.state.leaves.len(), 5);
    recovered.state
}

/// Replays all blocks that the log holds above the state.
fn replay(storage: &Storage, from: Height) {
    let handle = storage.handle();
    let last = handle.blocks().contiguous_after(from);
    for height in from.0 + 1..=last.0 {
        let held = handle.blocks().block(Height(height)).unwrap().unwrap();
        assert_eq!(held, block(height));
        let (answer, outcome) = reply();
        handle.replay(state(height), answer).unwrap();
        outcome.recv().unwrap().unwrap();
    }
}

fn rebuilt_equals(home: &Path, before: &StateImage, cause: Option<RebuildCause>) {
    let (storage, recovered) = open(home).unwrap();
    if cause.is_some() {
        assert!(recovered.rebuilt.is_some(), "ruined state was accepted");
    }
    assert_eq!(recovered.tip.unwrap().height, Height(10));
    replay(
        &storage,
        recovered.state.meta.map_or(Height(0), |meta| meta.height),
    );
    storage.close().unwrap();
    let (storage, recovered) = open(home).unwrap();
    storage.close().unwrap();
    assert_eq!(&recovered.state, before);
}

#[test]
fn deleted() {
    let home = tempfile::tempdir().unwrap();
    let before = ten_blocks(home.path());
    fs::remove_dir_all(home.path().join("data/state")).unwrap();
    rebuilt_equals(home.path(), &before, None);
}

#[test]
fn overwritten_with_noise() {
    for seed in 0..6 {
        let home = tempfile::tempdir().unwrap();
        let before = ten_blocks(home.path());
        for entry in fs::read_dir(home.path().join("data/state")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let length = fs::metadata(&path).unwrap().len();
                fs::write(&path, noise(seed, usize::try_from(length).unwrap())).unwrap();
            }
        }
        rebuilt_equals(home.path(), &before, Some(RebuildCause::Error));
        assert!(home.path().join("data/state.bad-1").is_dir(), "seed {seed}");
    }
}

#[test]
fn a_wrong_root_starts_afresh_and_three_bad_ones_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let before = ten_blocks(home.path());
    let (storage, _) = open(home.path()).unwrap();
    for _ in 0..5 {
        let (answer, outcome) = reply();
        storage.handle().reset_state(answer).unwrap();
        outcome.recv().unwrap().unwrap();
    }
    replay(&storage, Height(0));
    storage.close().unwrap();
    let kept = |number| {
        home.path()
            .join(format!("data/state.bad-{number}"))
            .exists()
    };
    assert_eq!([1, 2, 3, 4, 5].map(kept), [false, false, true, true, true]);
    rebuilt_equals(home.path(), &before, None);
}

#[test]
fn notes_and_events_survive_and_stay_out_of_the_leaves() {
    let home = tempfile::tempdir().unwrap();
    let before = ten_blocks(home.path());
    let (storage, _) = open(home.path()).unwrap();
    let handle = storage.handle();
    let (answer, outcome) = reply();
    handle.note(ActorId(3), Height(9), answer).unwrap();
    outcome.recv().unwrap().unwrap();
    for (height, expected) in [(10, Some(b"events 10".to_vec())), (11, None)] {
        let (answer, outcome) = reply();
        handle.events(Height(height), answer).unwrap();
        assert_eq!(outcome.recv().unwrap().unwrap(), expected);
    }
    storage.close().unwrap();
    let (storage, recovered) = open(home.path()).unwrap();
    storage.close().unwrap();
    assert_eq!(recovered.state.leaves, before.leaves);
    assert_eq!(recovered.state.notes, [(ActorId(3), Height(9))].into());
}
