//! The state thread: one database commit per block, notes riding along.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};

use protocol::units::Height;

use crate::clock;
use crate::journal::JournalRequest;
use crate::kv::StoreError;
use crate::request::{Observer, Reply, Store};
use crate::state::{ActorId, StateCommit, StateStore};

/// Requests looked at together, so that notes need no commit of their own.
const GROUP_REQUESTS_MAX: usize = 64;

type StateReply<T> = Reply<T, StoreError>;

pub(crate) enum StateRequest {
    /// From the journal without a reply; during replay with one.
    Commit {
        commit: Box<StateCommit>,
        reply: Option<StateReply<()>>,
    },
    Note {
        actor: ActorId,
        height: Height,
        reply: StateReply<()>,
    },
    Events {
        height: Height,
        reply: StateReply<Option<Vec<u8>>>,
    },
    Reset {
        reply: StateReply<()>,
    },
    Stop,
}

impl fmt::Debug for StateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commit { .. } => "Commit",
            Self::Note { .. } => "Note",
            Self::Events { .. } => "Events",
            Self::Reset { .. } => "Reset",
            Self::Stop => "Stop",
        })
    }
}

pub(crate) struct StateThread {
    pub(crate) store: StateStore,
    pub(crate) lag: Arc<AtomicU64>,
    pub(crate) journal: SyncSender<JournalRequest>,
    pub(crate) observer: Arc<dyn Observer>,
}

/// Notes waiting for the next commit.
#[derive(Default)]
struct Notes {
    heights: BTreeMap<ActorId, Height>,
    replies: Vec<StateReply<()>>,
}

/// The database has failed; the thread ends.
struct Failed;

impl StateThread {
    pub(crate) fn run(mut self, requests: &Receiver<StateRequest>) {
        while let Ok(first) = requests.recv() {
            let drained = std::iter::once(first)
                .chain(requests.try_iter().take(GROUP_REQUESTS_MAX - 1))
                .collect();
            match self.group(drained) {
                Ok(true) => {}
                Ok(false) | Err(Failed) => break,
            }
        }
    }

    /// Whether to go on.
    fn group(&mut self, requests: Vec<StateRequest>) -> Result<bool, Failed> {
        let mut notes = Notes::default();
        let mut go_on = true;
        for request in requests {
            match request {
                StateRequest::Note {
                    actor,
                    height,
                    reply,
                } => {
                    notes.heights.insert(actor, height);
                    notes.replies.push(reply);
                }
                StateRequest::Commit { commit, reply } => {
                    let from_journal = reply.is_none();
                    let ridden = std::mem::take(&mut notes);
                    let outcome = self.commit(&commit, &ridden.heights);
                    let answered = self.answer(outcome, ridden.replies, reply);
                    if from_journal {
                        self.lag.fetch_sub(1, Ordering::AcqRel);
                        self.wake_journal();
                    }
                    answered?;
                }
                StateRequest::Events { height, reply } => reply(self.store.events(height)),
                StateRequest::Reset { reply } => {
                    let outcome = self.store.reset();
                    self.answer(outcome, Vec::new(), Some(reply))?;
                }
                StateRequest::Stop => go_on = false,
            }
        }
        if !notes.heights.is_empty() {
            let outcome = self.store.note(&notes.heights);
            self.answer(outcome, notes.replies, None)?;
        }
        Ok(go_on)
    }

    fn commit(
        &mut self,
        commit: &StateCommit,
        notes: &BTreeMap<ActorId, Height>,
    ) -> Result<(), StoreError> {
        let from = clock::now();
        let outcome = self.store.commit(commit, notes);
        self.observer.flushed(Store::State, clock::now() - from);
        outcome
    }

    fn answer(
        &self,
        outcome: Result<(), StoreError>,
        replies: Vec<StateReply<()>>,
        last: Option<StateReply<()>>,
    ) -> Result<(), Failed> {
        let text = outcome.as_ref().err().map(ToString::to_string);
        for reply in replies {
            reply(
                text.clone()
                    .map_or(Ok(()), |text| Err(StoreError::Database(text))),
            );
        }
        if let Err(error) = &outcome {
            // A leaf that does not fit is as final as a broken database: what follows would be
            // built on a state that lacks it.
            let exit = error.exit().unwrap_or(crate::exit::ExitKind::Rebuild);
            self.observer.fatal(exit, &error.to_string());
        }
        let failed = outcome.is_err();
        if let Some(reply) = last {
            reply(outcome);
        }
        if failed { Err(Failed) } else { Ok(()) }
    }

    /// A full queue means that the journal is awake anyway.
    fn wake_journal(&self) {
        match self.journal.try_send(JournalRequest::StateMoved) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}
