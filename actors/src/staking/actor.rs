//! The staking actor.
//!
//! Owns: our validator's standing as last published. Consumes: staking events of each height. Emits:
//! the admitted set to the network, our standing to readers, audit records about ourselves.

use crate::catalogue::{DomainEvents, StakingMail};
use crate::mailbox::Receive;
use crate::snapshot::Snapshot;
use crate::staking::effects::StakingEffects;
use crate::staking::workflow::{Committed, Facts, Staking};

/// See the module.
#[derive(Debug)]
pub(crate) struct StakingActor {
    pub(crate) workflow: Staking,
    pub(crate) effects: StakingEffects,
    /// The state to begin with: whom to admit, and where we stand.
    pub(crate) first: Option<std::sync::Arc<Snapshot>>,
    /// Heights since the last one noted, dealt with before anything else.
    pub(crate) backlog: Vec<DomainEvents>,
}

impl StakingActor {
    fn committed(&mut self, committed: &DomainEvents) {
        let snapshot = &committed.snapshot;
        let own = self.effects.own(snapshot);
        self.workflow.know(own);
        let input = Committed {
            height: committed.height,
            events: committed.events.clone(),
            facts: Facts::of(&snapshot.state, own),
            set: snapshot.next_set().digest(),
        };
        for intent in self.workflow.step(&input) {
            self.effects.perform(intent, snapshot);
        }
    }
}

impl Receive for StakingActor {
    type Message = StakingMail;

    fn started(&mut self) {
        for committed in std::mem::take(&mut self.backlog) {
            self.committed(&committed);
        }
        // A height that is dealt with still tells where we stand.
        if let Some(snapshot) = self.first.take() {
            let (height, events) = (snapshot.height, Vec::new());
            self.committed(&DomainEvents {
                height,
                events,
                snapshot,
            });
        }
    }

    fn receive(&mut self, message: StakingMail) {
        match message {
            StakingMail::Committed(committed) => self.committed(&committed),
        }
    }
}
