//! Evidence from outside: forged, or true and held back until it is almost, or altogether, too old.

use protocol::digest::{BlockId, sha256};
use protocol::envelope::seal_vote;
use protocol::evidence::EvidenceKind;
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::tx::{SubmitEvidence, TxBody};
use protocol::units::{Height, Round};
use protocol::vote::{Vote, VoteKind};

use super::super::shared::Shared;
use super::REPORTER;
use crate::sim::app::Cx;
use crate::sim::keys::Purpose;

/// A round that nobody reaches, so that no other vote contradicts these.
const ROUND: Round = Round(1_000);

/// How often a pair is reported.
const REPORTS: u32 = 4;

/// A true pair that one reporter has.
#[derive(Debug)]
pub(super) struct Kept {
    body: SubmitEvidence,
    due: Height,
    /// Reports that are still to be made: some find nobody at home.
    left: u32,
}

impl Kept {
    pub(super) const fn is_done(&self) -> bool {
        self.left == 0
    }
}

fn pair(key: &SecretKey, shared: &Shared, signer: &SecretKey, height: Height) -> SubmitEvidence {
    let chain = shared.genesis.chain_id;
    let vote = |block: &[u8]| {
        let vote = Vote {
            kind: VoteKind::Precommit,
            height,
            round: ROUND,
            block: Some(BlockId(sha256(block))),
            signer: key.public(),
        };
        seal_vote(&Signed::sign(vote, signer, &chain))
    };
    SubmitEvidence {
        kind: EvidenceKind::DoubleVote,
        a: vote(b"one"),
        b: vote(b"other"),
    }
}

/// Signs two votes with a hostile key, for a reporter that waits.
pub(super) fn make(shared: &mut Shared, cx: &mut Cx<'_>, member: usize, wait_blocks: u64) {
    let key = cx.keys().secret(Purpose::Consensus, member);
    let height = shared.newest.height().next();
    let body = pair(&key, shared, &key, height);
    let due = height.plus(wait_blocks);
    let left = REPORTS;
    shared.clients.kept.push(Kept { body, due, left });
}

/// Two votes of somebody, signed by somebody else.
pub(super) fn forge(shared: &mut Shared, cx: &mut Cx<'_>, member: usize) {
    let key = cx.keys().secret(Purpose::Consensus, member);
    let forger = cx.keys().secret(Purpose::Client, 0);
    let body = pair(&key, shared, &forger, shared.newest.height());
    super::try_once(shared, cx, REPORTER, TxBody::SubmitEvidence(body));
}

/// Reports what is due, to everybody.
pub(super) fn tick(shared: &mut Shared, cx: &mut Cx<'_>) {
    let height = shared.newest.height();
    for index in 0..shared.clients.kept.len() {
        let kept = &mut shared.clients.kept[index];
        if kept.left == 0 || kept.due > height {
            continue;
        }
        kept.left -= 1;
        let body = TxBody::SubmitEvidence(kept.body.clone());
        super::try_once(shared, cx, REPORTER, body);
    }
}
