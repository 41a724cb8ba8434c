//! One task per lane: from the network's bounded queue into the mailbox of whoever needs it.
//!
//! Consensus messages wait for room here, not in the network's loop. Evidence and transactions are
//! shed by their mailboxes; their holders offer them again.

use std::collections::BTreeSet;

use net::{Lanes, NetHandle};
use protocol::digest::sha256;

use crate::audit::AuditTrail;
use crate::catalogue::{ConsensusMail, EvidenceMail, MempoolMail, NetworkMail};
use crate::mailbox::Outbox;

/// Where the lanes lead.
#[derive(Clone, Debug)]
pub(crate) struct LaneEnds {
    pub(crate) consensus: Outbox<ConsensusMail>,
    pub(crate) evidence: Outbox<EvidenceMail>,
    pub(crate) mempool: Outbox<MempoolMail>,
    pub(crate) network: Outbox<NetworkMail>,
}

/// Starts the tasks on an arbiter of their own, where no mailbox can starve them.
pub(crate) fn start(arbiter: &actix::ArbiterHandle, lanes: Lanes, ends: LaneEnds) -> bool {
    let Lanes {
        mut consensus,
        mut evidence,
        mut duty,
        mut tx,
        mut bulk,
    } = lanes;
    let LaneEnds {
        consensus: to_consensus,
        evidence: to_evidence,
        mempool,
        network,
    } = ends;
    let to_mempool = mempool.clone();
    let tasks = [
        arbiter.spawn(async move {
            while let Some(event) = consensus.recv().await {
                if to_consensus
                    .tell_or_wait(ConsensusMail::Heard(Box::new(event)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }),
        arbiter.spawn(async move {
            while let Some(event) = evidence.recv().await {
                to_evidence.tell(EvidenceMail::Gossiped(Box::new(event.pair)));
            }
        }),
        arbiter.spawn(async move {
            while let Some(event) = duty.recv().await {
                to_mempool.tell(MempoolMail::Relayed(Box::new(event.tx)));
            }
        }),
        arbiter.spawn(async move {
            while let Some(event) = tx.recv().await {
                mempool.tell(MempoolMail::Relayed(Box::new(event.tx)));
            }
        }),
        arbiter.spawn(async move {
            while let Some(event) = bulk.recv().await {
                if network
                    .tell_or_wait(NetworkMail::Chunk(event))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }),
    ];
    tasks.into_iter().all(|spawned| spawned)
}

/// Writes every ban into the audit log, once.
pub(crate) fn watch_bans(
    arbiter: &actix::ArbiterHandle,
    net: &NetHandle,
    audit: AuditTrail,
) -> bool {
    let mut views = net.watch_view();
    arbiter.spawn(async move {
        let mut known: BTreeSet<(String, u64)> = BTreeSet::new();
        while views.changed().await.is_ok() {
            let bans = views.borrow_and_update().bans.clone();
            let now: BTreeSet<(String, u64)> = bans
                .iter()
                .map(|ban| (ban.peer.to_string(), ban.since_ms))
                .collect();
            for ban in &bans {
                if !known.contains(&(ban.peer.to_string(), ban.since_ms)) {
                    let body = sha256(ban.reason.as_bytes());
                    audit.record("network", "peer_banned", ban.peer.to_string(), body);
                }
            }
            known = now;
        }
    })
}
