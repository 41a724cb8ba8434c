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

/// Starts the tasks beside the network's loop, where no mailbox can starve them and no thread has to be
/// woken for what the loop hands over.
pub(crate) fn start(net: &NetHandle, lanes: Lanes, ends: LaneEnds) {
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
    net.spawn(async move {
        while let Some(event) = consensus.recv().await {
            let letter = ConsensusMail::Heard(Box::new(event));
            if to_consensus.tell_or_wait(letter).await.is_err() {
                return;
            }
        }
    });
    net.spawn(async move {
        while let Some(event) = evidence.recv().await {
            to_evidence.tell(EvidenceMail::Gossiped(Box::new(event.pair)));
        }
    });
    net.spawn(async move {
        while let Some(event) = duty.recv().await {
            to_mempool.tell(MempoolMail::Relayed(Box::new(event.tx)));
        }
    });
    net.spawn(async move {
        while let Some(event) = tx.recv().await {
            mempool.tell(MempoolMail::Relayed(Box::new(event.tx)));
        }
    });
    net.spawn(async move {
        while let Some(event) = bulk.recv().await {
            let letter = NetworkMail::Chunk(event);
            if network.tell_or_wait(letter).await.is_err() {
                return;
            }
        }
    });
}

/// Writes every ban into the audit log, once.
pub(crate) fn watch_bans(net: &NetHandle, audit: AuditTrail) {
    let mut views = net.watch_view();
    net.spawn(async move {
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
    });
}
