//! What this node writes into its audit log, and what it does when it cannot.
//!
//! Records go to the journal a few at a time and in order. After its state was lost, a start tells the
//! actors every height whose events are kept: thousands of records at once, for which the journal's
//! queue, shared with votes, has no room. An actor's note of a height waits until what was recorded
//! before it is durable, so that a crash in between repeats a record rather than loses it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use protocol::digest::Digest;
use protocol::units::Height;
use storage::audit::record::AuditEntry;
use storage::handle::StorageHandle;
use storage::state::ActorId;

use crate::clock::Wall;
use crate::feed::EVENTS_MAX;
use crate::supervisor::{Fatal, HaltReason, Supervisor};

/// Records under way to the journal at once.
const UNDER_WAY_MAX: usize = 128;
/// What may wait behind them: more than a start can have to tell.
const WAITING_MAX: usize = 1 << 17;
const _: () = assert!(WAITING_MAX >= 2 * EVENTS_MAX);

/// What stands in line.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Record(AuditEntry, &'static str),
    /// An actor has dealt with a height: told once nothing recorded before is under way.
    Note(ActorId, Height),
}

#[derive(Debug, Default)]
struct Line {
    under_way: usize,
    waiting: VecDeque<Item>,
}

impl Line {
    /// What may go now, in order. A record counts as under way until [`Line::answered`].
    fn next(&mut self) -> Option<Item> {
        let may_go = match self.waiting.front()? {
            Item::Record(..) => self.under_way < UNDER_WAY_MAX,
            Item::Note(..) => self.under_way == 0,
        };
        let item = may_go.then(|| self.waiting.pop_front()).flatten()?;
        self.under_way += usize::from(matches!(item, Item::Record(..)));
        Some(item)
    }

    const fn answered(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

/// Appends audit records; cheap to clone. A record that cannot be written stops the node.
#[derive(Clone, Debug)]
pub struct AuditTrail {
    line: Arc<Mutex<Line>>,
    storage: StorageHandle,
    wall: Wall,
    supervisor: Supervisor,
    records: IntCounterVec,
    failures: IntCounter,
}

impl AuditTrail {
    /// Registers the audit metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn new(
        storage: StorageHandle,
        wall: Wall,
        supervisor: Supervisor,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let records = IntCounterVec::new(
            Opts::new("palisade_audit_records_total", "Audit records written"),
            &["kind"],
        )?;
        let failures = IntCounter::new(
            "palisade_audit_write_failures_total",
            "Audit records that could not be written",
        )?;
        let all: [Box<dyn Collector>; 2] = [Box::new(records.clone()), Box::new(failures.clone())];
        for collector in all {
            registry.register(collector)?;
        }
        Ok(Self {
            line: Arc::default(),
            storage,
            wall,
            supervisor,
            records,
            failures,
        })
    }

    /// Records that `actor` did `action` to `subject`; `body` is the hash of the details.
    pub fn record(&self, actor: &str, action: &'static str, subject: String, body: Digest) {
        let entry = AuditEntry {
            time: self.wall.now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject,
            body_hash: body,
        };
        self.queue(Item::Record(entry, action));
    }

    /// Notes how far an actor has got, behind what it recorded; a lost note costs a replay, nothing
    /// else.
    pub(crate) fn note(&self, actor: ActorId, height: Height) {
        self.queue(Item::Note(actor, height));
    }

    fn queue(&self, item: Item) {
        let mut line = self.line();
        if line.waiting.len() >= WAITING_MAX {
            return self.failed(&"too many records wait for the journal");
        }
        line.waiting.push_back(item);
        self.advance(&mut line);
    }

    /// Hands over what may go now.
    fn advance(&self, line: &mut Line) {
        while let Some(item) = line.next() {
            match item {
                Item::Record(entry, action) => self.write(entry, action),
                Item::Note(actor, height) => note(&self.storage, actor, height),
            }
        }
    }

    fn write(&self, entry: AuditEntry, action: &'static str) {
        let this = self.clone();
        let reply = Box::new(move |outcome: Result<u64, _>| {
            match outcome {
                Ok(_) => this.records.with_label_values(&[action]).inc(),
                Err(error) => this.failed(&error),
            }
            let mut line = this.line();
            line.answered();
            this.advance(&mut line);
        });
        if let Err(error) = self.storage.audit(entry, reply) {
            self.failed(&error);
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &dyn std::fmt::Display) {
        self.failures.inc();
        let detail = format!("audit record: {error}");
        self.supervisor
            .raise(Fatal::new(HaltReason::Durability, detail));
    }
}

/// Notes how far an actor has got; a lost note costs a replay, nothing else.
pub(crate) fn note(storage: &StorageHandle, actor: ActorId, height: Height) {
    let _replayed_instead = storage.note(actor, height, Box::new(|_| ()));
}

/// Who notes heights.
pub(crate) mod actor_id {
    use storage::state::ActorId;

    pub(crate) const STAKING: ActorId = ActorId(1);
    pub(crate) const ESCROW: ActorId = ActorId(2);
    pub(crate) const JOBS: ActorId = ActorId(3);
    pub(crate) const EXECUTION: ActorId = ActorId(4);
    pub(crate) const EVIDENCE: ActorId = ActorId(5);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> Item {
        let entry = AuditEntry {
            time: protocol::units::TimeMs(number),
            actor: "escrow".to_owned(),
            action: "escrow_locked".to_owned(),
            subject: String::new(),
            body_hash: Digest::ZERO,
        };
        Item::Record(entry, "escrow_locked")
    }

    /// A height noted before its records are durable would never be told again after a crash.
    #[test]
    fn a_note_waits_for_what_was_recorded_before_it() {
        let mut line = Line::default();
        let note = || Item::Note(actor_id::ESCROW, Height(7));
        line.waiting.extend([record(1), note(), record(2)]);
        assert_eq!(line.next(), Some(record(1)));
        assert_eq!(line.next(), None);
        line.answered();
        assert_eq!(line.next(), Some(note()));
        assert_eq!(line.next(), Some(record(2)));
    }

    #[test]
    fn so_many_are_under_way_and_no_more() {
        let mut line = Line::default();
        line.waiting.extend((0..200).map(record));
        assert_eq!(std::iter::from_fn(|| line.next()).count(), UNDER_WAY_MAX);
        line.answered();
        assert_eq!(std::iter::from_fn(|| line.next()).count(), 1);
    }
}
