//! The node's own metrics: the API, the checks, and what the ledger says about money.

use std::time::Duration;

use actors::snapshot::Snapshot;
use actors::supervisor::HaltReason;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use super::checks::{Report, disk_free, disk_size};
use super::routes::ROWS;
use super::shared::Shared;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    requests: IntCounterVec,
    seconds: HistogramVec,
    streams: IntGauge,
    /// Requests turned away for going too fast.
    pub(crate) throttled: IntCounterVec,
    /// Handlers that panicked.
    pub(crate) panics: IntCounter,
    checks: IntGaugeVec,
    sync: IntGaugeVec,
    halted: IntGaugeVec,
    chain: IntGaugeVec,
    block_time: Gauge,
    validators: IntGaugeVec,
    stake: GaugeVec,
    escrow: Gauge,
    supply_ok: IntGauge,
    disk_free: Gauge,
    disk_size: Gauge,
    missed: IntGauge,
}

const SYNC_STATES: [&str; 3] = ["synced", "syncing", "stalled"];
const VALIDATOR_STATES: [&str; 6] = [
    "active",
    "jailed",
    "tombstoned",
    "gone",
    "activating",
    "below_min_bond",
];

fn vec(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntGaugeVec> {
    let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Gauge> {
    let made = Gauge::new(name, help)?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

fn int_gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let made = IntGauge::new(name, help)?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let made = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(made.clone()))?;
    Ok(made)
}

impl Meters {
    /// Registers them; every counter exists at zero from the start.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let seconds = HistogramVec::new(
            HistogramOpts::new("palisade_http_request_seconds", "Time to answer a request"),
            &["route"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let panics = IntCounter::new("palisade_http_panics_total", "Handlers that panicked")?;
        registry.register(Box::new(panics.clone()))?;
        let build = vec(registry, "palisade_build_info", "This binary", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let meters = Self {
            requests: counters(
                registry,
                "palisade_http_requests_total",
                "Requests answered",
                &["method", "route", "status_class"],
            )?,
            seconds,
            streams: int_gauge(registry, "palisade_http_sse_clients", "Event streams open")?,
            throttled: counters(
                registry,
                "palisade_http_throttled_total",
                "Requests turned away for going too fast",
                &["route"],
            )?,
            panics,
            checks: vec(
                registry,
                "palisade_check_ok",
                "Checks of `palisade status`",
                &["scope", "check"],
            )?,
            sync: vec(
                registry,
                "palisade_sync_state",
                "1 for the present state",
                &["state"],
            )?,
            halted: vec(
                registry,
                "palisade_halted",
                "1 for the reason this node halted",
                &["reason"],
            )?,
            chain: vec(
                registry,
                "palisade_chain_info",
                "Which chain and role",
                &["chain_name", "chain_id", "role"],
            )?,
            block_time: gauge(
                registry,
                "palisade_chain_block_time_seconds",
                "The chain's block interval",
            )?,
            validators: vec(
                registry,
                "palisade_staking_validators",
                "Validators by state",
                &["state"],
            )?,
            stake: GaugeVec::new(
                Opts::new("palisade_staking_stake_upal", "Bonded stake by state"),
                &["state"],
            )?,
            escrow: gauge(
                registry,
                "palisade_escrow_locked_upal",
                "Money held in escrow",
            )?,
            supply_ok: int_gauge(
                registry,
                "palisade_economy_supply_invariant_ok",
                "1 if all money is accounted for",
            )?,
            disk_free: gauge(
                registry,
                "palisade_storage_disk_free_bytes",
                "Free space of the data volume",
            )?,
            disk_size: gauge(
                registry,
                "palisade_storage_disk_size_bytes",
                "Size of the data volume",
            )?,
            missed: int_gauge(
                registry,
                "palisade_validator_missed_recent",
                "Recent blocks without this node's signature",
            )?,
        };
        registry.register(Box::new(meters.stake.clone()))?;
        for reason in HaltReason::ALL {
            meters.halted.with_label_values(&[reason.name()]);
        }
        for row in ROWS {
            meters.throttled.with_label_values(&[row.path]);
            meters
                .requests
                .with_label_values(&[row.method.as_str(), row.path, "2xx"]);
        }
        Ok(meters)
    }

    /// Counts an answered request.
    pub(crate) fn request(&self, method: &str, route: &'static str, status: u16, took: Duration) {
        const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
        let method = METHODS
            .into_iter()
            .find(|known| *known == method)
            .unwrap_or("other");
        let class = match status {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests
            .with_label_values(&[method, route, class])
            .inc();
        self.seconds
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }

    /// Says why the node halted, for the scrapes that are left.
    pub(crate) fn halt(&self, reason: &str) {
        self.halted.with_label_values(&[reason]).set(1);
    }

    /// Brings the gauges up to date.
    pub(crate) fn observe(&self, shared: &Shared, snapshot: &Snapshot, report: &Report) {
        for (scope, check, ok) in report.states() {
            self.checks
                .with_label_values(&[scope, check])
                .set(i64::from(ok));
        }
        for state in SYNC_STATES {
            self.sync
                .with_label_values(&[state])
                .set(i64::from(report.sync["state"] == state));
        }
        let role = format!("{:?}", shared.config.node.role).to_lowercase();
        let id = shared.chain.id.to_string();
        self.chain
            .with_label_values(&[shared.chain.genesis.chain_name.as_str(), &id, &role])
            .set(1);
        self.block_time
            .set(upal(shared.chain.genesis.params.block_interval_ms.0) / 1000.0);
        self.streams
            .set(i64::try_from(shared.buckets.streams()).unwrap_or(i64::MAX));
        self.money(snapshot);
        if let Some(bytes) = disk_free(&shared.host.data) {
            self.disk_free.set(upal(bytes));
        }
        if let Some(bytes) = disk_size(&shared.host.data) {
            self.disk_size.set(upal(bytes));
        }
        if let Some(key) = shared.node.consensus_key() {
            let missed = shared.history.missed_recently(&key, 100);
            self.missed.set(i64::try_from(missed).unwrap_or(i64::MAX));
        }
    }

    fn money(&self, snapshot: &Snapshot) {
        let state = &snapshot.state;
        let min = state.params().self_bond_min;
        for name in VALIDATOR_STATES {
            let of =
                |row: &ledger::staking::Validator| row.state_name(snapshot.height, min) == name;
            let rows = state.validators.iter().filter(|(_, row)| of(row));
            let (count, stake) = rows.fold((0, 0_u64), |(count, stake), (_, row)| {
                (count + 1, stake.saturating_add(row.bonded.0))
            });
            self.validators.with_label_values(&[name]).set(count);
            self.stake.with_label_values(&[name]).set(upal(stake));
        }
        let held = state.jobs.iter().fold(0_u64, |sum, (_, job)| {
            sum.saturating_add(job.amounts.held.0)
        });
        self.escrow.set(upal(held));
        let whole = state
            .total_money()
            .is_ok_and(|total| total == state.pools().supply);
        self.supply_ok.set(i64::from(whole));
    }
}

/// A float is exact enough for graphs, and for nothing else.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn upal(amount: u64) -> f64 {
    amount as f64
}
