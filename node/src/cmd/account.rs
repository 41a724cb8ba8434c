//! `palisade account …` and `palisade faucet`

use anyhow::Result;
use clap::Subcommand;
use protocol::digest::Address;
use protocol::tx::{Transfer, TxBody};
use protocol::units::Amount;
use serde_json::{Value, json};

use super::Context;
use crate::client::number;
use crate::client::resolve::Resolved;
use crate::exit::Exit;
use crate::keys::dev;
use crate::output::{pal, parse_amount};
use crate::problem::{Problem, refuse};

/// What to do with accounts.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Show an account's balance and nonce.
    Show {
        /// An address, or a development account such as client-0; the own account by default.
        account: Option<String>,
    },
    /// Move money.
    Transfer {
        /// To whom.
        to: String,
        /// How much, as 1.5PAL or 1500000upal.
        #[arg(value_parser = parse_amount)]
        amount: u64,
    },
}

/// How much to ask for.
#[derive(clap::Args, Debug)]
pub(crate) struct FaucetArgs {
    /// Who gets it; the own account by default.
    account: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let node = context.resolve()?;
    match verb {
        Verb::Show { account } => show(context, &node, account.as_deref()),
        Verb::Transfer { to, amount } => transfer(context, &node, to, *amount),
    }
}

/// Reads an address or the name of a development account.
pub(crate) fn address_of(node: &Resolved, text: Option<&str>) -> Result<Address> {
    let Some(text) = text else {
        let chain = node.chain()?;
        return Ok(node.wallet(&chain)?.key.public().address());
    };
    if let Some(index) = dev::wallet_index(text) {
        if !node.chain()?.genesis.is_local() {
            refuse!("key.dev", "{text} on a chain that is not local");
        }
        return Ok(dev::wallet(index)?.public().address());
    }
    text.parse()
        .map_err(|error| Problem::new("account.malformed", format!("{text}: {error}")).into())
}

fn show(context: &Context, node: &Resolved, account: Option<&str>) -> Result<Exit> {
    let address = address_of(node, account)?;
    let found = node.api.find(&format!("/v1/accounts/{address}"))?;
    let mut found = found.unwrap_or_else(|| json!({"balance": "0", "nonce": 0}));
    found["schema"] = json!("palisade.account/1");
    found["address"] = json!(address.to_string());
    context.output.document(&found, || {
        format!(
            "{address}  {}  nonce {}",
            pal(number(&found, "balance")),
            number(&found, "nonce")
        )
    });
    Ok(Exit::Ok)
}

fn transfer(context: &Context, node: &Resolved, to: &str, amount: u64) -> Result<Exit> {
    let chain = node.chain()?;
    let to = address_of(node, Some(to))?;
    let signer = node.wallet(&chain)?;
    let body = TxBody::Transfer(Transfer {
        to,
        amount: Amount(amount),
    });
    let (ready, included) = node.transact(&chain, &signer, |_| Ok(body))?;
    let document = sent("palisade.transfer/1", &ready, &included);
    context.output.document(&document, || {
        format!(
            "{} to {to}, included at height {}",
            pal(amount),
            number(&included, "height")
        )
    });
    Ok(Exit::Ok)
}

/// What commands print about an included transaction.
pub(crate) fn sent(
    schema: &str,
    ready: &crate::client::transact::Ready,
    included: &Value,
) -> Value {
    json!({
        "schema": schema, "tx": ready.id.to_string(), "nonce": ready.nonce,
        "fee": ready.fee.to_string(), "height": included["height"], "result": included["result"],
    })
}

/// Asks a local chain's faucet.
pub(crate) fn faucet(context: &Context, args: &FaucetArgs) -> Result<Exit> {
    let node = context.resolve()?;
    let address = address_of(&node, args.account.as_deref())?;
    let mut answer = node
        .api
        .post_json("/v1/faucet", &json!({"address": address.to_string()}))?;
    let id = crate::client::text(&answer, "id").parse().map_err(|_| {
        Problem::new(
            "api.bad_request",
            "the faucet answered without a transaction",
        )
    })?;
    let included = node.included(&id)?;
    answer["schema"] = json!("palisade.faucet/1");
    answer["height"] = included["height"].clone();
    context.output.document(&answer, || {
        format!(
            "{} to {address}, included at height {}",
            pal(number(&answer, "amount")),
            number(&included, "height")
        )
    });
    Ok(Exit::Ok)
}
