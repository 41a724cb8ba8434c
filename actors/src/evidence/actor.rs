//! The evidence actor.
//!
//! Owns: the durable pool of contradicting pairs. Consumes: contradictions from consensus, pairs from
//! peers, evidence events of each height. Emits: gossip to the network, `SubmitEvidence` to the
//! mempool until the chain has it.

use std::sync::Arc;

use protocol::evidence::EvidenceKind;

use crate::catalogue::{DomainEvents, EvidenceMail};
use crate::evidence::effects::EvidenceEffects;
use crate::evidence::pairs;
use crate::evidence::workflow::{Evidence, Input, Source};
use crate::mailbox::Receive;
use crate::snapshot::Snapshot;

/// See the module.
#[derive(Debug)]
pub(crate) struct EvidenceActor {
    pub(crate) workflow: Evidence,
    pub(crate) effects: EvidenceEffects,
    pub(crate) snapshot: Arc<Snapshot>,
    /// Pairs found on disk at start: the bytes that `Keep` stored.
    pub(crate) stored: Vec<Vec<u8>>,
    /// Heights since the last one noted, dealt with before anything else.
    pub(crate) backlog: Vec<DomainEvents>,
}

impl EvidenceActor {
    fn step(&mut self, input: Input) {
        let intents = self.workflow.step(input);
        for intent in intents {
            self.effects.perform(intent);
        }
        self.effects.open(self.workflow.open());
    }

    fn committed(&mut self, committed: DomainEvents) {
        self.effects.at(committed.height);
        self.snapshot = committed.snapshot;
        self.step(Input::Committed {
            height: committed.height,
            floor: self.snapshot.state.evidence_floor(),
            events: committed.events,
        });
    }

    fn found(&mut self, kind: EvidenceKind, first: &[u8], second: &[u8], source: Source) {
        match pairs::prove(&self.snapshot.state, kind, first, second) {
            Some(proof) if self.workflow.is_moot(&self.snapshot.state, &proof) => {
                self.step(Input::Moot(proof.id(), source));
            }
            Some(proof) => self.step(Input::Found(Box::new(proof), source)),
            None => tracing::debug!(?source, "pair_proves_nothing"),
        }
    }
}

impl Receive for EvidenceActor {
    type Message = EvidenceMail;

    fn started(&mut self) {
        for bytes in std::mem::take(&mut self.stored) {
            if let Some((kind, first, second)) = pairs::from_disk(&bytes) {
                self.found(kind, &first, &second, Source::Disk);
            }
        }
        for committed in std::mem::take(&mut self.backlog) {
            self.committed(committed);
        }
    }

    fn receive(&mut self, message: EvidenceMail) {
        match message {
            EvidenceMail::Committed(committed) => self.committed(committed),
            EvidenceMail::Contradiction {
                kind,
                first,
                second,
            } => {
                self.found(kind, &first, &second, Source::Seen);
            }
            EvidenceMail::Gossiped(pair) => {
                let pair = pair.message();
                for kind in [EvidenceKind::DoubleVote, EvidenceKind::DoubleProposal] {
                    self.found(kind, &pair.first, &pair.second, Source::Gossip);
                }
            }
            EvidenceMail::Kept(id) => self.step(Input::Kept(id)),
        }
    }
}
