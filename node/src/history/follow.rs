//! The thread that keeps the books.

use std::sync::Arc;
use std::thread::JoinHandle;

use actors::feed::EventFeed;
use actors::snapshot::Snapshot;
use anyhow::{Context as _, Result};
use ledger::State;
use protocol::events::Event;
use protocol::genesis::Genesis;
use protocol::units::Height;
use tokio::sync::watch;

use super::record::Entry;
use super::{History, Refused, Stored};

/// So often, in heights, freed memory is given back to the system: this thread has time.
const GIVE_BACK_EACH: u64 = 8;

/// Where the books get their entries from.
#[derive(Debug)]
pub(crate) struct Source {
    /// What the chain began with.
    pub(crate) genesis: Genesis,
    /// Events of recent heights.
    pub(crate) feed: EventFeed,
    /// The newest state.
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Starts the thread. It ends when the feed does.
pub(crate) fn start(history: History, source: Source) -> Result<JoinHandle<()>> {
    let work = move || {
        if let Err(error) = follow(&history, &source) {
            tracing::error!(error = %format!("{error:#}"), "history_stopped");
        }
    };
    std::thread::Builder::new()
        .name("history".into())
        .spawn(work)
        .context("history thread")
}

fn follow(history: &History, source: &Source) -> Result<()> {
    let mut state = State::genesis(&source.genesis)?;
    history.enter_genesis(&state);
    let mut heights = source.feed.watch();
    let mut given_back = state.height();
    let waiting = tokio::runtime::Builder::new_current_thread().build()?;
    loop {
        let newest = *heights.borrow_and_update();
        while state.height() < newest {
            // A block whose record was lost comes back from a peer: then the books go on.
            let Some(stored) = history.block(state.height().next()) else {
                break;
            };
            state = step(history, source, state, &stored)?;
        }
        if state.height() >= given_back.plus(GIVE_BACK_EACH) {
            given_back = state.height();
            let _nothing_to_give = sandbox::give_back_heap();
        }
        if waiting.block_on(heights.changed()).is_err() {
            return Ok(());
        }
    }
}

/// Enters the height after this state and returns the state after it.
fn step(history: &History, source: &Source, state: State, stored: &Stored) -> Result<State> {
    let height = state.height().next();
    let known = source.feed.at(height);
    let known = known.and_then(|entry| Some((entry.events, entry.refused?)));
    let (next, (events, refused)) = match (snapshot_of(source, height), known) {
        (Some(next), Some(known)) => (next, known),
        _ => apply(&state, stored)?,
    };
    history.enter(Entry {
        stored,
        events: &events,
        refused,
        after: &next,
    });
    Ok(next)
}

/// The state after this height, if nobody has overtaken it yet.
fn snapshot_of(source: &Source, height: Height) -> Option<State> {
    let snapshot = source.snapshots.borrow();
    (snapshot.height == height).then(|| snapshot.state.clone())
}

/// What happened in a block, and what had no effect.
type Outcome = (Arc<Vec<Event>>, Refused);

fn apply(state: &State, stored: &Stored) -> Result<(State, Outcome)> {
    let txs = ledger::verify_body(state, &stored.block.body)?;
    let applied = state.apply(&stored.block.header, &txs)?;
    let refused = (0..).zip(applied.outcomes);
    let refused = refused.filter_map(|(index, tx)| Some((index, tx.refused?)));
    let refused = Arc::new(refused.collect());
    Ok((applied.state, (Arc::new(applied.events), refused)))
}
