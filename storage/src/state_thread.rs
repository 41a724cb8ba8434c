//! The state thread: a few blocks in one database commit, notes riding along.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;

use protocol::units::Height;

use crate::clock;
use crate::journal::{JournalRequest, STATE_LAG_MAX};
use crate::kv::StoreError;
use crate::request::{Observer, Reply, Store};
use crate::state::{ActorId, StateCommit, StateStore};

/// Requests looked at together.
const GROUP_REQUESTS_MAX: usize = 64;
/// A block waits so long for notes and for the next block, which then share its commit: nothing
/// hangs on it, as the block log has it already, and a commit costs some milliseconds of disk.
const GATHER: Duration = Duration::from_millis(40);
/// So many blocks wait for no more.
const GATHER_BLOCKS: usize = 4;
const _: () = assert!(GATHER_BLOCKS as u64 * 2 <= STATE_LAG_MAX);

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

/// Blocks and notes that will share one commit.
#[derive(Default)]
struct Waiting {
    commits: Vec<StateCommit>,
    from_journal: u64,
    heights: BTreeMap<ActorId, Height>,
    replies: Vec<StateReply<()>>,
}

/// The database has failed; the thread ends.
struct Failed;

impl StateThread {
    pub(crate) fn run(mut self, requests: &Receiver<StateRequest>) {
        while let Ok(first) = requests.recv() {
            match self.group(gather(first, requests)) {
                Ok(true) => {}
                Ok(false) | Err(Failed) => break,
            }
        }
    }

    /// Whether to go on.
    fn group(&mut self, requests: Vec<StateRequest>) -> Result<bool, Failed> {
        let mut waiting = Waiting::default();
        let mut go_on = true;
        for request in requests {
            match request {
                StateRequest::Note {
                    actor,
                    height,
                    reply,
                } => {
                    waiting.heights.insert(actor, height);
                    waiting.replies.push(reply);
                }
                StateRequest::Commit { commit, reply } => {
                    waiting.from_journal += u64::from(reply.is_none());
                    waiting.commits.push(*commit);
                    waiting.replies.extend(reply);
                }
                StateRequest::Events { height, reply } => {
                    self.commit(std::mem::take(&mut waiting))?;
                    reply(self.store.events(height));
                }
                StateRequest::Reset { reply } => {
                    self.commit(std::mem::take(&mut waiting))?;
                    let outcome = self.store.reset();
                    self.answer(outcome, vec![reply])?;
                }
                StateRequest::Stop => go_on = false,
            }
        }
        self.commit(waiting)?;
        Ok(go_on)
    }

    fn commit(&mut self, waiting: Waiting) -> Result<(), Failed> {
        let Waiting {
            commits,
            from_journal,
            heights,
            replies,
        } = waiting;
        if commits.is_empty() && heights.is_empty() {
            return Ok(());
        }
        let from = clock::now();
        let outcome = self.store.commit(commits, &heights);
        self.observer.flushed(Store::State, clock::now() - from);
        let answered = self.answer(outcome, replies);
        if from_journal > 0 {
            self.lag.fetch_sub(from_journal, Ordering::AcqRel);
            self.wake_journal();
        }
        answered
    }

    fn answer(
        &self,
        outcome: Result<(), StoreError>,
        replies: Vec<StateReply<()>>,
    ) -> Result<(), Failed> {
        let text = outcome.as_ref().err().map(ToString::to_string);
        if let Err(error) = &outcome {
            // A leaf that does not fit is as final as a broken database: what follows would be
            // built on a state that lacks it.
            let exit = error.exit().unwrap_or(crate::exit::ExitKind::Rebuild);
            self.observer.fatal(exit, &error.to_string());
        }
        for reply in replies {
            let told = text.clone().map(StoreError::Database);
            reply(told.map_or(Ok(()), Err));
        }
        outcome.map_err(|_| Failed)
    }

    /// A full queue means that the journal is awake anyway.
    fn wake_journal(&self) {
        match self.journal.try_send(JournalRequest::StateMoved) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// The first request and those that may share its commit.
fn gather(first: StateRequest, requests: &Receiver<StateRequest>) -> Vec<StateRequest> {
    let until = clock::now() + GATHER;
    let mut group = vec![first];
    while group.len() < GROUP_REQUESTS_MAX && !is_urgent(&group) {
        let patience = until.saturating_duration_since(clock::now());
        match requests.recv_timeout(patience) {
            Ok(request) => group.push(request),
            Err(_) => break,
        }
    }
    let room = GROUP_REQUESTS_MAX.saturating_sub(group.len());
    group.extend(requests.try_iter().take(room));
    group
}

/// Whether somebody waits for the answer, or enough blocks do.
fn is_urgent(group: &[StateRequest]) -> bool {
    let can_wait = |request: &&StateRequest| {
        matches!(
            request,
            StateRequest::Note { .. } | StateRequest::Commit { reply: None, .. }
        )
    };
    let blocks = group
        .iter()
        .filter(|request| matches!(request, StateRequest::Commit { .. }));
    blocks.count() >= GATHER_BLOCKS || !group.iter().all(|request| can_wait(&request))
}
