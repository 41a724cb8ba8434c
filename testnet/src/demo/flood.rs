//! Fact 6: a peer that floods is limited, then banned, and finality goes on.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::stage::Stage;
use super::{Finding, NAMES};
use crate::client::{Api, list};
use crate::flooder::Flooder;

/// Heights that must pass meanwhile.
const HEIGHTS: u64 = 5;
/// A flood this long that bans nobody is a failure.
const FLOOD_MAX: Duration = Duration::from_secs(25);

pub(super) fn check(stage: &Stage) -> Finding {
    let before = stage.api().height()?;
    let limited_before = rate_limited(stage)?;
    let flooder = Flooder::start(&stage.net)?;
    stage.wait(
        "connections of the flooder",
        Duration::from_secs(10),
        || (flooder.connections() == NAMES.len()).then_some(()),
    )?;
    let stop = AtomicBool::new(false);
    let limit = FLOOD_MAX.min(stage.deadline.left());
    let (sent, banned) = std::thread::scope(|scope| -> Result<_> {
        let pouring = scope.spawn(|| flooder.pour(limit, &stop));
        let banned = stage.wait("a ban on every node", limit, || {
            let all = NAMES
                .iter()
                .all(|name| bans(stage, name).is_ok_and(|b| b.contains(&flooder.peer_id())));
            all.then_some(())
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let sent = pouring
            .join()
            .map_err(|_| anyhow::anyhow!("the flood panicked"))?;
        Ok((sent, banned))
    })?;
    banned.with_context(|| format!("{sent} messages sent"))?;
    for name in NAMES {
        let others: Vec<String> = bans(stage, name)?
            .into_iter()
            .filter(|id| *id != flooder.peer_id())
            .collect();
        ensure!(others.is_empty(), "{name} banned honest peers: {others:?}");
    }
    stage.wait("heights during the flood", Duration::from_secs(10), || {
        let heights = stage.heights(&NAMES)?;
        heights
            .iter()
            .all(|height| *height >= before + HEIGHTS)
            .then_some(())
    })?;
    let limited = rate_limited(stage)?.saturating_sub(limited_before);
    ensure!(limited > 0, "no node counted a rate limit");
    let detail = format!("{sent} messages sent, {limited} over quota, banned by all four nodes");
    let data = json!({
        "peer_id": flooder.peer_id(), "sent": sent, "rate_limited": limited, "banned_by": NAMES,
    });
    Ok((detail, data))
}

fn bans(stage: &Stage, node: &str) -> Result<Vec<String>> {
    let peers = stage.api_of(node)?.get("/v1/peers")?;
    let id = |ban: &Value| ban["peer_id"].as_str().map(str::to_owned);
    Ok(list(&peers, "bans")?.iter().filter_map(id).collect())
}

/// What all nodes counted as over a quota, from their metrics.
fn rate_limited(stage: &Stage) -> Result<u64> {
    let mut total = 0;
    for report in stage.net.nodes()? {
        let (base, path) = report.metrics.rsplit_once('/').context("no metrics")?;
        let page = Api::new(base).text(&format!("/{path}"))?;
        let counts = page
            .lines()
            .filter(|line| line.starts_with("palisade_p2p_rate_limited_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        total += counts.sum::<u64>();
    }
    Ok(total)
}
