//! The events of the last heights, for readers that come and go (server-sent events, waiting tests).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use ledger::TxError;
use protocol::events::{Domain, Event};
use protocol::units::Height;
use storage::state::EVENT_HEIGHTS;
use tokio::sync::watch;

/// The events of one height, in order; `<height>-<index>` names one of them on every node.
#[derive(Clone, Debug)]
pub struct HeightEvents {
    /// The height.
    pub height: Height,
    /// In the order in which they happened.
    pub events: Arc<Vec<Event>>,
    /// Transactions that paid and had no effect, by their place in the block; unknown for heights
    /// before this start.
    pub refused: Option<Arc<BTreeMap<u32, TxError>>>,
}

impl HeightEvents {
    /// Those of one domain, in order.
    #[must_use]
    pub fn of(&self, domain: Domain) -> Vec<Event> {
        self.events
            .iter()
            .filter(|event| event.domain() == domain)
            .cloned()
            .collect()
    }
}

/// Events held in all, however few heights that makes: some megabytes.
pub(crate) const EVENTS_MAX: usize = 1 << 14;

/// The events of the last [`EVENT_HEIGHTS`] heights, or of fewer full ones.
#[derive(Clone, Debug)]
pub struct EventFeed {
    ring: Arc<RwLock<Ring>>,
    newest: watch::Sender<Height>,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<HeightEvents>,
    /// Events of all entries.
    events: usize,
}

impl Ring {
    fn push(&mut self, entry: HeightEvents) {
        self.events += entry.events.len();
        self.entries.push_back(entry);
        while self.is_long() && self.entries.len() > 1 {
            let oldest = self.entries.pop_front();
            self.events -= oldest.map_or(0, |oldest| oldest.events.len());
        }
    }

    fn is_long(&self) -> bool {
        let heights = u64::try_from(self.entries.len());
        self.events > EVENTS_MAX || heights.is_ok_and(|heights| heights > EVENT_HEIGHTS)
    }
}

impl EventFeed {
    /// Begins with what storage still has, oldest first.
    #[must_use]
    pub fn new(history: Vec<HeightEvents>, newest: Height) -> Self {
        let mut ring = Ring::default();
        history.into_iter().for_each(|entry| ring.push(entry));
        Self {
            ring: Arc::new(RwLock::new(ring)),
            newest: watch::Sender::new(newest),
        }
    }

    /// The newest committed height, and a way to wait for the next.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Height> {
        self.newest.subscribe()
    }

    /// The events of heights above this one, oldest first. The first may be later than asked for:
    /// what is older than the ring is gone.
    #[must_use]
    pub fn after(&self, height: Height) -> Vec<HeightEvents> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        let start = ring.entries.partition_point(|entry| entry.height <= height);
        ring.entries.range(start..).cloned().collect()
    }

    /// The events of one height.
    #[must_use]
    pub fn at(&self, height: Height) -> Option<HeightEvents> {
        self.after(height.previous())
            .into_iter()
            .next()
            .filter(|entry| entry.height == height)
    }

    /// The oldest height held.
    #[must_use]
    pub fn oldest(&self) -> Option<Height> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        ring.entries.front().map(|entry| entry.height)
    }

    pub(crate) fn push(&self, entry: HeightEvents) {
        let height = entry.height;
        {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            ring.push(entry);
        }
        self.newest.send_replace(height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(height: u64) -> HeightEvents {
        HeightEvents {
            height: Height(height),
            events: Arc::default(),
            refused: None,
        }
    }

    #[test]
    fn full_heights_make_the_ring_shorter_but_never_empty() {
        let feed = EventFeed::new(Vec::new(), Height(0));
        let full = |height, count| HeightEvents {
            events: Arc::new(vec![burned(); count]),
            ..entry(height)
        };
        for height in 1..=10 {
            feed.push(full(height, EVENTS_MAX / 4));
        }
        assert_eq!(feed.oldest(), Some(Height(7)));
        feed.push(full(11, EVENTS_MAX + 1));
        assert_eq!(feed.oldest(), Some(Height(11)));
    }

    fn burned() -> Event {
        Event::Burned {
            amount: protocol::units::Amount(1),
            job: None,
            tx: None,
        }
    }

    #[test]
    fn the_ring_keeps_the_last_heights() {
        let feed = EventFeed::new(vec![entry(1), entry(2)], Height(2));
        for height in 3..=EVENT_HEIGHTS + 2 {
            feed.push(entry(height));
        }
        assert_eq!(feed.oldest(), Some(Height(3)));
        assert_eq!(*feed.watch().borrow(), Height(EVENT_HEIGHTS + 2));
        let last: Vec<u64> = feed
            .after(Height(EVENT_HEIGHTS))
            .iter()
            .map(|entry| entry.height.0)
            .collect();
        assert_eq!(last, [EVENT_HEIGHTS + 1, EVENT_HEIGHTS + 2]);
        assert!(feed.at(Height(2)).is_none());
        assert_eq!(
            feed.at(Height(3)).map(|entry| entry.height),
            Some(Height(3))
        );
    }
}
