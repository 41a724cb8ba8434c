//! Blocks on their way to a verdict.
//!
//! ```text
//! named -> Missing --bytes--> Fresh --Judge--> Judging --Verdict--> Judged
//!                                                 `--of the future--> Held --timer, polka--> Judged
//! ```
//! Only a block that a verified proposal, a polka or a commit certificate names is kept: the core holds
//! two values per round, so junk would keep the real one out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arc_malachitebft_core_types::Validity;
use protocol::digest::BlockId;
use protocol::keys::PublicKey;
use protocol::units::{Height, Round};

use crate::input::Peer;
use crate::limits::{BODIES_PER_HEIGHT, NAMES_PER_HEIGHT};

const HOLDERS_MAX: usize = 16;

/// Who proposed it, in which round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Source {
    pub(crate) round: Round,
    pub(crate) pol_round: Option<Round>,
    pub(crate) proposer: PublicKey,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Missing,
    Fresh,
    Judging,
    Held,
    Judged(Validity),
}

/// One named block.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) source: Option<Source>,
    pub(crate) polka: Option<Round>,
    pub(crate) commit: Option<Round>,
    pub(crate) block: Option<Arc<[u8]>>,
    pub(crate) status: Status,
    pub(crate) logged: bool,
    holders: VecDeque<Peer>,
    number: u64,
}

impl Item {
    /// Whether a quorum stands behind it, so that it must not be dropped or held back.
    pub(crate) const fn is_vouched(&self) -> bool {
        self.polka.is_some() || self.commit.is_some()
    }
}

type Key = (Height, BlockId);

/// All named blocks of this height and the next.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    items: BTreeMap<Key, Item>,
    next: u64,
}

impl Bodies {
    /// The entry of a block, made if a name more is allowed at its height.
    pub(crate) fn name(&mut self, height: Height, id: BlockId) -> Option<&mut Item> {
        if !self.items.contains_key(&(height, id)) {
            self.drop_oldest(height, NAMES_PER_HEIGHT, |_| true)?;
            self.next = self.next.saturating_add(1);
            let item = Item {
                source: None,
                polka: None,
                commit: None,
                block: None,
                status: Status::Missing,
                logged: false,
                holders: VecDeque::new(),
                number: self.next,
            };
            self.items.insert((height, id), item);
        }
        self.items.get_mut(&(height, id))
    }

    /// Makes room below a limit among the entries that count; `None` if all of them are vouched for.
    fn drop_oldest(&mut self, height: Height, max: usize, counts: fn(&Item) -> bool) -> Option<()> {
        let range = (height, BlockId::ZERO)..(height.next(), BlockId::ZERO);
        let counted = || {
            self.items
                .range(range.clone())
                .filter(|(_, item)| counts(item))
        };
        if counted().count() < max {
            return Some(());
        }
        let oldest = counted()
            .filter(|(_, item)| !item.is_vouched())
            .min_by_key(|(_, item)| item.number);
        let key = *oldest?.0;
        self.items.remove(&key).map(|_| ())
    }

    pub(crate) fn get(&self, height: Height, id: BlockId) -> Option<&Item> {
        self.items.get(&(height, id))
    }

    pub(crate) fn get_mut(&mut self, height: Height, id: BlockId) -> Option<&mut Item> {
        self.items.get_mut(&(height, id))
    }

    /// Puts the bytes to a name that lacks them. The caller has checked that they belong together.
    pub(crate) fn fill(
        &mut self,
        height: Height,
        id: BlockId,
        block: Arc<[u8]>,
    ) -> Option<&mut Item> {
        if self.get(height, id)?.status == Status::Missing {
            self.drop_oldest(height, BODIES_PER_HEIGHT, |item| item.block.is_some())?;
            let item = self.items.get_mut(&(height, id))?;
            item.block = Some(block);
            item.status = Status::Fresh;
        }
        self.items.get_mut(&(height, id))
    }

    /// Notes that a peer speaks of a block, and so may have it.
    pub(crate) fn holder(&mut self, height: Height, id: BlockId, peer: &Peer) {
        if let Some(item) = self.items.get_mut(&(height, id))
            && item.holders.len() < HOLDERS_MAX
            && !item.holders.contains(peer)
        {
            item.holders.push_back(peer.clone());
        }
    }

    /// Whom to ask for a block now; the next call names the next one.
    pub(crate) fn next_holder(&mut self, height: Height, id: BlockId) -> Option<Peer> {
        let item = self.items.get_mut(&(height, id))?;
        let peer = item.holders.pop_front()?;
        item.holders.push_back(peer.clone());
        Some(peer)
    }

    /// The blocks of one height in this state.
    pub(crate) fn ids(&self, height: Height, status: Status) -> Vec<BlockId> {
        let range = (height, BlockId::ZERO)..(height.next(), BlockId::ZERO);
        let items = self
            .items
            .range(range)
            .filter(|(_, item)| item.status == status);
        items.map(|((_, id), _)| *id).collect()
    }

    /// The blocks at hand, for peers that lack them.
    pub(crate) fn blocks(&self) -> BTreeMap<BlockId, Arc<[u8]>> {
        let with = self
            .items
            .iter()
            .filter_map(|((_, id), item)| Some((*id, item.block.clone()?)));
        with.collect()
    }

    /// A height begins again, with a log this time: every block at hand is judged anew.
    pub(crate) fn renew(&mut self, height: Height) {
        let range = (height, BlockId::ZERO)..(height.next(), BlockId::ZERO);
        for (_, item) in self.items.range_mut(range) {
            item.logged = false;
            if item.block.is_some() {
                item.status = Status::Fresh;
            }
        }
    }

    /// Names and blocks of one height, of the one that has most.
    pub(crate) fn most_of_a_height(&self) -> (usize, usize) {
        let mut most = (0, 0);
        let mut counted: Option<(Height, usize, usize)> = None;
        for ((height, _), item) in &self.items {
            let (mut names, mut blocks) = match counted {
                Some((last, names, blocks)) if last == *height => (names, blocks),
                _ => (0, 0),
            };
            names = names.saturating_add(1);
            blocks = blocks.saturating_add(usize::from(item.block.is_some()));
            counted = Some((*height, names, blocks));
            most = (names.max(most.0), blocks.max(most.1));
        }
        most
    }

    /// Forgets heights below this one.
    pub(crate) fn prune(&mut self, height: Height) {
        self.items = self.items.split_off(&(height, BlockId::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::sha256;

    use super::*;

    fn id(n: usize) -> BlockId {
        BlockId(sha256(&n.to_be_bytes()))
    }

    #[test]
    fn a_flood_of_blocks_never_drops_the_vouched_one() {
        let mut bodies = Bodies::default();
        let height = Height(1);
        bodies.name(height, id(0)).unwrap().polka = Some(Round(0));
        bodies.fill(height, id(0), Arc::from([0_u8].as_slice()));
        for n in 1..200 {
            bodies.name(height, id(n));
            bodies.fill(height, id(n), Arc::from([1_u8].as_slice()));
        }
        assert!(bodies.get(height, id(0)).unwrap().block.is_some());
        assert_eq!(bodies.blocks().len(), BODIES_PER_HEIGHT);
        assert!(bodies.items.len() <= NAMES_PER_HEIGHT);
    }

    #[test]
    fn unnamed_bytes_are_not_kept() {
        let mut bodies = Bodies::default();
        assert!(
            bodies
                .fill(Height(1), id(1), Arc::from([1_u8].as_slice()))
                .is_none()
        );
        assert!(bodies.blocks().is_empty());
    }
}
