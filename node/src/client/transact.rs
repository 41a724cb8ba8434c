//! From a wish to an included transaction.

use std::time::Duration;

use anyhow::Result;
use protocol::digest::TxId;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, TX_VERSION, Tx, TxBody};
use protocol::units::{Amount, Height};
use serde_json::Value;

use super::resolve::{Resolved, Signer};
use super::{number, text};
use crate::clock;
use crate::home::Chain;
use crate::problem::{Problem, refuse};

/// How long a transaction stays valid unless told otherwise: a fifth of what the rules allow.
const VALID_BLOCKS: u64 = 200;
/// How long a command waits for inclusion.
const INCLUSION_WAIT: Duration = Duration::from_secs(60);

/// A transaction ready to be sent.
#[derive(Debug)]
pub(crate) struct Ready {
    /// Its id.
    pub(crate) id: TxId,
    /// Its nonce.
    pub(crate) nonce: u64,
    /// Its fee.
    pub(crate) fee: Amount,
    /// `Signed<Tx>`.
    pub(crate) bytes: Vec<u8>,
}

impl Resolved {
    /// The chain's height, as the node tells it.
    pub(crate) fn height(&self, chain: &Chain) -> Result<Height> {
        let status = self.api.get("/v1/status")?;
        let theirs = text(&status, "chain_id");
        if theirs != chain.id.to_string() {
            refuse!("chain.other", "node {theirs}, here {}", chain.id);
        }
        Ok(Height(number(&status, "height")))
    }

    /// The account's next nonce.
    pub(crate) fn nonce(&self, signer: &Signer) -> Result<u64> {
        let address = signer.key.public().address();
        match self.api.find(&format!("/v1/accounts/{address}"))? {
            Some(account) if account.get("next_nonce").is_some() => {
                Ok(number(&account, "next_nonce"))
            }
            Some(account) => Ok(number(&account, "nonce")),
            None => Ok(0),
        }
    }

    /// Signs a body as the account's next transaction, at the lowest fee.
    pub(crate) fn prepare(
        &self,
        chain: &Chain,
        signer: &Signer,
        body: impl FnOnce(u64) -> Result<TxBody>,
    ) -> Result<Ready> {
        let height = self.height(chain)?;
        let nonce = self.nonce(signer)?;
        let valid_until = height.plus(VALID_BLOCKS);
        Ok(sign(chain, signer, nonce, valid_until, body(nonce)?))
    }

    /// Hands a transaction to the node.
    pub(crate) fn send(&self, ready: &Ready) -> Result<()> {
        self.api.post("/v1/tx", &ready.bytes).map(drop)
    }

    /// Waits until the transaction is in a block.
    pub(crate) fn included(&self, id: &TxId) -> Result<Value> {
        let start = clock::instant();
        loop {
            let found = self.api.find(&format!("/v1/tx/{id}"))?;
            if let Some(tx) = found.filter(|tx| text(tx, "status") == "included") {
                return applied(id, tx);
            }
            if start.elapsed() > INCLUSION_WAIT {
                return Err(
                    Problem::new("api.timeout", format!("{id} is not included yet"))
                        .hint(format!("palisade tx show {id}"))
                        .exit(crate::exit::Exit::Unavailable)
                        .into(),
                );
            }
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    /// Prepares, sends and waits.
    pub(crate) fn transact(
        &self,
        chain: &Chain,
        signer: &Signer,
        body: impl FnOnce(u64) -> Result<TxBody>,
    ) -> Result<(Ready, Value)> {
        let ready = self.prepare(chain, signer, body)?;
        self.send(&ready)?;
        let included = self.included(&ready.id)?;
        Ok((ready, included))
    }
}

/// An included transaction, if it did what it says. One without effect has paid its fee, and is a
/// refusal by the ledger all the same.
fn applied(id: &TxId, included: Value) -> Result<Value> {
    let result = &included["result"];
    if result["applied"] != false {
        return Ok(included);
    }
    let (height, why) = (number(&included, "height"), text(result, "detail"));
    let detail = format!("{why}; {id} is in block {height}, had no effect and paid its fee");
    Err(Problem::new(text(result, "code"), detail).into())
}

/// Signs at the lowest fee. The length does not depend on the fee, so one look is enough.
pub(crate) fn sign(
    chain: &Chain,
    signer: &Signer,
    nonce: u64,
    valid_until: Height,
    body: TxBody,
) -> Ready {
    let mut tx = Tx {
        version: TX_VERSION,
        key_kind: KeyKind::Wallet,
        signer: signer.key.public(),
        nonce,
        fee: Amount::ZERO,
        valid_until,
        anchor: None,
        body,
    };
    tx.fee = Signed::sign(tx.clone(), &signer.key, &chain.id).fee_min();
    let fee = tx.fee;
    let signed = Signed::sign(tx, &signer.key, &chain.id);
    Ready {
        id: signed.tx_id(&chain.id),
        nonce,
        fee,
        bytes: signed.to_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_transaction_without_effect_is_a_refusal() {
        let id = TxId::default();
        let with = |result: Value| applied(&id, json!({"height": 7, "result": result}));
        assert!(with(json!({"applied": true})).is_ok());
        // Unknown any more, at a node that began a while after it.
        assert!(with(Value::Null).is_ok());
        let refused = json!({"applied": false, "code": "tx.stale_nonce", "detail": "too late"});
        let error = with(refused).unwrap_err();
        let problem = error.downcast_ref::<Problem>().unwrap();
        assert_eq!(
            (problem.code.as_str(), problem.exit_code),
            ("tx.stale_nonce", 5)
        );
        assert!(problem.detail.contains("too late; ") && problem.detail.contains("block 7"));
    }
}
