//! The journal thread: record files and sign-state, in groups.
//!
//! ```text
//!  drain the queue -> append all -> WAL fdatasync -> slot fdatasync -> answer
//!                                -> block log fdatasync -> answer, hand the state on
//!                                -> commits, evidence, audit: fdatasync -> answer
//! ```
//! Blocks are handed to the state thread in order; at most [`STATE_LAG_MAX`] may wait there, then
//! the answer to `Commit` waits, but nothing else does.

mod requests;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use protocol::units::Height;

use crate::audit::log::AuditLog;
use crate::blocks::BlockLog;
use crate::clock;
use crate::evidence::EvidenceLog;
use crate::request::{JournalError, Observer, Store};
use crate::shared::Shared;
use crate::sign::commits::SeatCommits;
use crate::sign::state::SignState;
use crate::state::StateCommit;
use crate::state_thread::StateRequest;
use crate::wal::{Wal, WalEntry};

pub use requests::Durability;
pub(crate) use requests::{JournalReply, JournalRequest};
use waiting::Waiting;

/// Blocks by which the state may lag behind the block log.
pub const STATE_LAG_MAX: u64 = 8;
/// Requests answered by one round of syncs.
const GROUP_REQUESTS_MAX: usize = 256;
/// A checkpoint is signed at the latest this long after a record.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// Sign-state and commits; absent on a node without a key.
pub(crate) struct Signer {
    pub(crate) slots: SignState,
    pub(crate) commits: SeatCommits,
}

pub(crate) struct Journal {
    pub(crate) wal: Wal,
    pub(crate) signer: Option<Signer>,
    pub(crate) blocks: BlockLog,
    pub(crate) evidence: EvidenceLog,
    pub(crate) audit: AuditLog,
    pub(crate) state: SyncSender<StateRequest>,
    pub(crate) lag: Arc<AtomicU64>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) held: VecDeque<HeldCommit>,
}

/// A durable block whose state has no room in the state thread's queue yet.
pub(crate) struct HeldCommit {
    state: Box<StateCommit>,
    reply: JournalReply<()>,
}

/// The answers of one group, by what they wait for.
struct Group {
    wal_written: Waiting<u64>,
    wal_durable: Waiting<u64>,
    signed: bool,
    blocks: Vec<(Height, HeldCommit)>,
    restored: Waiting<()>,
    marks: Waiting<()>,
    evidence: Waiting<()>,
    audit: Waiting<u64>,
}

impl Journal {
    pub(crate) fn run(mut self, requests: &Receiver<JournalRequest>) {
        let mut checkpoint_due = clock::now() + CHECKPOINT_INTERVAL;
        loop {
            let patience = checkpoint_due.saturating_duration_since(clock::now());
            let first = match requests.recv_timeout(patience) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if checkpoint_due <= clock::now() {
                self.checkpoint();
                checkpoint_due = clock::now() + CHECKPOINT_INTERVAL;
            }
            let drained = first
                .into_iter()
                .chain(requests.try_iter().take(GROUP_REQUESTS_MAX - 1));
            if self.group(drained.collect()).is_break() {
                break;
            }
            self.release_held();
        }
        self.stop();
    }

    fn group(&mut self, requests: Vec<JournalRequest>) -> std::ops::ControlFlow<()> {
        let mut group = Group {
            wal_written: Waiting::new(),
            wal_durable: Waiting::new(),
            signed: false,
            blocks: Vec::new(),
            restored: Waiting::new(),
            marks: Waiting::new(),
            evidence: Waiting::new(),
            audit: Waiting::new(),
        };
        let mut flow = std::ops::ControlFlow::Continue(());
        for request in requests {
            if matches!(request, JournalRequest::Stop) {
                flow = std::ops::ControlFlow::Break(());
            } else {
                self.append(request, &mut group);
            }
        }
        self.settle(group);
        flow
    }

    fn append(&mut self, request: JournalRequest, group: &mut Group) {
        match request {
            JournalRequest::Wal {
                entries,
                durability,
                reply,
            } => {
                self.append_wal(&entries, durability, reply, group);
            }
            JournalRequest::Commit {
                block,
                state,
                reply,
            } => match self.blocks.append(&block) {
                Ok(()) => group
                    .blocks
                    .push((block.height, HeldCommit { state, reply })),
                Err(error) => self.refuse(reply, error.into()),
            },
            JournalRequest::Restore { block, reply } => match self.blocks.append(&block) {
                Ok(()) => group.restored.push(reply, ()),
                Err(error) => self.refuse(reply, error.into()),
            },
            JournalRequest::Mark {
                seat,
                commit,
                reply,
            } => {
                let marked =
                    self.signer
                        .as_mut()
                        .ok_or(JournalError::NoSigner)
                        .and_then(|signer| {
                            signer
                                .commits
                                .mark(seat, commit)
                                .map_err(JournalError::from)
                        });
                match marked {
                    Ok(()) => group.marks.push(reply, ()),
                    Err(error) => self.refuse(reply, error),
                }
            }
            JournalRequest::Keep { id, bytes, reply } => match self.evidence.keep(id, bytes) {
                Ok(()) => group.evidence.push(reply, ()),
                Err(error) => self.refuse(reply, error.into()),
            },
            JournalRequest::Done { id, reply } => match self.evidence.done(&id) {
                Ok(()) => group.evidence.push(reply, ()),
                Err(error) => self.refuse(reply, error.into()),
            },
            JournalRequest::Audit { entry, reply } => match self.audit.append(entry) {
                Ok(index) => group.audit.push(reply, index),
                Err(error) => self.refuse(reply, error.into()),
            },
            JournalRequest::StateMoved | JournalRequest::Stop => {}
        }
    }

    /// The rule is asked before anything is written, so a refused batch leaves no trace.
    fn append_wal(
        &mut self,
        entries: &[WalEntry],
        durability: Durability,
        reply: JournalReply<u64>,
        group: &mut Group,
    ) {
        let mut durable = durability == Durability::Now;
        let outcome = self.advance(entries).and_then(|signed| {
            group.signed |= signed;
            durable |= signed;
            let mut last = self.wal.end();
            for entry in entries {
                last = self.wal.append(entry)?;
            }
            Ok(last)
        });
        match outcome {
            Ok(last) if durable => group.wal_durable.push(reply, last),
            Ok(last) => group.wal_written.push(reply, last),
            Err(error) => self.refuse(reply, error),
        }
    }

    /// Whether the batch holds own messages; if so the floor in memory is raised past them.
    fn advance(&mut self, entries: &[WalEntry]) -> Result<bool, JournalError> {
        entries.iter().try_for_each(WalEntry::check)?;
        let marks: Vec<_> = entries.iter().filter_map(WalEntry::mark).collect();
        if marks.is_empty() {
            return Ok(false);
        }
        let signer = self.signer.as_mut().ok_or(JournalError::NoSigner)?;
        signer.slots.advance_all(&marks)?;
        Ok(true)
    }

    fn settle(&mut self, group: Group) {
        let Group {
            wal_written,
            wal_durable,
            signed,
            blocks,
            restored,
            marks,
            evidence,
            audit,
        } = group;
        let written = self.wal.write().map_err(JournalError::from);
        self.report(written.as_ref().err());
        match (written, wal_durable.is_empty()) {
            (Ok(()), true) => wal_written.answer(Ok(())),
            (Ok(()), false) => {
                wal_written.answer(Ok(()));
                let outcome = self.sync_wal(signed);
                self.report(outcome.as_ref().err());
                wal_durable.answer(outcome);
            }
            (Err(error), _) => {
                let text = error.to_string();
                wal_written.answer(Err(error));
                wal_durable.answer(Err(JournalError::Group(text)));
            }
        }
        self.settle_blocks(blocks);
        if !restored.is_empty() {
            let outcome = self.timed(Store::Blocks, |journal| Ok(journal.blocks.sync()?));
            restored.answer(outcome);
        }
        self.settle_marks(marks);
        if !evidence.is_empty() {
            let outcome = self.timed(Store::Evidence, |journal| Ok(journal.evidence.sync()?));
            evidence.answer(outcome);
        }
        if !audit.is_empty() {
            let outcome = self.timed(Store::Audit, |journal| Ok(journal.audit.sync()?));
            self.shared.set_anchor(self.audit.anchor());
            audit.answer(outcome);
        }
    }

    /// First the log, then the slot that names its end: a start can then prove a lost log.
    fn sync_wal(&mut self, signed: bool) -> Result<(), JournalError> {
        let from = clock::now();
        let end = self.wal.sync()?;
        self.observer.flushed(Store::Wal, clock::now() - from);
        if !signed {
            return Ok(());
        }
        let from = clock::now();
        let signer = self.signer.as_mut().ok_or(JournalError::NoSigner)?;
        signer.slots.store(end)?;
        self.observer.flushed(Store::SignState, clock::now() - from);
        Ok(())
    }

    fn settle_blocks(&mut self, blocks: Vec<(Height, HeldCommit)>) {
        let Some(committed) = blocks.iter().map(|(height, _)| *height).max() else {
            return;
        };
        let outcome = self.timed(Store::Blocks, |journal| Ok(journal.blocks.sync()?));
        if let Err(error) = outcome {
            let mut waiting = Waiting::new();
            blocks
                .into_iter()
                .for_each(|(_, held)| waiting.push(held.reply, ()));
            waiting.answer(Err(error));
            return;
        }
        self.held.extend(blocks.into_iter().map(|(_, held)| held));
        self.release_held();
        // Only now, after the answers: the log is longer than needed, which harms nobody.
        let dropped = self.wal.drop_through(committed).map_err(JournalError::from);
        self.report(dropped.err().as_ref());
    }

    fn settle_marks(&mut self, marks: Waiting<()>) {
        if marks.is_empty() {
            return;
        }
        let outcome = self.timed(Store::SignState, |journal| {
            let signer = journal.signer.as_mut().ok_or(JournalError::NoSigner)?;
            Ok(signer.commits.sync()?)
        });
        marks.answer(outcome);
    }

    /// Hands durable blocks to the state thread as far as there is room, and answers them.
    fn release_held(&mut self) {
        while let Some(HeldCommit { state, reply }) = self.held.pop_front() {
            if self.lag.load(Ordering::Acquire) >= STATE_LAG_MAX {
                self.held.push_front(HeldCommit { state, reply });
                return;
            }
            self.lag.fetch_add(1, Ordering::AcqRel);
            match self.state.try_send(StateRequest::Commit {
                commit: state,
                reply: None,
            }) {
                Ok(()) => reply(Ok(())),
                Err(TrySendError::Full(StateRequest::Commit { commit, .. })) => {
                    self.lag.fetch_sub(1, Ordering::AcqRel);
                    self.held.push_front(HeldCommit {
                        state: commit,
                        reply,
                    });
                    return;
                }
                Err(_) => {
                    let error = JournalError::StateEnded;
                    self.report(Some(&error));
                    reply(Err(error));
                }
            }
        }
    }

    fn checkpoint(&mut self) {
        let outcome = self.audit.checkpoint().and_then(|()| self.audit.sync());
        self.report(outcome.map_err(JournalError::from).err().as_ref());
        self.shared.set_anchor(self.audit.anchor());
    }

    fn timed(
        &mut self,
        store: Store,
        sync: impl FnOnce(&mut Self) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let from = clock::now();
        let outcome = sync(self);
        self.observer.flushed(store, clock::now() - from);
        self.report(outcome.as_ref().err());
        outcome
    }

    fn refuse<T>(&self, reply: JournalReply<T>, error: JournalError) {
        self.report(Some(&error));
        reply(Err(error));
    }

    fn report(&self, error: Option<&JournalError>) {
        if let Some((error, exit)) = error.and_then(|error| Some((error, error.exit()?))) {
            self.observer.fatal(exit, &error.to_string());
        }
    }

    /// Everything still held goes to the state thread, however long that takes.
    fn stop(mut self) {
        self.checkpoint();
        for HeldCommit { state, reply } in self.held.drain(..) {
            self.lag.fetch_add(1, Ordering::AcqRel);
            let sent = self.state.send(StateRequest::Commit {
                commit: state,
                reply: None,
            });
            reply(sent.map_err(|_| JournalError::StateEnded));
        }
    }
}
