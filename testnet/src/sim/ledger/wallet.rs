//! A client's wallet: nonces in order, and everything sent again until it is in a block.

use std::sync::Arc;

use ledger::State;
use protocol::digest::Address;
use protocol::keys::{SecretKey, Signature};
use protocol::signed::Signed;
use protocol::tx::{KeyKind, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, Height};

/// How long a transaction may wait.
const VALID_BLOCKS: u64 = 30;
/// So many at once; the pool holds sixteen nonces ahead.
const WAITING_MAX: usize = 16;

/// One sent transaction.
#[derive(Debug)]
struct Sent {
    nonce: u64,
    valid_until: Height,
    cost: Amount,
    bytes: Arc<[u8]>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Wallet {
    key: SecretKey,
    address: Address,
    sent: Vec<Sent>,
}

impl Wallet {
    pub(super) fn new(key: SecretKey) -> Self {
        let address = key.public().address();
        Self {
            key,
            address,
            sent: Vec::new(),
        }
    }

    pub(super) const fn address(&self) -> Address {
        self.address
    }

    pub(super) const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Whose transaction waits with which nonce, if one does, and the next that the chain takes.
    pub(super) fn waits_with(&self, state: &State) -> Option<String> {
        let next = state.account(&self.address).nonce;
        let sent = self.sent.iter().find(|sent| sent.nonce >= next)?;
        let (who, nonce, until) = (self.address, sent.nonce, sent.valid_until);
        let chain = state.chain_id();
        let tx = Signed::<Tx>::from_bytes(&sent.bytes).ok()?;
        let (kind, tx) = (tx.message.body.kind(), tx.verify(&chain).ok()?);
        let taken = match state.admit(&tx) {
            Ok(_) => "would be taken".to_owned(),
            Err(error) => error.to_string(),
        };
        let kind = kind.name();
        Some(format!(
            "{who} with {kind} {nonce} after {next} until {until}: {taken}"
        ))
    }

    /// Forgets what is in a block; forgets all if what is missing can never come.
    fn settle(&mut self, state: &State) {
        let next = state.account(&self.address).nonce;
        let height = state.height().next();
        self.sent.retain(|sent| sent.nonce >= next);
        let gap = self.sent.first().is_some_and(|sent| sent.nonce != next);
        if gap || self.sent.iter().any(|sent| sent.valid_until < height) {
            self.sent.clear();
        }
    }

    /// The nonce of the next transaction, by the newest state.
    pub(super) fn next_nonce(&mut self, state: &State) -> u64 {
        self.settle(state);
        let next = state.account(&self.address).nonce;
        self.sent.last().map_or(next, |sent| sent.nonce + 1)
    }

    /// Signs what is asked for, paying `extra` above the least fee; nothing if too much waits, or if it
    /// could not be paid after what waits.
    pub(super) fn sign(&mut self, state: &State, extra: Amount, body: TxBody) -> Option<Arc<[u8]>> {
        let nonce = self.next_nonce(state);
        let tx = self.tx(state, nonce, extra, body);
        let cost = cost(&tx);
        let balance = state.account(&self.address).balance;
        let promised = self.sent.iter().map(|sent| sent.cost);
        let left = promised.fold(balance, Amount::saturating_sub);
        if self.sent.len() >= WAITING_MAX || left < cost {
            return None;
        }
        let bytes = self.seal(tx, state);
        let valid_until = state.height().plus(VALID_BLOCKS);
        self.sent.push(Sent {
            nonce,
            valid_until,
            cost,
            bytes: bytes.clone(),
        });
        Some(bytes)
    }

    /// Signs with any nonce and forgets it.
    pub(super) fn sign_at(
        &self,
        state: &State,
        nonce: u64,
        extra: Amount,
        body: TxBody,
    ) -> Arc<[u8]> {
        self.seal(self.tx(state, nonce, extra, body), state)
    }

    fn tx(&self, state: &State, nonce: u64, extra: Amount, body: TxBody) -> Tx {
        let mut tx = Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Wallet,
            signer: self.key.public(),
            nonce,
            fee: Amount::ZERO,
            valid_until: state.height().plus(VALID_BLOCKS),
            anchor: None,
            body,
        };
        let signature = Signature([0; 64]);
        let message = tx.clone();
        tx.fee = Signed { message, signature }
            .fee_min()
            .saturating_add(extra);
        tx
    }

    fn seal(&self, tx: Tx, state: &State) -> Arc<[u8]> {
        let signed = Signed::sign(tx, &self.key, &state.chain_id());
        signed.to_bytes().into()
    }

    /// What still waits for a block, oldest first.
    pub(super) fn waiting(&mut self, state: &State) -> Vec<Arc<[u8]>> {
        self.settle(state);
        self.sent.iter().map(|sent| sent.bytes.clone()).collect()
    }
}

/// What its signer must have.
fn cost(tx: &Tx) -> Amount {
    let spent = match &tx.body {
        TxBody::Transfer(transfer) => transfer.amount,
        TxBody::Bond(bond) => bond.amount,
        TxBody::SubmitJob(job) if job.sponsor.is_none() => job.spec.max_price,
        _ => Amount::ZERO,
    };
    tx.fee.saturating_add(spent)
}
