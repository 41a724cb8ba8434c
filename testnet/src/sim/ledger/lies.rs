//! What hostile nodes say about others, and the junk they send: reports of votes that nobody cast, in
//! blocks of their own and from node to node; transactions nobody signed; noise.

use std::sync::Arc;

use protocol::block::Block;
use protocol::digest::{BlockId, ChainId, sha256};
use protocol::envelope::seal_vote;
use protocol::evidence::{ContradictingPair, EvidenceKind};
use protocol::keys::{PublicKey, SecretKey, Signature};
use protocol::signed::Signed;
use protocol::tx::{KeyKind, SubmitEvidence, TX_VERSION, Transfer, Tx, TxBody};
use protocol::units::{Amount, Height, Round};
use protocol::vote::{Vote, VoteKind};

use super::Ledger;
use super::shared::Shared;
use super::wire;
use crate::sim::app::Cx;
use crate::sim::keys::Purpose;

/// Well above the least fee of a report.
const FEE: Amount = Amount(200_000);
/// How long a lie may wait; it is in a block at once.
const VALID_BLOCKS: u64 = 10;
const NOISE_BYTES_MAX: u64 = 300;

/// Two votes in somebody's name, signed by somebody else.
pub(in crate::sim) fn forged_pair(
    (victim, forger): (PublicKey, &SecretKey),
    chain: &ChainId,
    height: Height,
    round: Round,
) -> [Signed<Vote>; 2] {
    [b"one".as_slice(), b"other"].map(|block| {
        let vote = Vote {
            kind: VoteKind::Precommit,
            height,
            round,
            block: Some(BlockId(sha256(block))),
            signer: victim,
        };
        Signed::sign(vote, forger, chain)
    })
}

/// Anybody's key but this member's.
fn victim(cx: &mut Cx<'_>, own: usize) -> PublicKey {
    let members = cx.plan().members;
    let ahead = 1 + cx.rng().index(members.saturating_sub(1).max(1));
    cx.keys()
        .public(Purpose::Consensus, (own + ahead) % members.max(1))
}

impl Ledger {
    /// Adds a report to a block, paid for by the own operator: honest pools would refuse it, and a
    /// free one would spoil the block.
    pub(super) fn lie(&self, shared: &mut Shared, cx: &mut Cx<'_>, block: &mut Block) {
        let own = cx.plan().member_of(cx.node());
        let operator = cx.keys().secret(Purpose::Operator, own);
        let signer = operator.public();
        let state = self.bench.state();
        let account = state.account(&signer.address());
        // Its own transactions in this block would take the nonce.
        if account.balance < FEE || !block.body.0.is_empty() {
            return;
        }
        let chain = state.chain_id();
        let names = (victim(cx, own), &operator);
        let [a, b] = forged_pair(names, &chain, block.header.height, Round::ZERO);
        let tx = Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Wallet,
            signer,
            nonce: account.nonce,
            fee: FEE,
            valid_until: block.header.height.plus(VALID_BLOCKS),
            anchor: None,
            body: TxBody::SubmitEvidence(SubmitEvidence {
                kind: EvidenceKind::DoubleVote,
                a: seal_vote(&a),
                b: seal_vote(&b),
            }),
        };
        let signed = Signed::sign(tx, &operator, &chain);
        shared.world.lied(signed.tx_id(&chain), FEE);
        block.body.0.push(signed.to_bytes());
        block.header.body_hash = block.body.hash();
    }
}

/// Bytes of ill will: a forged pair, a transaction with a signature that is none, or noise.
pub(super) fn junk(shared: &Shared, cx: &mut Cx<'_>) -> Arc<[u8]> {
    let chain = shared.genesis.chain_id;
    let own = cx.plan().member_of(cx.node());
    match cx.rng().below(3) {
        0 => {
            let forger = cx.keys().secret(Purpose::Consensus, own);
            let names = (victim(cx, own), &forger);
            let height = shared.newest.height();
            let [a, b] = forged_pair(names, &chain, height, Round::ZERO);
            wire::pair(&ContradictingPair::Votes(a, b))
        }
        1 => {
            let signer = cx.keys().public(Purpose::Client, 0);
            let to = cx.keys().public(Purpose::Operator, own).address();
            let message = Tx {
                version: TX_VERSION,
                key_kind: KeyKind::Wallet,
                signer,
                nonce: shared.newest.account(&signer.address()).nonce,
                fee: FEE,
                valid_until: shared.newest.height().plus(VALID_BLOCKS),
                anchor: None,
                body: TxBody::Transfer(Transfer {
                    to,
                    amount: Amount::pal(1),
                }),
            };
            let signature = Signature([5; 64]);
            wire::tx(&Signed { message, signature }.to_bytes())
        }
        _ => noise(cx),
    }
}

/// Bytes that mean nothing.
pub(in crate::sim) fn noise(cx: &mut Cx<'_>) -> Arc<[u8]> {
    let rng = cx.rng();
    let length = rng.below(NOISE_BYTES_MAX);
    // The first byte is one that a reader knows, most of the time.
    let first = u8::try_from(rng.below(4)).unwrap_or(0);
    let rest = (0..length).map(|_| u8::try_from(rng.below(256)).unwrap_or(0));
    std::iter::once(first).chain(rest).collect()
}
