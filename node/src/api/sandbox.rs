//! The sandbox of this node: what it keeps out, and how runs have ended.

use std::sync::Arc;

use prometheus::proto::MetricFamily;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Call;
use super::shared::Shared;
use crate::problem::Problem;

/// Ends that are somebody's word rather than the sandbox's.
const NOT_KILLS: [&str; 5] = [
    "exited",
    "signaled",
    "cancelled",
    "setup_failed",
    "launcher_lost",
];

/// GET /v1/sandbox
pub(crate) fn sandbox(shared: &Arc<Shared>, _: &Call) -> Result<Answer, Problem> {
    let metrics = shared.registry.gather();
    let (ended, kills) = outcomes(&metrics);
    let running = gauge(&metrics, "palisade_sandbox_running");
    Ok(Answer::Json(json!({
        "schema": "palisade.sandbox/1",
        "tier": shared.host.tier,
        "open": shared.host.closed.is_none(),
        "closed_because": shared.host.closed,
        "runs_models": shared.host.unfit.is_none(),
        "unfit_because": shared.host.unfit,
        "waived": shared.config.sandbox.allow_degraded,
        "quiet": shared.quiet.load(std::sync::atomic::Ordering::SeqCst),
        "slots": shared.node.slots(),
        "running": running,
        "ended": ended,
        "kills": kills,
    })))
}

/// How many runs ended how since the node began, and how many of them the sandbox ended, by cause.
fn outcomes(metrics: &[MetricFamily]) -> (Value, Value) {
    let (mut ended, mut kills) = (Map::new(), Map::new());
    for metric in of_name(metrics, "palisade_sandbox_executions_total") {
        let count = json!(whole(metric.get_counter().get_value()));
        for label in metric.get_label() {
            if !NOT_KILLS.contains(&label.value()) {
                kills.insert(label.value().to_owned(), count.clone());
            }
            ended.insert(label.value().to_owned(), count.clone());
        }
    }
    (ended.into(), kills.into())
}

fn gauge(metrics: &[MetricFamily], name: &str) -> u64 {
    let found = of_name(metrics, name).next();
    found.map_or(0, |metric| whole(metric.get_gauge().get_value()))
}

fn of_name<'a>(
    metrics: &'a [MetricFamily],
    name: &str,
) -> impl Iterator<Item = &'a prometheus::proto::Metric> {
    let families = metrics.iter().filter(move |family| family.name() == name);
    families.flat_map(MetricFamily::get_metric)
}

/// Counts are kept as floats, and are whole.
fn whole(value: f64) -> u64 {
    format!("{value:.0}").parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

    use super::*;

    #[test]
    fn kills_are_the_ends_that_the_sandbox_made() {
        let registry = Registry::new();
        let name = "palisade_sandbox_executions_total";
        let runs = IntCounterVec::new(Opts::new(name, "Runs"), &["outcome"]).unwrap();
        registry.register(Box::new(runs.clone())).unwrap();
        let running = IntGauge::new("palisade_sandbox_running", "Runs").unwrap();
        registry.register(Box::new(running.clone())).unwrap();
        for (outcome, count) in [("exited", 7), ("memory_limit", 2), ("cancelled", 1)] {
            runs.with_label_values(&[outcome]).inc_by(count);
        }
        running.set(3);
        let metrics = registry.gather();
        let (ended, kills) = outcomes(&metrics);
        assert_eq!(
            ended,
            json!({"exited": 7, "memory_limit": 2, "cancelled": 1})
        );
        assert_eq!(kills, json!({"memory_limit": 2}));
        assert_eq!(gauge(&metrics, "palisade_sandbox_running"), 3);
        assert_eq!(gauge(&metrics, "palisade_sandbox_walking"), 0);
    }
}
