//! The faucet of a local chain: a public key gives away money that is worth nothing.

use std::sync::Arc;

use protocol::digest::Address;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, TX_VERSION, Transfer, Tx, TxBody};
use protocol::units::Amount;
use serde::Deserialize;
use serde_json::json;

use super::accounts::next_nonce;
use super::answer::Answer;
use super::call::Call;
use super::shared::Shared;
use super::txs;
use crate::keys::dev;
use crate::problem::Problem;

/// What one call gives.
const GIFT: Amount = Amount::pal(10);
/// How long the gift stays valid.
const VALID_BLOCKS: u64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    address: String,
}

/// POST /v1/faucet
pub(crate) async fn pay(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let ask: Ask = call.json()?;
    let to: Address = ask
        .address
        .parse()
        .map_err(|error| Problem::new("api.bad_request", format!("address: {error}")))?;
    let key = dev::wallet(dev::FAUCET_INDEX)?;
    let from = key.public().address();
    let snapshot = shared.snapshot();
    let nonce = next_nonce(&shared, from)
        .await
        .unwrap_or(snapshot.state.account(&from).nonce);
    let mut tx = Tx {
        version: TX_VERSION,
        key_kind: KeyKind::Wallet,
        signer: key.public(),
        nonce,
        fee: Amount::ZERO,
        valid_until: snapshot.height.plus(VALID_BLOCKS),
        anchor: None,
        body: TxBody::Transfer(Transfer { to, amount: GIFT }),
    };
    tx.fee = Signed::sign(tx.clone(), &key, &shared.chain.id).fee_min();
    let signed = Signed::sign(tx, &key, &shared.chain.id);
    let id = signed.tx_id(&shared.chain.id);
    txs::admit(&shared, signed)
        .await
        .map_err(|problem| match problem.code.as_str() {
            "tx.insufficient_balance" => Problem::new("faucet.empty", problem.detail),
            _ => problem,
        })?;
    Ok(Answer::Accepted(json!({
        "schema": "palisade.faucet/1", "id": id.to_string(), "amount": GIFT.to_string(),
        "to": to.to_string(),
    })))
}
