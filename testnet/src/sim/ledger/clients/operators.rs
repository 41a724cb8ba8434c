//! What operators do: they add stake, take some back, and bring their validators out of jail.

use ledger::State;
use protocol::digest::ValidatorId;
use protocol::tx::{Bond, TxBody, Unbond, Unjail, heartbeat_digest};
use protocol::units::Amount;

use super::super::shared::Shared;
use crate::sim::app::Cx;
use crate::sim::keys::Purpose;

fn send(shared: &mut Shared, cx: &mut Cx<'_>, member: usize, body: TxBody) {
    let state = &shared.newest;
    let wallet = shared.clients.operators.get_mut(member);
    if let Some(bytes) = wallet.and_then(|wallet| wallet.sign(state, Amount(500), body)) {
        super::submit(cx, &bytes);
    }
}

/// The set that would stand if a validator's stake were another one.
fn standing_with(state: &State, id: ValidatorId, stake: u64) -> Vec<(ValidatorId, u64)> {
    let standing = state.standing(state.height().next());
    standing
        .into_iter()
        .map(|(other, amount)| (other, if other == id { stake } else { amount.0 }))
        .collect()
}

pub(super) fn bond(shared: &mut Shared, cx: &mut Cx<'_>, member: usize, pal: u64) {
    let amount = Amount::pal(pal);
    let (state, id) = (&shared.newest, shared.world.validators[member]);
    let Some(row) = state.validators.get(&id) else {
        return;
    };
    let stake = row.bonded.saturating_add(amount);
    let after = standing_with(state, id, stake.0);
    if shared.world.is_safe(after) {
        send(shared, cx, member, TxBody::Bond(Bond { amount }));
    }
}

pub(super) fn unbond(shared: &mut Shared, cx: &mut Cx<'_>, member: usize, permille: u64) {
    let (state, id) = (&shared.newest, shared.world.validators[member]);
    let Some(row) = state.validators.get(&id) else {
        return;
    };
    let amount = row.bonded.share(permille, 1_000);
    let after = standing_with(state, id, row.bonded.saturating_sub(amount).0);
    if shared.world.is_safe(after) {
        send(shared, cx, member, TxBody::Unbond(Unbond { amount }));
    }
}

/// Some stake comes or goes with every height; now and then so much that a member leaves the set.
pub(in super::super) fn shift(shared: &mut Shared, cx: &mut Cx<'_>) {
    for _ in 0..2 {
        let member = cx.rng().index(shared.world.validators.len());
        if cx.rng().chance(600) {
            let pal = cx.rng().between(1, 5);
            bond(shared, cx, member, pal);
        } else {
            let most = if cx.rng().chance(100) { 1_000 } else { 30 };
            let permille = cx.rng().between(1, most);
            unbond(shared, cx, member, permille);
        }
    }
}

/// A little more than the fee: who has bonded all but less stays in jail.
const UNJAIL_COSTS: Amount = Amount(5_000);

/// Whoever has served a jail term comes back.
pub(super) fn tick(shared: &mut Shared, cx: &mut Cx<'_>) {
    let state = shared.newest.clone();
    let (height, block) = (state.height(), state.head().block);
    for member in 0..shared.world.validators.len() {
        let id = shared.world.validators[member];
        let jailed = state.validators.get(&id).filter(|row| row.exit.is_none());
        let served = jailed
            .and_then(|row| row.jail)
            .is_some_and(|jail| jail.until <= height.next());
        let enough = jailed.is_some_and(|row| row.bonded >= state.params().self_bond_min);
        let wallet = &mut shared.clients.operators[member];
        let idle = wallet.waiting(&state).is_empty();
        let pays = state.account(&wallet.address()).balance >= UNJAIL_COSTS;
        if !served || !enough || !idle || !pays || height.0 == 0 {
            continue;
        }
        let digest = heartbeat_digest(&state.chain_id(), &id, &block);
        let beat = |purpose| cx.keys().secret(purpose, member).sign(&digest);
        let body = TxBody::Unjail(Unjail {
            height,
            block,
            consensus_heartbeat: beat(Purpose::Consensus),
            session_heartbeat: beat(Purpose::Session),
        });
        send(shared, cx, member, body);
    }
}
