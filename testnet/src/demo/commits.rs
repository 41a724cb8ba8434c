//! Fact 1: four validators have one block at one height.

use std::time::Duration;

use serde_json::json;

use super::stage::Stage;
use super::{Finding, NAMES};

const HEIGHT: u64 = 3;

pub(super) fn check(stage: &Stage) -> Finding {
    stage.wait(
        "a third block on every node",
        Duration::from_secs(20),
        || {
            let heights = stage.heights(&NAMES)?;
            heights.iter().all(|height| *height >= HEIGHT).then_some(())
        },
    )?;
    let block = stage.common_block(HEIGHT, &NAMES)?;
    let detail = format!(
        "four validators agree on block {} at height {HEIGHT}",
        &block[..12]
    );
    Ok((
        detail,
        json!({ "height": HEIGHT, "block_id": block, "nodes": NAMES }),
    ))
}
