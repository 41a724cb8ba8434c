//! The chain, its blocks, its validators, its peers.

use std::sync::Arc;

use ledger::staking::Validator;
use protocol::block::Block;
use protocol::digest::ValidatorId;
use protocol::units::{Amount, Height};
use protocol::vote::CommitCertificate;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Call;
use super::checks;
use super::shared::Shared;
use crate::history::Stored;
use crate::problem::{Problem, entry};

type Now = Result<Answer, Problem>;

/// GET /v1/status
pub(crate) fn status(shared: &Arc<Shared>, _: &Call) -> Now {
    let snapshot = shared.snapshot();
    let report = checks::report(shared, &snapshot);
    let validator = shared.validator(&snapshot).map(|id| {
        let row = snapshot.state.validators.get(&id);
        json!({
            "id": id.to_text(),
            "state": row.map(|row| state_of(row, &snapshot.state)),
            "stake": row.map(|row| row.bonded.to_string()),
        })
    });
    Ok(Answer::Json(json!({
        "schema": "palisade.status/1",
        "height": snapshot.height.0,
        "block_id": snapshot.block.to_string(),
        "state_root": snapshot.state.root().to_string(),
        "chain_id": shared.chain.id.to_string(),
        "chain_name": shared.chain.genesis.chain_name,
        "moniker": shared.config.node.moniker,
        "validator": validator.as_ref().map(|validator| validator["id"].clone()),
        "standing": validator,
        "peer_id": shared.peer_id,
        "signing": report.signing,
        "sync": report.sync,
        "can_earn": report.can_earn(),
        "votes": report.votes(),
        "seats": report.seats(),
        "reason": report.reason(),
        "checks": report.rows(),
        "sandbox": {"tier": shared.host.tier, "open": shared.host.closed.is_none()},
        "byzantine": shared.node.byzantine_profile(),
        "quiet": shared.quiet.load(std::sync::atomic::Ordering::SeqCst),
        "plain_off_loopback": shared.exposed,
        "version": env!("CARGO_PKG_VERSION"),
    })))
}

/// GET /v1/chain
pub(crate) fn chain(shared: &Arc<Shared>, _: &Call) -> Now {
    let snapshot = shared.snapshot();
    let state = &snapshot.state;
    let pools = state.pools();
    let sum = |amounts: &mut dyn Iterator<Item = Amount>| {
        amounts.fold(Amount::ZERO, Amount::saturating_add)
    };
    let parts = [
        (
            "balance",
            sum(&mut state.accounts.iter().map(|(_, row)| row.balance)),
        ),
        (
            "bonded",
            sum(&mut state.validators.iter().map(|(_, row)| row.bonded)),
        ),
        (
            "unbonding",
            sum(&mut state.unbonding.iter().map(|(_, row)| row.amount)),
        ),
        (
            "escrow",
            sum(&mut state.jobs.iter().map(|(_, row)| row.amounts.held)),
        ),
        ("fee_pool", pools.fee_pool),
        ("burned", pools.burned),
    ];
    let total = sum(&mut parts.iter().map(|(_, amount)| *amount));
    let compartments: Map<String, Value> = parts
        .iter()
        .map(|(name, amount)| ((*name).to_owned(), json!(amount.to_string())))
        .collect();
    Ok(Answer::Json(json!({
        "schema": "palisade.chain/1",
        "chain_id": shared.chain.id.to_string(),
        "chain_name": shared.chain.genesis.chain_name,
        "height": snapshot.height.0,
        "block_id": snapshot.block.to_string(),
        "state_root": state.root().to_string(),
        "genesis_supply": pools.supply.to_string(),
        "compartments": compartments,
        "total": total.to_string(),
    })))
}

/// GET /v1/chain/params
pub(crate) fn params(shared: &Arc<Shared>, _: &Call) -> Now {
    let params: Map<String, Value> = shared
        .chain
        .genesis
        .params
        .entries()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    Ok(Answer::Json(
        json!({"schema": "palisade.params/1", "params": params}),
    ))
}

/// GET /v1/genesis
pub(crate) fn genesis(shared: &Arc<Shared>, _: &Call) -> Now {
    let text = String::from_utf8_lossy(&shared.chain.bytes).into_owned();
    Ok(Answer::Text("application/toml", text))
}

/// GET /v1/problems/{code}
pub(crate) fn problem(_: &Arc<Shared>, call: &Call) -> Now {
    let code = call.place(0);
    let known = entry(code).ok_or_else(|| Problem::new("code.unknown", code))?;
    Ok(Answer::Json(json!({
        "schema": "palisade.explain/1", "code": known.code, "title": known.title,
        "hint": known.hint, "status": known.status, "exit_code": known.exit.code(),
    })))
}

/// A stored block, read where blocking is allowed.
async fn stored(shared: &Arc<Shared>, height: Height) -> Result<Stored, Problem> {
    let history = shared.history.clone();
    let read = tokio::task::spawn_blocking(move || history.block(height)).await;
    read.ok()
        .flatten()
        .ok_or_else(|| Problem::new("block.unknown", height))
}

/// GET /v1/blocks
pub(crate) async fn blocks(shared: Arc<Shared>, call: Call) -> Now {
    let tip = shared.snapshot().height;
    let before = match call.number("after", 0)? {
        0 => tip.0.saturating_add(1),
        after => after,
    };
    let mut rows = Vec::new();
    let lowest = before.saturating_sub(u64::try_from(call.limit()?).unwrap_or(20));
    for height in (lowest.max(1)..before).rev() {
        match stored(&shared, Height(height)).await {
            Ok(stored) => rows.push(block_json(&shared, &stored)),
            Err(_) => break,
        }
    }
    Ok(Answer::Json(
        json!({"schema": "palisade.blocks/1", "blocks": rows}),
    ))
}

/// GET /v1/blocks/{height}
pub(crate) async fn block(shared: Arc<Shared>, call: Call) -> Now {
    let height = Height(call.id::<u64>(0, "block.unknown")?);
    let found = stored(&shared, height).await?;
    if call.wants_bytes {
        return Ok(Answer::Bytes(found.block.to_bytes()));
    }
    Ok(Answer::Json(block_json(&shared, &found)))
}

/// GET /v1/blocks/{height}/certificate
pub(crate) async fn certificate(shared: Arc<Shared>, call: Call) -> Now {
    let height = Height(call.id::<u64>(0, "block.unknown")?);
    let found = stored(&shared, height).await?;
    if call.wants_bytes {
        return Ok(Answer::Bytes(protocol::codec::encode(&found.certificate)));
    }
    let signatures: Vec<Value> = found
        .certificate
        .signatures
        .iter()
        .map(|part| json!({"signer": part.signer.to_string(), "signature": hex::encode(part.signature.0)}))
        .collect();
    Ok(Answer::Json(json!({
        "schema": "palisade.certificate/1", "height": found.certificate.height.0,
        "round": found.certificate.round.0, "block": found.certificate.block.to_string(),
        "signatures": signatures,
    })))
}

fn block_json(shared: &Shared, stored: &Stored) -> Value {
    let Stored { block, certificate } = stored;
    let Block { header, body } = block;
    let txs: Vec<String> = body
        .0
        .iter()
        .filter_map(|bytes| {
            let signed = protocol::signed::Signed::<protocol::tx::Tx>::from_bytes(bytes).ok()?;
            Some(signed.tx_id(&shared.chain.id).to_string())
        })
        .collect();
    json!({
        "schema": "palisade.block/1",
        "height": header.height.0,
        "id": header.id().to_string(),
        "parent": header.parent.to_string(),
        "state_root": header.state_root.to_string(),
        "time_ms": header.time_ms.0,
        "builder": header.builder.to_text(),
        "round": certificate.round.0,
        "txs": txs,
        "signers": signers(shared, header.height, certificate),
    })
}

fn signers(shared: &Shared, height: Height, certificate: &CommitCertificate) -> Vec<String> {
    let snapshot = shared.snapshot();
    let set = shared.history.set(height);
    let id_of = |key: &protocol::keys::PublicKey| {
        let in_set = set
            .as_ref()
            .and_then(|set| set.get_by_key(key).map(|member| member.id));
        in_set.or_else(|| snapshot.state.key_holder(key))
    };
    certificate
        .signatures
        .iter()
        .filter_map(|part| id_of(&part.signer))
        .map(|id| id.to_text())
        .collect()
}

/// A validator's state in one word of the API: what the ledger distinguishes as waiting is a
/// candidate here, and whoever left is unbonding.
pub(crate) fn state_of(row: &Validator, state: &ledger::State) -> &'static str {
    match row.state_name(state.height(), state.params().self_bond_min) {
        "activating" | "below_min_bond" => "candidate",
        "gone" => "unbonding",
        other => other,
    }
}

/// GET /v1/validators
pub(crate) fn validators(shared: &Arc<Shared>, _: &Call) -> Now {
    let snapshot = shared.snapshot();
    let rows: Vec<Value> = snapshot
        .state
        .validators
        .iter()
        .map(|(id, row)| validator_json(id, row, &snapshot.state))
        .collect();
    Ok(Answer::Json(
        json!({"schema": "palisade.validators/1", "validators": rows}),
    ))
}

/// The validator that the path names: `palval1…` or hexadecimal.
pub(crate) fn validator_id(call: &Call) -> Result<ValidatorId, Problem> {
    let text = call.place(0);
    let id = ValidatorId::from_text(text)
        .ok()
        .or_else(|| text.parse().ok());
    id.ok_or_else(|| Problem::new("validator.unknown", text))
}

/// GET /v1/validators/{id}
pub(crate) fn validator(shared: &Arc<Shared>, call: &Call) -> Now {
    let id = validator_id(call)?;
    let snapshot = shared.snapshot();
    let row = snapshot.state.validators.get(&id);
    let row = row.ok_or_else(|| Problem::new("validator.unknown", call.place(0)))?;
    let mut value = validator_json(&id, row, &snapshot.state);
    let unbonding: Vec<Value> = snapshot
        .state
        .unbonding_of(&id)
        .map(|(_, entry)| json!({"amount": entry.amount.to_string(), "matures": entry.matures.0}))
        .collect();
    value["unbonding"] = json!(unbonding);
    value["schema"] = json!("palisade.validator/1");
    Ok(Answer::Json(value))
}

fn validator_json(id: &ValidatorId, row: &Validator, state: &ledger::State) -> Value {
    json!({
        "id": id.to_text(),
        "moniker": row.moniker,
        "operator": row.operator.to_string(),
        "state": state_of(row, state),
        "detail": row.state_name(state.height(), state.params().self_bond_min),
        "stake": row.bonded.to_string(),
        "jailed_until": row.jail.map(|jail| jail.until.0),
        "jail_cause": row.jail.map(|jail| jail.cause.name()),
        "misses": row.misses.count_ones(),
        "active_from": row.active_from.0,
        "seat_locked": row.seat_locked.to_string(),
        "peer_id": row.peer_id,
        "consensus_pk": row.consensus_pk.to_string(),
        "session_pk": row.session_pk.to_string(),
    })
}

/// GET /v1/peers: whole on loopback, without addresses elsewhere.
pub(crate) fn peers(shared: &Arc<Shared>, _: &Call) -> Now {
    let view = shared.node.network();
    let peers: Vec<Value> = view
        .peers
        .iter()
        .map(|row| {
            let address = (!shared.exposed).then(|| row.address.to_string());
            json!({
                "peer_id": row.peer.to_string(),
                "validator": row.validator.map(|id| id.to_text()),
                "role": format!("{:?}", row.role).to_lowercase(),
                "direction": format!("{:?}", row.direction).to_lowercase(),
                "score": row.score,
                "state": row.standing,
                "height": row.tip.height.0,
                "rate_limited": row.rate_limited,
                "agent": row.agent,
                "address": address,
            })
        })
        .collect();
    Ok(Answer::Json(json!({
        "schema": "palisade.peers/1", "peers": peers, "bans": bans(shared),
        "listening": view.listening.iter().filter(|_| !shared.exposed).map(ToString::to_string).collect::<Vec<_>>(),
    })))
}

/// Bans in force.
pub(crate) fn bans(shared: &Shared) -> Vec<Value> {
    let view = shared.node.network();
    view.bans
        .iter()
        .map(|ban| {
            json!({
                "peer_id": ban.peer.to_string(), "reason": ban.reason,
                "until": ban.until_ms, "level": ban.level,
            })
        })
        .collect()
}

/// GET /v1/audit/checkpoint
pub(crate) fn audit_checkpoint(shared: &Arc<Shared>, _: &Call) -> Now {
    let anchor = shared
        .node
        .storage()
        .audit_anchor()
        .map(|digest| digest.to_string());
    Ok(Answer::Json(
        json!({"schema": "palisade.audit-checkpoint/1", "anchor": anchor}),
    ))
}
