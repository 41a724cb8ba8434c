//! The node's only clock: monotonic and wall time, and the thread that sends `Timeout(id)`.
//!
//! Timers do not live in actix contexts: a mailbox drains without budget there, so under load its
//! timers and futures starve. One thread holds all deadlines and tells the owner's mailbox.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::units::TimeMs;

use crate::supervisor::{Fatal, HaltReason, Supervisor};

/// Commands that may wait for the thread; it does nothing but keep deadlines.
const COMMANDS_MAX: usize = 8_192;

/// Now, for measuring durations.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Wall time with an offset that fault injection may move on local chains.
#[derive(Clone, Debug, Default)]
pub struct Wall {
    skew_ms: Arc<AtomicI64>,
}

impl Wall {
    /// Now.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        let shifted = wall_ms().saturating_add(self.skew_ms.load(Ordering::Relaxed));
        TimeMs(u64::try_from(shifted).unwrap_or(0))
    }

    /// Moves the clock by so much from true time.
    pub fn set_skew_ms(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }
}

enum Command<K> {
    Set { key: K, at: Instant },
    Cancel { key: K },
}

/// Sets and cancels timers. A timer is named by its key; setting it again moves it.
#[derive(Debug)]
pub struct Timers<K> {
    commands: SyncSender<Command<K>>,
    supervisor: Supervisor,
}

impl<K> Clone for Timers<K> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            supervisor: self.supervisor.clone(),
        }
    }
}

impl<K: Clone + Eq + Hash + Send + 'static> Timers<K> {
    /// Starts the clock thread. `fire` delivers a timeout; it must not block. The thread ends when
    /// all handles are gone.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        supervisor: Supervisor,
        fire: impl FnMut(K) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (commands, inbox) = sync_channel(COMMANDS_MAX);
        std::thread::Builder::new()
            .name("clock".into())
            .spawn(move || Deadlines::default().run(&inbox, fire))?;
        Ok(Self {
            commands,
            supervisor,
        })
    }

    /// Sends `Timeout(key)` after this long.
    pub fn set(&self, key: K, after: Duration) {
        let now = monotonic();
        self.command(Command::Set {
            key,
            at: now.checked_add(after).unwrap_or(now),
        });
    }

    /// Forgets the timer, if it is set.
    pub fn cancel(&self, key: K) {
        self.command(Command::Cancel { key });
    }

    fn command(&self, command: Command<K>) {
        if self.commands.try_send(command).is_err() {
            self.supervisor
                .raise(Fatal::new(HaltReason::Stuck, "the clock thread is stuck"));
        }
    }
}

struct Deadlines<K> {
    /// Ordered by time; the number keeps equal times in order of setting.
    queue: BTreeMap<(Instant, u64), K>,
    places: HashMap<K, (Instant, u64)>,
    set_count: u64,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            queue: BTreeMap::new(),
            places: HashMap::new(),
            set_count: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Deadlines<K> {
    fn run(&mut self, inbox: &Receiver<Command<K>>, mut fire: impl FnMut(K)) {
        loop {
            let command = match self.queue.first_key_value() {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(((at, _), _)) => inbox.recv_timeout(at.saturating_duration_since(monotonic())),
            };
            match command {
                Ok(Command::Set { key, at }) => self.set(key, at),
                Ok(Command::Cancel { key }) => self.cancel(&key),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Some(key) = self.take_due(monotonic()) {
                fire(key);
            }
        }
    }

    fn set(&mut self, key: K, at: Instant) {
        self.cancel(&key);
        self.set_count = self.set_count.wrapping_add(1);
        let place = (at, self.set_count);
        self.queue.insert(place, key.clone());
        self.places.insert(key, place);
    }

    fn cancel(&mut self, key: &K) {
        if let Some(place) = self.places.remove(key) {
            self.queue.remove(&place);
        }
    }

    fn take_due(&mut self, now: Instant) -> Option<K> {
        let ((at, _), _) = self.queue.first_key_value()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.places.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_in_order_of_time_and_moves_what_is_set_again() {
        let start = monotonic();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::default();
        deadlines.set("late", at(30));
        deadlines.set("moved", at(10));
        deadlines.set("early", at(20));
        deadlines.set("cancelled", at(5));
        deadlines.set("moved", at(40));
        deadlines.cancel(&"cancelled");
        assert_eq!(deadlines.take_due(at(15)), None);
        assert_eq!(deadlines.take_due(at(50)), Some("early"));
        assert_eq!(deadlines.take_due(at(50)), Some("late"));
        assert_eq!(deadlines.take_due(at(50)), Some("moved"));
        assert_eq!(deadlines.take_due(at(50)), None);
    }

    #[test]
    fn the_thread_delivers_and_ends_with_its_handles() {
        let (sender, fired) = std::sync::mpsc::channel();
        let timers = Timers::start(Supervisor::new(), move |key: u8| sender.send(key).unwrap());
        let timers = timers.unwrap();
        // Whoever sets may be held up between two timers for longer than the first of them runs.
        timers.set(2, Duration::from_secs(3_600));
        timers.set(3, Duration::from_secs(3_600));
        timers.set(1, Duration::from_millis(1));
        assert_eq!(fired.recv(), Ok(1));
        timers.set(2, Duration::from_millis(1));
        assert_eq!(fired.recv(), Ok(2));
        drop(timers);
        assert!(fired.recv().is_err(), "the thread has dropped its sender");
    }

    #[test]
    fn skew_moves_wall_time_only() {
        let wall = Wall::default();
        let before = wall.now();
        wall.set_skew_ms(-3_600_000);
        assert!(wall.now() < before);
    }
}
