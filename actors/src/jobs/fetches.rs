//! Fetches on their way to the network actor: what a full mailbox does not take is kept and offered
//! again at the next height, since nobody else would ask for it.

use std::collections::BTreeSet;

use crate::catalogue::NetworkMail;
use crate::jobs::workflow::Artifact;
use crate::mailbox::Outbox;

/// Kept at most. Own seats wait for two artifacts each, and there are far fewer of them than this.
const KEPT_MAX: usize = 1_024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Fetches {
    network: Outbox<NetworkMail>,
    kept: BTreeSet<Artifact>,
}

impl Fetches {
    pub(crate) const fn new(network: Outbox<NetworkMail>) -> Self {
        Self {
            network,
            kept: BTreeSet::new(),
        }
    }

    /// Asks for it now, or later.
    pub(crate) fn ask(&mut self, artifact: Artifact) {
        if self.tell(artifact) {
            return;
        }
        let full = self.kept.len() >= KEPT_MAX;
        if !full {
            self.kept.insert(artifact);
        }
        tracing::warn!(root = %artifact.root(), kept = !full, "fetch_not_taken");
    }

    /// Offers again what was kept, as far as there is room.
    pub(crate) fn ask_again(&mut self) {
        while let Some(artifact) = self.kept.first().copied() {
            if !self.tell(artifact) {
                return;
            }
            self.kept.remove(&artifact);
        }
    }

    /// Asks for what may be needed; one that is lost is asked for again once it is.
    pub(crate) fn ahead(&self, artifact: Artifact) {
        self.network.tell(NetworkMail::FetchAhead(artifact));
    }

    /// What was asked for ahead is not needed after all.
    pub(crate) fn leave(&self, artifact: Artifact) {
        self.network.tell(NetworkMail::LeaveAhead(artifact));
    }

    fn tell(&self, artifact: Artifact) -> bool {
        self.network
            .try_tell(NetworkMail::FetchBlob(artifact))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use protocol::digest::Digest;

    use super::*;
    use crate::mailbox::{Capacity, MailboxMetrics, Post};
    use crate::supervisor::Supervisor;

    #[test]
    fn what_a_full_mailbox_did_not_take_is_asked_for_at_the_next_height() {
        let metrics = MailboxMetrics::new(&Registry::new()).unwrap();
        let capacity = Capacity {
            vital: 1,
            common: 1,
        };
        let post = Post::new(metrics, Supervisor::new());
        let (outbox, mut queue) = post.queue("network", capacity);
        let mut fetches = Fetches::new(outbox);
        let (first, second) = (
            Artifact::Model(Digest([1; 32])),
            Artifact::Input(Digest([2; 32])),
        );
        let mut next = || match queue.take() {
            Some(NetworkMail::FetchBlob(artifact)) => Some(artifact),
            _ => None,
        };
        fetches.ask(first);
        fetches.ask(second);
        fetches.ask_again();
        assert_eq!((next(), next()), (Some(first), None));
        fetches.ask_again();
        assert_eq!((next(), next()), (Some(second), None));
        fetches.ask_again();
        assert_eq!(next(), None);
    }
}
