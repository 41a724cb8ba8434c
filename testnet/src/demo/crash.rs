//! Fact 4: a validator killed at any moment comes back, catches up, and has signed nothing twice.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::stage::Stage;
use super::{Finding, NAMES};
use crate::client::{list, number};
use crate::supervisor::{Fault, Request};

const VICTIM: &str = "carol";
const OTHERS: [&str; 3] = ["alice", "bob", "mallory"];
/// Heights the others commit without her.
const WITHOUT: u64 = 5;

pub(super) fn check(stage: &Stage) -> Finding {
    let killed_at = number(&stage.api().get("/v1/status")?, "height")?;
    let nodes = vec![VICTIM.to_owned()];
    stage.net.ask(&Request::Fault {
        kind: Fault::Kill,
        nodes: nodes.clone(),
    })?;
    stage.wait(
        "heights without the killed node",
        Duration::from_secs(25),
        || {
            let heights = stage.heights(&OTHERS)?;
            heights
                .iter()
                .all(|height| *height >= killed_at + WITHOUT)
                .then_some(())
        },
    )?;
    let restarted_at = number(&stage.api().get("/v1/status")?, "height")?;
    stage.net.ask(&Request::Fault {
        kind: Fault::Resume,
        nodes,
    })?;
    let caught_up_at = stage.wait("the killed node's return", Duration::from_secs(15), || {
        let heights = stage.heights(&NAMES)?;
        let least = heights.iter().min().copied()?;
        (least > restarted_at).then_some(least)
    })?;
    for height in [killed_at, restarted_at, caught_up_at] {
        stage.common_block(height, &NAMES)?;
    }
    let evidence = stage.api().get("/v1/evidence")?;
    ensure!(
        list(&evidence, "evidence")?.is_empty(),
        "evidence after a crash: {evidence}"
    );
    let detail = format!(
        "{VICTIM} killed at {killed_at}, back at {restarted_at}, level at {caught_up_at}, no double sign"
    );
    let data = json!({
        "node": VICTIM, "killed_at": killed_at, "restarted_at": restarted_at,
        "caught_up_at": caught_up_at,
    });
    Ok((detail, data))
}
