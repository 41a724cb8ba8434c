//! What a commit tells the rest of the node, in the order in which it may be told.

use std::sync::Arc;

use protocol::digest::ValidatorId;
use protocol::envelope::{seal_proposal, seal_vote};
use protocol::events::{Domain, Event};
use protocol::evidence::ContradictingPair;
use protocol::vote::CommitCertificate;
use tokio::sync::watch;

use crate::agreement::blocks::Tried;
use crate::catalogue::{
    DomainEvents, EscrowMail, EvidenceMail, ExecutionMail, JobsMail, StakingMail,
};
use crate::feed::{EventFeed, HeightEvents};
use crate::mailbox::Outbox;
use crate::snapshot::Snapshot;
use crate::tamper::{Moment, TamperSwitch};

/// The readers of a commit.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(crate) feed: EventFeed,
    pub(crate) staking: Outbox<StakingMail>,
    pub(crate) escrow: Outbox<EscrowMail>,
    pub(crate) jobs: Outbox<JobsMail>,
    pub(crate) execution: Outbox<ExecutionMail>,
    pub(crate) evidence: Outbox<EvidenceMail>,
}

impl Publisher {
    /// Publishes the snapshot and the events.
    pub(crate) fn committed(
        &self,
        tried: &Tried,
        certificate: Arc<CommitCertificate>,
    ) -> Arc<Snapshot> {
        let (header, state) = (tried.block.header, tried.applied.state.clone());
        let snapshot = Arc::new(Snapshot::new(state, Some(header), Some(certificate)));
        self.snapshots.send_replace(snapshot.clone());
        let refused = (0..).zip(&tried.applied.outcomes);
        let refused = refused.filter_map(|(index, tx)| Some((index, tx.refused.clone()?)));
        self.feed.push(HeightEvents {
            height: header.height,
            events: Arc::new(tried.applied.events.clone()),
            refused: Some(Arc::new(refused.collect())),
        });
        snapshot
    }

    /// Gives each domain its own events. Each is told of every height: deadlines are heights.
    pub(crate) fn tell_domains(&self, snapshot: &Arc<Snapshot>, events: &[Event]) {
        let of = |domain: Domain| DomainEvents {
            height: snapshot.height,
            events: events
                .iter()
                .filter(|event| event.domain() == domain)
                .cloned()
                .collect(),
            snapshot: snapshot.clone(),
        };
        self.staking
            .tell(StakingMail::Committed(of(Domain::Staking)));
        self.escrow.tell(EscrowMail::Committed(of(Domain::Escrow)));
        self.execution
            .tell(ExecutionMail::Committed(of(Domain::Execution)));
        self.jobs.tell(JobsMail::Committed(of(Domain::Jobs)));
        self.evidence
            .tell(EvidenceMail::Committed(of(Domain::Evidence)));
    }

    /// Hands a contradiction to the evidence actor, as the envelopes that others can check.
    pub(crate) fn contradiction(&self, pair: &ContradictingPair) {
        let (first, second) = match pair {
            ContradictingPair::Votes(a, b) => (seal_vote(a), seal_vote(b)),
            ContradictingPair::Proposals(a, b) => (seal_proposal(a, &[]), seal_proposal(b, &[])),
        };
        let kind = pair.kind();
        self.evidence.tell(EvidenceMail::Contradiction {
            kind,
            first,
            second,
        });
    }

    /// Lets a rehearsed misdeed know what happened.
    pub(crate) fn tell_tamper(
        &self,
        tamper: &TamperSwitch,
        snapshot: &Snapshot,
        own: Option<ValidatorId>,
    ) {
        if tamper.name().is_none() {
            return;
        }
        let others = snapshot.next_set().members().to_vec();
        let others = others
            .into_iter()
            .filter(|member| Some(member.id) != own)
            .collect();
        tamper.committed(&Moment {
            height: snapshot.height,
            block: snapshot.block,
            others,
            state: snapshot.state.clone(),
        });
    }
}
