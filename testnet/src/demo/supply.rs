//! Fact 7: no unit appeared or vanished, and every node has the same state.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::stage::Stage;
use super::{Finding, NAMES};
use crate::client::{number, text};

pub(super) fn check(stage: &Stage) -> Finding {
    let chain = stage.api().get("/v1/chain")?;
    let supply = number(&chain, "genesis_supply")?;
    for name in NAMES {
        let chain = stage.api_of(name)?.get("/v1/chain")?;
        let total = sum(&chain)?;
        ensure!(
            total == supply,
            "{name}: compartments hold {total} upal, genesis {supply}"
        );
    }
    let height = stage
        .heights(&NAMES)
        .and_then(|heights| heights.into_iter().min());
    let height = height.context("a node does not answer")?;
    let root = stage.wait("one state root", Duration::from_secs(5), || {
        let root = |name| -> Option<String> {
            let block = stage
                .api_of(name)
                .ok()?
                .get(&format!("/v1/blocks/{height}"))
                .ok()?;
            Some(text(&block, "state_root").ok()?.to_owned())
        };
        let roots: Option<Vec<String>> = NAMES.into_iter().map(root).collect();
        roots?
            .into_iter()
            .reduce(|a, b| if a == b { a } else { String::new() })
    })?;
    ensure!(!root.is_empty(), "state roots differ at height {height}");
    let detail = format!(
        "{supply} upal in all compartments, root {} on all nodes",
        &root[..12]
    );
    Ok((
        detail,
        json!({ "height": height, "state_root": root, "total": supply.to_string() }),
    ))
}

fn sum(chain: &Value) -> anyhow::Result<u64> {
    let parts = chain["compartments"]
        .as_object()
        .context("no compartments")?;
    parts.keys().try_fold(0_u64, |total, name| {
        total
            .checked_add(number(&chain["compartments"], name)?)
            .context("overflow")
    })
}
