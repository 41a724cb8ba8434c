//! The execution actor.
//!
//! Owns: the slot threads and what each of our seats has said. Consumes: orders from jobs, ends of
//! runs from slots, durable marks and outputs from storage, execution events of each height. Emits: commits,
//! reveals and declines to the mempool, freed slots to jobs.

use std::sync::Arc;

use crate::catalogue::{DomainEvents, ExecutionMail};
use crate::execution::effects::ExecutionEffects;
use crate::execution::workflow::{Execution, Input, Intent, Order};
use crate::jobs::orders::{Standing, standing};
use crate::mailbox::Receive;
use crate::snapshot::Snapshot;

/// See the module.
#[derive(Debug)]
pub(crate) struct ExecutionActor {
    pub(crate) workflow: Execution,
    pub(crate) effects: ExecutionEffects,
    /// The state after the last height dealt with.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Heights since the last one noted, dealt with before anything else.
    pub(crate) backlog: Vec<DomainEvents>,
}

impl ExecutionActor {
    fn step(&mut self, input: Input) {
        let intents = self.workflow.step(input);
        for intent in intents {
            self.effects.perform(intent);
        }
    }

    fn committed(&mut self, committed: DomainEvents) {
        self.effects.at(committed.height);
        self.workflow.know(self.effects.own(&committed.snapshot));
        self.snapshot = committed.snapshot;
        self.step(Input::Committed {
            height: committed.height,
            events: committed.events,
        });
    }

    /// Jobs may have read an earlier state, and what has happened since would not be told again:
    /// the seat starts with what the chain holds at the height this actor has heard of.
    fn run(&mut self, order: Box<Order>) {
        let seat = order.seat;
        let standing = match self.workflow.validator() {
            Some(own) => standing(&self.snapshot.state, own, &seat),
            None => Standing::Unknown,
        };
        match standing {
            Standing::Unknown => self.step(Input::Run(*order)),
            Standing::Open(now) => self.step(Input::Run(*now)),
            Standing::Over => self
                .effects
                .perform(Intent::Finished { seat, digest: None }),
        }
    }
}

impl Receive for ExecutionActor {
    type Message = ExecutionMail;

    fn started(&mut self) {
        for committed in std::mem::take(&mut self.backlog) {
            self.committed(committed);
        }
    }

    fn receive(&mut self, message: ExecutionMail) {
        match message {
            ExecutionMail::Committed(committed) => self.committed(committed),
            ExecutionMail::Run(order) => self.run(order),
            ExecutionMail::Cancel(job) => self.step(Input::Cancel(job)),
            ExecutionMail::Ended { seat, end } => {
                let own = self.workflow.validator();
                let (end, salt) = self.effects.ended(&seat, *end, own.as_ref());
                self.step(Input::Ended { seat, end, salt });
            }
            ExecutionMail::Marked { seat, allowed } => self.step(Input::Marked { seat, allowed }),
            ExecutionMail::Stored(seat) => self.step(Input::Stored(seat)),
        }
    }
}
