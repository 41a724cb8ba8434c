//! Where each block lies: sixteen bytes a height, however long the chain. Pure.
//!
//! Heights come almost without holes, so they are kept in pages, each a plain array; a hole costs a few
//! empty places, a height far away one page. Of an id only the beginning is kept: enough to tell that a
//! record is not the one that was indexed. The whole id is in the record.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use protocol::digest::BlockId;
use protocol::units::Height;

use super::Tip;
use crate::record::format::array;
use crate::record::log::Position;

/// Heights of one page.
const PAGE: usize = 64;
const PAGE_HEIGHTS: u64 = PAGE as u64;

/// Where one block lies, and how its id begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The segment's ordinal and one.
    segment: NonZeroU32,
    offset: u32,
    tag: [u8; 8],
}

const _: () = assert!(size_of::<Option<Entry>>() == 16);

fn tag_of(id: &BlockId) -> [u8; 8] {
    array(id.as_bytes(), 0).unwrap_or_default()
}

impl Entry {
    /// No segment is as long as four gibibytes; what lay beyond would be read as damaged.
    pub(super) fn new(at: Position, id: &BlockId) -> Self {
        Self {
            segment: NonZeroU32::MIN.saturating_add(at.ordinal),
            offset: u32::try_from(at.offset).unwrap_or(u32::MAX),
            tag: tag_of(id),
        }
    }

    pub(super) const fn at(&self) -> Position {
        Position {
            ordinal: self.segment.get() - 1,
            offset: self.offset as u64,
        }
    }

    /// Whether this is the block that was indexed.
    pub(super) fn is_of(&self, id: &BlockId) -> bool {
        self.tag == tag_of(id)
    }
}

type Page = [Option<Entry>; PAGE];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    pages: BTreeMap<u64, Box<Page>>,
    tip: Option<Tip>,
}

/// A height's page and its place in it.
fn place_of(height: Height) -> (u64, usize) {
    let place = height.0 % PAGE_HEIGHTS;
    (
        height.0 / PAGE_HEIGHTS,
        usize::try_from(place).unwrap_or(PAGE),
    )
}

impl Index {
    pub(super) fn get(&self, height: Height) -> Option<Entry> {
        let (page, place) = place_of(height);
        self.pages.get(&page)?.get(place).copied().flatten()
    }

    /// Enters a block in the place of whatever was there.
    pub(super) fn insert(&mut self, block: Tip, entry: Entry) {
        let (page, place) = place_of(block.height);
        let empty = || Box::new([None; PAGE]);
        let page = self.pages.entry(page).or_insert_with(empty);
        if let Some(slot) = page.get_mut(place) {
            *slot = Some(entry);
        }
        if self.tip.is_none_or(|tip| tip.height <= block.height) {
            self.tip = Some(block);
        }
    }

    /// The highest block.
    pub(super) const fn tip(&self) -> Option<Tip> {
        self.tip
    }

    /// The heights held from this one on, ascending.
    pub(super) fn heights_from(&self, first: Height) -> impl Iterator<Item = Height> {
        let pages = self.pages.range(place_of(first).0..);
        let heights = pages.flat_map(|(page, entries)| {
            let places = (page.saturating_mul(PAGE_HEIGHTS)..).zip(entries.iter());
            places.filter_map(|(height, entry)| entry.map(|_| Height(height)))
        });
        heights.filter(move |height| *height >= first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::digest::{Digest, sha256};

    use super::*;

    fn block(height: u64) -> (Tip, Entry) {
        let id = BlockId(sha256(&height.to_be_bytes()));
        let at = Position {
            ordinal: u32::try_from(height % 1_000).unwrap(),
            offset: height % 70_000_000,
        };
        let height = Height(height);
        (Tip { height, id }, Entry::new(at, &id))
    }

    #[test]
    fn an_entry_knows_its_place_and_its_block() {
        for (ordinal, offset) in [(0, 0), (1, 51), (u32::MAX - 1, u64::from(u32::MAX))] {
            let at = Position { ordinal, offset };
            let id = BlockId(sha256(b"block"));
            let entry = Entry::new(at, &id);
            assert_eq!(entry.at(), at);
            assert!(entry.is_of(&id));
            assert!(!entry.is_of(&BlockId(Digest::ZERO)));
        }
    }

    proptest! {
        /// Goal: the index is a map of heights. Method: compare it with one, over runs and heights far
        /// away from each other.
        #[test]
        fn pages_are_a_map(
            runs in prop::collection::vec((prop_oneof![0..200_u64, any::<u64>()], 0..150_u64), 0..6),
            from in prop_oneof![0..300_u64, any::<u64>()],
        ) {
            let mut index = Index::default();
            let mut model = BTreeMap::new();
            for (first, length) in runs {
                for height in first..first.saturating_add(length) {
                    let (tip, entry) = block(height);
                    index.insert(tip, entry);
                    model.insert(tip.height, (tip, entry));
                }
            }
            for (height, (_, entry)) in &model {
                prop_assert_eq!(index.get(*height), Some(*entry));
            }
            prop_assert_eq!(index.get(Height(from)), model.get(&Height(from)).map(|held| held.1));
            prop_assert_eq!(index.tip(), model.last_key_value().map(|(_, held)| held.0));
            let held: Vec<_> = index.heights_from(Height(from)).collect();
            let expected: Vec<_> = model.range(Height(from)..).map(|(height, _)| *height).collect();
            prop_assert_eq!(held, expected);
        }
    }
}
