//! `palisade validator …`: what an operator does with the stake.

use anyhow::Result;
use clap::Subcommand;
use protocol::digest::{BlockId, ValidatorId};
use protocol::keys::{SecretKey, Signature};
use protocol::tx::{Bond, RegisterValidator, TxBody, Unbond, Unjail, possession_digest};
use protocol::units::{Amount, Height};
use serde_json::{Value, json};

use super::Context;
use super::account::sent;
use super::chain::pairs;
use crate::admin;
use crate::client::resolve::{Resolved, Signer, password_file};
use crate::client::{number, text};
use crate::exit::Exit;
use crate::home::Chain;
use crate::keys::{Role, file, password};
use crate::output::{pal, parse_amount};
use crate::problem::{Problem, refuse};

/// What to do with the validator.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Make this home's node a candidate. Signed by the operator's key.
    Join {
        /// The first bond.
        #[arg(long, value_parser = parse_amount)]
        self_bond: u64,
        /// What people call it; the configured moniker by default.
        #[arg(long)]
        moniker: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// State, cause, and what to do next.
    Status {
        /// A validator's id; this node's own by default.
        id: Option<String>,
    },
    /// Add to the bond.
    Bond {
        /// How much.
        #[arg(value_parser = parse_amount)]
        amount: u64,
    },
    /// Take from the bond. It stays slashable until it has matured.
    Unbond {
        /// How much; all of it ends the validator.
        #[arg(value_parser = parse_amount)]
        amount: u64,
    },
    /// End a jail term that has been served. The running node signs the heartbeat.
    Unjail,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let node = context.resolve()?;
    match verb {
        Verb::Status { id } => return status(context, &node, id.as_deref()),
        Verb::Join {
            self_bond,
            moniker,
            yes,
        } => {
            return join(context, &node, *self_bond, moniker.as_deref(), *yes);
        }
        _ => {}
    }
    let chain = node.chain()?;
    let operator = node.signer(&chain, Role::Operator)?;
    let body = match verb {
        Verb::Bond { amount } => TxBody::Bond(Bond {
            amount: Amount(*amount),
        }),
        Verb::Unbond { amount } => TxBody::Unbond(Unbond {
            amount: Amount(*amount),
        }),
        _ => unjail(context)?,
    };
    let kind = body.kind().name();
    let (ready, included) = node.transact(&chain, &operator, |_| Ok(body))?;
    let document = sent("palisade.validator/1", &ready, &included);
    context.output.document(&document, || {
        format!("{kind} included at height {}", number(&included, "height"))
    });
    Ok(Exit::Ok)
}

/// The running node signs that it is alive; nothing else can be asked of its keys.
fn unjail(context: &Context) -> Result<TxBody> {
    let answer = admin::post(&context.home, "/v1/admin/heartbeat", &json!({}))?;
    let signature = |key: &str| -> Result<Signature> {
        let bytes = hex::decode(text(&answer, key)).unwrap_or_default();
        Ok(Signature::from_slice(&bytes)?)
    };
    Ok(TxBody::Unjail(Unjail {
        height: Height(number(&answer, "height")),
        block: BlockId(text(&answer, "block").parse()?),
        consensus_heartbeat: signature("consensus")?,
        session_heartbeat: signature("session")?,
    }))
}

fn hot_key(context: &Context, role: Role) -> Result<SecretKey> {
    let found = file::list(&context.home.keys())?;
    let Some(found) = found.iter().find(|found| found.label.role == role) else {
        refuse!(
            "key.unknown",
            "no {role} key; palisade keys new --role {role}"
        );
    };
    let given = password_file(&context.global, &context.home)?;
    match (found.label.dev, given) {
        (true, None) => Ok(found.open(b"")?),
        (_, given) => Ok(found.open(&password::find(given.as_deref(), password::Purpose::Open)?)?),
    }
}

fn join(
    context: &Context,
    node: &Resolved,
    self_bond: u64,
    moniker: Option<&str>,
    yes: bool,
) -> Result<Exit> {
    let chain = node.chain()?;
    let status = node.api.get("/v1/status")?;
    if text(&status["sync"], "state") != "synced" {
        refuse!(
            "check.sync",
            "the node is {}",
            text(&status["sync"], "state")
        );
    }
    let min = chain.genesis.params.self_bond_min;
    if Amount(self_bond) < min {
        refuse!(
            "tx.inapplicable",
            "{} is below the least bond of {}",
            pal(self_bond),
            pal(min.0)
        );
    }
    let operator = node.signer(&chain, Role::Operator)?;
    let configured = context
        .home
        .load_config(context.global.config.as_deref())?
        .config
        .node
        .moniker;
    let moniker = moniker.map_or(configured, str::to_owned);
    warn(context, &chain, self_bond, yes)?;
    let hot = [Role::Consensus, Role::Session, Role::Peer].map(|role| hot_key(context, role));
    let [consensus, session, peer] = hot;
    let (consensus, session, peer) = (consensus?, session?, peer?);
    let mut id = None;
    let (ready, included) = node.transact(&chain, &operator, |nonce| {
        id = Some(ValidatorId::derive(
            &chain.id,
            &operator.key.public().address(),
            nonce,
        ));
        Ok(registration(
            &chain,
            &operator,
            nonce,
            &moniker,
            (&consensus, &session, &peer),
            self_bond,
        ))
    })?;
    let mut document = sent("palisade.validator-join/1", &ready, &included);
    document["validator"] = json!(id.map(|id| id.to_text()));
    context.output.document(&document, || {
        format!(
            "{} registered at height {}\nnext: palisade validator status",
            text(&document, "validator"),
            number(&included, "height")
        )
    });
    Ok(Exit::Ok)
}

fn registration(
    chain: &Chain,
    operator: &Signer,
    nonce: u64,
    moniker: &str,
    (consensus, session, peer): (&SecretKey, &SecretKey, &SecretKey),
    self_bond: u64,
) -> TxBody {
    let address = operator.key.public().address();
    let proof = |key: &SecretKey| {
        key.sign(&possession_digest(
            &chain.id,
            &address,
            nonce,
            &key.public(),
        ))
    };
    TxBody::RegisterValidator(RegisterValidator {
        moniker: moniker.to_owned(),
        consensus_pk: consensus.public(),
        session_pk: session.public(),
        consensus_proof: proof(consensus),
        session_proof: proof(session),
        peer_id: crate::peer_id::of(&peer.public()),
        self_bond: Amount(self_bond),
    })
}

/// Says what is at stake and, unless told `--yes`, asks.
fn warn(context: &Context, chain: &Chain, self_bond: u64, yes: bool) -> Result<()> {
    use std::io::IsTerminal as _;
    let params = &chain.genesis.params;
    context.output.progress(&format!(
        "bond {}; double signing costs 5 % and ends the validator; a wrong result costs the seat bond \
         or 5 %, and jail; unbonding takes {} blocks",
        pal(self_bond), params.unbonding_blocks
    ));
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        refuse!("api.bad_request", "not a terminal: say --yes");
    }
    context.output.progress("type yes to go on:");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() != "yes" {
        refuse!("api.bad_request", "not confirmed; nothing was sent");
    }
    Ok(())
}

fn status(context: &Context, node: &Resolved, id: Option<&str>) -> Result<Exit> {
    let status = node.api.get("/v1/status")?;
    let id = match id.or_else(|| status["validator"].as_str()) {
        Some(id) => id.to_owned(),
        None => {
            return Err(Problem::new(
                "check.registered",
                "this node's keys belong to no validator",
            )
            .exit(Exit::NotFound)
            .into());
        }
    };
    let mut value = node.api.get(&format!("/v1/validators/{id}"))?;
    value["schema"] = json!("palisade.validator-status/1");
    value["next"] = json!(next(&value, number(&status, "height")));
    context.output.document(&value, || pairs(&value));
    Ok(Exit::Ok)
}

fn next(validator: &Value, height: u64) -> String {
    let until = number(validator, "jailed_until");
    match text(validator, "state") {
        "tombstoned" => "never: tombstoned".to_owned(),
        "jailed" if until > height => {
            format!(
                "can unjail at height {until} (in {} blocks)",
                until - height
            )
        }
        "jailed" => "palisade validator unjail".to_owned(),
        "candidate" => "wait for the activation delay".to_owned(),
        "unbonding" => "nothing: matured stake pays itself".to_owned(),
        _ => "palisade status --check".to_owned(),
    }
}
