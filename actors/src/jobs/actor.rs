//! The jobs actor.
//!
//! Owns: the queue of our own seats. Consumes: job events of each height, artifacts fetched by the
//! network, slots freed by execution. Emits: fetches, runs and cancellations, and the seat messages
//! of seats that cannot be served.

use crate::catalogue::{DomainEvents, JobsMail};
use crate::jobs::effects::JobsEffects;
use crate::jobs::orders::Standing;
use crate::jobs::workflow::{Input, Jobs};
use crate::mailbox::Receive;
use crate::snapshot::Snapshot;

/// See the module.
#[derive(Debug)]
pub(crate) struct JobsActor {
    pub(crate) workflow: Jobs,
    pub(crate) effects: JobsEffects,
    /// The state to take up work from.
    pub(crate) first: Option<std::sync::Arc<Snapshot>>,
    /// Heights since the last one noted, dealt with before anything else.
    pub(crate) backlog: Vec<DomainEvents>,
}

impl JobsActor {
    fn step(&mut self, input: Input) {
        let intents = self.workflow.step(input);
        for intent in intents {
            self.effects.perform(intent);
        }
        self.effects.metrics.queued(self.workflow.queued());
    }

    fn committed(&mut self, committed: DomainEvents) {
        self.effects.at(committed.height);
        self.effects.measure(&committed);
        for order in self.effects.seated_by(&committed) {
            self.step(Input::Seated(Box::new(order)));
        }
        for expected in self.effects.expected_by(&committed) {
            self.step(Input::Expected(expected));
        }
        for seat in self.workflow.waiting() {
            let order = match self.effects.standing(&committed.snapshot, &seat) {
                Standing::Unknown => continue,
                Standing::Over => None,
                Standing::Open(order) => Some(order),
            };
            self.step(Input::Refreshed { seat, order });
        }
        for output in self.effects.outputs_wanted(&committed) {
            self.step(Input::Answered(output));
        }
        self.step(Input::Committed {
            height: committed.height,
            events: committed.events,
        });
    }
}

impl Receive for JobsActor {
    type Message = JobsMail;

    fn started(&mut self) {
        for committed in std::mem::take(&mut self.backlog) {
            self.effects.at(committed.height);
            self.step(Input::Committed {
                height: committed.height,
                events: committed.events,
            });
        }
        // The state knows every seat still open, whatever the notes say.
        if let Some(snapshot) = self.first.take() {
            for order in self.effects.seated_now(&snapshot) {
                self.step(Input::Seated(Box::new(order)));
            }
        }
    }

    fn receive(&mut self, message: JobsMail) {
        match message {
            JobsMail::Committed(committed) => self.committed(committed),
            JobsMail::Fetched { artifact, held } => self.step(Input::Fetched { artifact, held }),
            JobsMail::Finished { seat, .. } => self.step(Input::Finished(seat)),
            JobsMail::Again(order) => self.step(Input::Seated(order)),
            JobsMail::Capacity(capacity) => self.step(Input::Capacity(capacity)),
        }
    }
}
