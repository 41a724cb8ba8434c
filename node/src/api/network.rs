//! The network as this node sees it: how it is connected, to whom, and whose votes it hears first hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::digest::ValidatorId;
use protocol::validators::{ValidatorEntry, ValidatorSet};
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::shared::Shared;
use crate::problem::Problem;

/// Releases named in an answer: agents are strangers' text, and there could be as many as peers.
const AGENTS_MAX: usize = 16;

/// GET /v1/network
pub(crate) fn network(shared: &Arc<Shared>, _: &Call) -> Result<Answer, Problem> {
    let view = shared.node.network();
    let snapshot = shared.snapshot();
    let highest = view.peers.iter().map(|peer| peer.tip.height.0).max();
    let count =
        |keep: &dyn Fn(&net::PeerRow) -> bool| view.peers.iter().filter(|p| keep(p)).count();
    let kept_back = |standing: &str| count(&|peer| peer.standing == standing);
    let speaks_for = view.peers.iter().filter_map(|peer| peer.validator);
    let own = shared.validator(&snapshot);
    Ok(Answer::Json(json!({
        "schema": "palisade.network/1",
        "chain_id": shared.chain.id.to_string(),
        "chain_name": shared.chain.genesis.chain_name,
        "peer_id": shared.peer_id,
        "role": format!("{:?}", shared.config.node.role).to_lowercase(),
        "height": snapshot.height.0,
        "highest": highest.unwrap_or(0).max(snapshot.height.0),
        "peers": {
            "total": view.peers.len(),
            "inbound": count(&|peer| peer.direction == net::Direction::Inbound),
            "outbound": count(&|peer| peer.direction == net::Direction::Outbound),
            "muted": kept_back("muted"),
            "quarantined": kept_back("quarantined"),
        },
        "validators": reached(&snapshot.next_set(), own.into_iter().chain(speaks_for)),
        "bans": view.bans.len(),
        "agents": agents(view.peers.iter().map(|peer| peer.agent.as_str())),
    })))
}

/// Of the next height's set, whose node this one is or is connected to. Blocks and votes of the others
/// come by way of these.
fn reached(set: &ValidatorSet, ids: impl Iterator<Item = ValidatorId>) -> Value {
    let ids: Vec<ValidatorId> = ids.collect();
    let (near, far): (Vec<&ValidatorEntry>, Vec<&ValidatorEntry>) =
        set.members().iter().partition(|m| ids.contains(&m.id));
    let power = near
        .iter()
        .fold(0_u64, |sum, m| sum.saturating_add(m.power));
    let far: Vec<String> = far.iter().map(|member| member.id.to_text()).collect();
    json!({
        "total": set.len(), "reached": near.len(), "not_reached": far,
        "reached_power": power.to_string(), "total_power": set.total_power().to_string(),
    })
}

/// How many peers call themselves what, the most frequent first.
fn agents<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Value> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut rows: Vec<(&str, usize)> = counts.into_iter().collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    rows.truncate(AGENTS_MAX);
    let row = |(name, count): (&str, usize)| json!({"agent": name, "peers": count});
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use protocol::digest::Digest;
    use protocol::keys::SecretKey;

    use super::*;

    #[test]
    fn validators_are_reached_or_named() {
        let id = |n: u8| ValidatorId(Digest([n; 32]));
        let entry = |n: u8| ValidatorEntry {
            id: id(n),
            consensus_key: SecretKey::from_bytes(&[n; 32]).unwrap().public(),
            power: u64::from(n) * 10,
        };
        let set = ValidatorSet::new(vec![entry(1), entry(2), entry(3)]);
        // A validator that is in no set any more, and one that speaks through two peers.
        let found = reached(&set, [id(1), id(9), id(3), id(3)].into_iter());
        assert_eq!((&found["total"], &found["reached"]), (&json!(3), &json!(2)));
        assert_eq!(found["not_reached"], json!([id(2).to_text()]));
        assert_eq!(
            (&found["reached_power"], &found["total_power"]),
            (&json!("40"), &json!("60"))
        );
        let alone = reached(&ValidatorSet::default(), std::iter::empty());
        assert_eq!(
            (&alone["total"], &alone["not_reached"]),
            (&json!(0), &json!([]))
        );
    }

    #[test]
    fn agents_are_counted_and_bounded() {
        let found = agents(["a", "b", "b"].into_iter());
        let expected = json!([{"agent": "b", "peers": 2}, {"agent": "a", "peers": 1}]);
        assert_eq!(json!(found), expected);
        let many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(agents(many.iter().map(String::as_str)).len(), AGENTS_MAX);
    }
}
