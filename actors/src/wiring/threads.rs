//! The threads that actors run on (see the table in the crate's documentation), and the clock's.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};

use actix::{Arbiter, ArbiterHandle, System};
use tokio::sync::oneshot;

use super::TimerKey;
use super::boxes::Boxes;
use crate::catalogue::{ConsensusMail, NetworkMail};
use crate::clock::Timers;
use crate::supervisor::Supervisor;

/// One arbiter for each row of the table.
pub(super) struct Arbiters {
    pub(super) consensus: ArbiterHandle,
    pub(super) gate: ArbiterHandle,
    pub(super) duty: ArbiterHandle,
    /// Ends them all, also when it is dropped without a word.
    pub(super) stop: oneshot::Sender<()>,
    pub(super) thread: JoinHandle<()>,
}

impl Arbiters {
    /// Starts the actix system on a thread of its own.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let system = move || {
            System::new().block_on(async move {
                let arbiters = [(); 3].map(|()| Arbiter::new());
                let handles = arbiters.each_ref().map(Arbiter::handle);
                if sender.send(handles).is_err() {
                    return;
                }
                let _stopped = stopped.await;
                for arbiter in arbiters {
                    arbiter.stop();
                    // A thread that panicked has told the supervisor already.
                    let _panicked = arbiter.join();
                }
            });
        };
        let thread = Builder::new().name("actors".into()).spawn(system)?;
        let ended = |_| io::Error::other("the actor system has ended");
        let [consensus, gate, duty] = receiver.recv().map_err(ended)?;
        Ok(Self {
            consensus,
            gate,
            duty,
            stop,
            thread,
        })
    }
}

/// Starts the clock, which knows whose timers are whose.
pub(super) fn clock(boxes: &Boxes, supervisor: &Supervisor) -> io::Result<Timers<TimerKey>> {
    let (consensus, network) = (boxes.consensus.0.clone(), boxes.network.0.clone());
    Timers::start(supervisor.clone(), move |key| match key {
        TimerKey::Consensus(id) => consensus.tell(ConsensusMail::Timeout(id)),
        TimerKey::RetryBlobs => network.tell(NetworkMail::RetryBlobs),
        TimerKey::RenewProof => network.tell(NetworkMail::RenewProof),
    })
}
