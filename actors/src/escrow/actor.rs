//! The escrow actor.
//!
//! Owns: the height up to which receipts were written. Consumes: escrow events of each height. Emits:
//! one audit record for each movement that our operator is party to.

use crate::catalogue::{DomainEvents, EscrowMail};
use crate::escrow::effects::EscrowEffects;
use crate::escrow::workflow::{Committed, Escrow};
use crate::mailbox::Receive;

/// See the module.
#[derive(Debug)]
pub(crate) struct EscrowActor {
    pub(crate) workflow: Escrow,
    pub(crate) effects: EscrowEffects,
    /// Heights since the last one noted, dealt with before anything else.
    pub(crate) backlog: Vec<DomainEvents>,
}

impl EscrowActor {
    fn committed(&mut self, committed: DomainEvents) {
        self.workflow
            .know(self.effects.operator(&committed.snapshot));
        self.effects.measure(&committed);
        let input = Committed {
            height: committed.height,
            events: committed.events,
        };
        for intent in self.workflow.step(&input) {
            self.effects.perform(intent);
        }
    }
}

impl Receive for EscrowActor {
    type Message = EscrowMail;

    fn started(&mut self) {
        for committed in std::mem::take(&mut self.backlog) {
            self.committed(committed);
        }
    }

    fn receive(&mut self, message: EscrowMail) {
        match message {
            EscrowMail::Committed(committed) => self.committed(committed),
        }
    }
}
