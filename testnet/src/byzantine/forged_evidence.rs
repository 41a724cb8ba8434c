//! Accuses others of what they did not do, in blocks of its own, past every honest mempool.

use std::sync::{Arc, Mutex, PoisonError};

use actors::tamper::{Means, Moment, Tamper};
use protocol::block::Block;
use protocol::digest::{BlockId, sha256};
use protocol::envelope::seal_vote;
use protocol::evidence::EvidenceKind;
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, SubmitEvidence, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, Round};
use protocol::vote::{Vote, VoteKind};

/// What each lie costs: well above the least fee of its length.
pub const FORGED_EVIDENCE_FEE: Amount = Amount(200_000);
/// How long a lie may wait for a block; it is in one at once.
const VALID_BLOCKS: u64 = 10;

#[derive(Debug)]
pub(super) struct ForgedEvidence {
    /// Signs the reports: free ones would make the block invalid when they are refused.
    operator: Arc<SecretKey>,
    last: Mutex<Option<Moment>>,
}

impl ForgedEvidence {
    pub(super) fn new(operator: Arc<SecretKey>) -> Self {
        Self {
            operator,
            last: Mutex::default(),
        }
    }

    /// Two votes in an honest validator's name that contradict each other; the signatures under
    /// them are our own.
    fn lie(&self, last: &Moment, means: &Means) -> Option<Vec<u8>> {
        let victim = last.others.first()?;
        let vote = |block: &[u8]| {
            let vote = Vote {
                kind: VoteKind::Precommit,
                height: last.height,
                round: Round::ZERO,
                block: Some(BlockId(sha256(block))),
                signer: victim.consensus_key,
            };
            seal_vote(&Signed::sign(vote, &self.operator, &means.chain))
        };
        let body = TxBody::SubmitEvidence(SubmitEvidence {
            kind: EvidenceKind::DoubleVote,
            a: vote(b"one"),
            b: vote(b"other"),
        });
        let signer = self.operator.public();
        let tx = Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Wallet,
            signer,
            nonce: last.state.account(&signer.address()).nonce,
            fee: FORGED_EVIDENCE_FEE,
            valid_until: last.height.plus(VALID_BLOCKS),
            anchor: None,
            body,
        };
        Some(Signed::sign(tx, &self.operator, &means.chain).to_bytes())
    }
}

impl Tamper for ForgedEvidence {
    fn name(&self) -> &'static str {
        "forged-evidence"
    }

    fn block(&self, mut block: Block, means: &Means) -> Block {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = |last: &&Moment| last.height.next() == block.header.height;
        if let Some(lie) = last
            .as_ref()
            .filter(before)
            .and_then(|last| self.lie(last, means))
        {
            block.body.0.push(lie);
            block.header.body_hash = block.body.hash();
        }
        block
    }

    fn committed(&self, moment: &Moment, _: &Means) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment.clone());
    }
}
