//! Accounts.

use std::sync::Arc;

use protocol::digest::Address;
use serde_json::json;

use super::answer::Answer;
use super::call::Call;
use super::shared::Shared;
use crate::problem::Problem;

/// GET /v1/accounts/{address}: `nonce` by the chain, `next_nonce` also counting what waits here.
pub(crate) async fn account(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let address: Address = call.id(0, "account.malformed")?;
    let row = shared.snapshot().state.account(&address);
    let next = next_nonce(&shared, address).await.unwrap_or(row.nonce);
    Ok(Answer::Json(json!({
        "schema": "palisade.account/1", "address": address.to_string(),
        "balance": row.balance.to_string(), "nonce": row.nonce, "next_nonce": next,
    })))
}

/// The nonce that the account's next transaction needs, as the mempool sees it.
pub(crate) async fn next_nonce(shared: &Shared, account: Address) -> Option<u64> {
    shared.node.next_nonce(account).await.ok()
}
