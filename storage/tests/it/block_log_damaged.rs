//! Goal: a damaged block costs a refetch, nothing more. Method: a home with blocks in several
//! segments, one of them damaged before a start, another while the store is open.

use std::fs;
use std::path::Path;

use protocol::units::Height;
use storage::StorageHandle;
use storage::blocks::{BlockError, CommittedBlock, Gap};

use crate::scene::{block, config, init_sign_state, open_with, reply, state};

const LAST: u64 = 40;

fn large(height: u64) -> CommittedBlock {
    let mut block = block(height);
    block.block.resize(100_000, 3);
    block
}

fn commit(handle: &StorageHandle, height: u64) {
    let (answer, outcome) = reply();
    handle.commit(large(height), state(height), answer).unwrap();
    outcome.recv().unwrap().unwrap();
}

fn flip(home: &Path, ordinal: u32, offset: usize) {
    let path = home.join(format!("data/blocks/{ordinal:010}.plsr"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_damaged_segment_is_refetched_by_height() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let (storage, _) = open_with(config(home.path()), home.path()).unwrap();
    (1..=LAST).for_each(|height| commit(&storage.handle(), height));
    storage.close().unwrap();
    flip(home.path(), 1, 300_000);
    let (storage, recovered) = open_with(config(home.path()), home.path()).unwrap();
    assert_eq!(recovered.blocks.set_aside.len(), 1);
    assert!(home.path().join("data/blocks/0000000001.plsr.bad").exists());
    assert_eq!(recovered.tip.unwrap().height, Height(LAST));
    assert_eq!(recovered.state.meta.unwrap().height, Height(LAST));
    let handle = storage.handle();
    let lowest = handle.blocks().lowest().unwrap();
    assert!(lowest > Height(1) && lowest < Height(LAST));
    assert_eq!(handle.blocks().contiguous_after(Height(0)), Height(0));
    let (first, last) = (Height(1), lowest.previous());
    assert_eq!(
        handle.blocks().gaps_through(Height(LAST)),
        [Gap { first, last }]
    );
    // Above the last block is a gap, too, if the state is further than the log.
    let (first, last) = (Height(LAST + 1), Height(LAST + 2));
    let above = Gap { first, last };
    assert_eq!(
        handle.blocks().gaps_through(Height(LAST + 2)).last(),
        Some(&above)
    );
    // The log alone takes the block back: the state has passed it long ago.
    for height in 1..lowest.0 {
        let (answer, outcome) = reply();
        handle.restore_block(large(height), answer).unwrap();
        outcome.recv().unwrap().unwrap();
    }
    assert_eq!(handle.blocks().contiguous_after(Height(0)), Height(LAST));
    assert_eq!(handle.blocks().gaps_through(Height(LAST)), []);
    storage.close().unwrap();
    let (storage, recovered) = open_with(config(home.path()), home.path()).unwrap();
    assert!(recovered.blocks.set_aside.is_empty());
    for height in 1..=LAST {
        let held = storage.handle().blocks().block(Height(height)).unwrap();
        assert_eq!(held, Some(large(height)));
    }
    assert_eq!(recovered.state.meta.unwrap().height, Height(LAST));
    storage.close().unwrap();
}

#[test]
fn damage_while_open_is_noticed_at_the_read() {
    let home = tempfile::tempdir().unwrap();
    init_sign_state(home.path());
    let (storage, _) = open_with(config(home.path()), home.path()).unwrap();
    (1..=3).for_each(|height| commit(&storage.handle(), height));
    let reader = storage.handle().blocks().clone();
    assert_eq!(reader.block(Height(2)).unwrap(), Some(large(2)));
    // The second record starts after the first; its length, seq and content are hit in turn.
    for offset in [51 + 100_000 + 200, 51 + 100_000 + 100] {
        flip(home.path(), 1, offset);
        let error = reader.block(Height(2)).unwrap_err();
        assert!(
            matches!(error, BlockError::Damaged { height: Height(2) }),
            "{error}"
        );
        flip(home.path(), 1, offset);
        assert!(reader.block(Height(2)).is_ok());
    }
    storage.close().unwrap();
}
