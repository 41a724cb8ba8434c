//! `testnet fault` and `testnet byzantine`.

use anyhow::Result;
use serde_json::json;

use super::{duration, print};
use crate::byzantine::NAMES;
use crate::cli::{Context, FaultKind, Which};
use crate::error::CommandError;
use crate::expect::nearest;
use crate::files::NetDir;
use crate::net::Net;
use crate::supervisor::{Fault, NodeReport, NodeState, Request};

pub(crate) fn fault(
    which: &Which,
    kind: FaultKind,
    nodes: &[String],
    undo_after: Option<&str>,
    context: &Context<'_>,
) -> Result<()> {
    let net = Net::open(NetDir::of(&which.name)?)?;
    for node in nodes {
        known(&net, node)?;
    }
    let kind = match kind {
        FaultKind::Kill => Fault::Kill,
        FaultKind::Pause => Fault::Pause,
        FaultKind::Resume => Fault::Resume,
        FaultKind::Restart => Fault::Restart,
    };
    let undo = undo_after.map(|text| duration("--for", text)).transpose()?;
    if kind == Fault::Pause {
        pausable(&net, nodes)?;
    }
    let mut reports = net.ask(&Request::Fault {
        kind,
        nodes: nodes.to_vec(),
    })?;
    if let (Some(time), Fault::Kill | Fault::Pause) = (undo, kind) {
        // The fault lasts for a time by definition; nothing is waited for.
        std::thread::sleep(time);
        reports = net.ask(&Request::Fault {
            kind: Fault::Resume,
            nodes: nodes.to_vec(),
        })?;
    }
    let document = json!({ "schema": "palisade.testnet-fault/1", "kind": kind, "nodes": reports });
    print(context, &document, || {
        let row = |node: &NodeReport| {
            format!(
                "{:<8} {:?}, {} restarts",
                node.name, node.state, node.restarts
            )
        };
        reports.iter().map(row).collect::<Vec<_>>().join("\n")
    })
}

pub(crate) fn byzantine(
    which: &Which,
    node: &str,
    profile: &str,
    from_height: u64,
    context: &Context<'_>,
) -> Result<()> {
    if NAMES.is_empty() {
        return Err(CommandError::left_out("`testnet byzantine`").into());
    }
    let net = Net::open(NetDir::of(&which.name)?)?;
    known(&net, node)?;
    let wanted = (profile != "off").then_some(profile);
    if wanted.is_some_and(|profile| !NAMES.contains(&profile)) {
        let near = nearest(profile, NAMES.iter().copied())
            .map_or_else(String::new, |n| format!(" Meant `{n}`?"));
        let hint = format!("there are {} and off", NAMES.join(", "));
        let detail = format!("no profile `{profile}`.{near}");
        return Err(CommandError::config(detail, hint).into());
    }
    net.nodes()?;
    if wanted.is_some() {
        net.add_liar(node)?;
    }
    crate::admin::set_byzantine(&net.dir.home(node), wanted, from_height)?;
    let document = json!({
        "schema": "palisade.testnet-byzantine/1", "node": node, "profile": wanted,
        "from_height": from_height,
    });
    print(context, &document, || {
        format!("{node}: {}", wanted.unwrap_or("honest again"))
    })
}

/// A process that is not there cannot be stopped.
fn pausable(net: &Net, nodes: &[String]) -> Result<()> {
    let ended = net.nodes()?.into_iter().find(|report| {
        nodes.contains(&report.name)
            && !matches!(report.state, NodeState::Running | NodeState::Paused)
    });
    let Some(NodeReport { name, state, .. }) = ended else {
        return Ok(());
    };
    let detail = format!("{name} has no process to pause: {}", state.name());
    let hint = format!("`palisade testnet fault resume {name}` starts it");
    Err(CommandError::unavailable(detail, hint).into())
}

fn known(net: &Net, node: &str) -> Result<()> {
    if net.plan.node(node).is_some() {
        return Ok(());
    }
    let hint = format!("there are {}", net.plan.names().join(", "));
    Err(CommandError::not_found(format!("no node `{node}`"), hint).into())
}
