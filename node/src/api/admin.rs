//! What only the node's own user may do, over the unix socket of its home.

use std::sync::Arc;
use std::time::Duration;

use net::PeerId;
use protocol::units::Height;
use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::call::Call;
use super::chain;
use super::shared::Shared;
use crate::problem::Problem;

type Now = Result<Answer, Problem>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Misdeed {
    profile: Option<String>,
    #[serde(default)]
    from_height: u64,
}

/// POST /v1/admin/byzantine: local chains only (the table says so).
pub(crate) fn byzantine(shared: &Arc<Shared>, call: &Call) -> Now {
    let wish: Misdeed = call.json()?;
    let profile = wish.profile.as_deref().filter(|name| *name != "off");
    shared
        .node
        .byzantine(profile.map(|name| (name, Height(wish.from_height))))
        .map_err(|error| Problem::new("api.bad_request", error))?;
    tracing::warn!(
        profile = profile.unwrap_or("off"),
        from = wish.from_height,
        "byzantine_switched"
    );
    Ok(Answer::Json(
        json!({"schema": "palisade.byzantine/1", "profile": shared.node.byzantine_profile()}),
    ))
}

/// POST /v1/admin/heartbeat: both hot keys sign that this node is alive, for an Unjail over the
/// newest block, and nothing else.
pub(crate) fn heartbeat(shared: &Arc<Shared>, _: &Call) -> Now {
    let none = || {
        Problem::new(
            "check.registered",
            "no validator has this node's keys, or no block yet",
        )
    };
    let beat = shared.node.heartbeat().ok_or_else(none)?;
    Ok(Answer::Json(json!({
        "schema": "palisade.heartbeat/1", "height": beat.height.0, "block": beat.block.to_string(),
        "consensus": hex::encode(beat.consensus.0), "session": hex::encode(beat.session.0),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quiet {
    on: bool,
}

/// POST /v1/admin/quiesce
pub(crate) fn quiesce(shared: &Arc<Shared>, call: &Call) -> Now {
    let wish: Quiet = call.json()?;
    shared.set_quiet(wish.on);
    Ok(Answer::Json(
        json!({"schema": "palisade.quiesce/1", "quiet": wish.on}),
    ))
}

/// GET /v1/admin/bans
pub(crate) fn bans(shared: &Arc<Shared>, _: &Call) -> Now {
    Ok(Answer::Json(
        json!({"schema": "palisade.bans/1", "bans": chain::bans(shared)}),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    peer_id: String,
}

fn peer_of(text: &str) -> Result<PeerId, Problem> {
    text.parse()
        .map_err(|_| Problem::new("api.bad_request", format!("{text:?} is no peer id")))
}

/// POST /v1/admin/bans
pub(crate) fn ban(shared: &Arc<Shared>, call: &Call) -> Now {
    let wish: Ban = call.json()?;
    let peer = peer_of(&wish.peer_id)?;
    shared
        .node
        .net()
        .ban(peer)
        .map_err(|error| Problem::new("api.overloaded", error))?;
    Ok(Answer::Accepted(
        json!({"schema": "palisade.ban/1", "peer_id": wish.peer_id}),
    ))
}

/// DELETE /v1/admin/bans/{id}
pub(crate) fn unban(shared: &Arc<Shared>, call: &Call) -> Now {
    let peer = peer_of(call.place(0))?;
    shared
        .node
        .net()
        .unban(peer)
        .map_err(|error| Problem::new("api.overloaded", error))?;
    Ok(Answer::Accepted(
        json!({"schema": "palisade.ban/1", "peer_id": peer.to_string()}),
    ))
}

/// An answer to a ping is expected within this time.
pub(crate) const PING_TIME: Duration = Duration::from_secs(5);
