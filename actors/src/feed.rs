//! The events of the last heights, for readers that come and go (server-sent events, waiting tests).

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

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

/// The events of the last [`EVENT_HEIGHTS`] heights.
#[derive(Clone, Debug)]
pub struct EventFeed {
    ring: Arc<RwLock<VecDeque<HeightEvents>>>,
    newest: watch::Sender<Height>,
}

impl EventFeed {
    /// Begins with what storage still has, oldest first.
    #[must_use]
    pub fn new(history: Vec<HeightEvents>, newest: Height) -> Self {
        let ring = Arc::new(RwLock::new(history.into()));
        Self {
            ring,
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
        let start = ring.partition_point(|entry| entry.height <= height);
        ring.range(start..).cloned().collect()
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
        ring.front().map(|entry| entry.height)
    }

    pub(crate) fn push(&self, entry: HeightEvents) {
        let height = entry.height;
        {
            let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
            ring.push_back(entry);
            while u64::try_from(ring.len()).is_ok_and(|len| len > EVENT_HEIGHTS) {
                ring.pop_front();
            }
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
