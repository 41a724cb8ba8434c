//! What execution does: starts and stops runs, makes commits durable, signs what seats say.

use std::fmt;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use protocol::digest::{Digest, ValidatorId, sha256};
use protocol::job::{DeclineReason, SeatRef};
use protocol::keys::PublicKey;
use protocol::units::Height;
use storage::blobs::BlobError;
use storage::sign::commits::SeatKey;

use crate::audit::{AuditTrail, actor_id, note};
use crate::catalogue::{ExecutionMail, JobsMail};
use crate::duties::Duties;
use crate::engine::RunEnd;
use crate::engine::slots::Slots;
use crate::execution::workflow::Intent;
use crate::mailbox::Outbox;
use crate::snapshot::Snapshot;
use crate::tamper::SeatResult;

/// How runs end, as the sandbox names it.
const OUTCOMES: [&str; 12] = [
    "exited",
    "signaled",
    "wall_timeout",
    "cpu_timeout",
    "memory_limit",
    "output_limit",
    "pids_limit",
    "file_size_limit",
    "seccomp_violation",
    "cancelled",
    "setup_failed",
    "launcher_lost",
];

/// Metrics of the execution actor.
#[derive(Clone, Debug)]
pub(crate) struct ExecutionMetrics {
    executions: IntCounterVec,
    seconds: Histogram,
    setup: Histogram,
    memory: Histogram,
    running: IntGauge,
    slots: IntGauge,
    tier: IntGaugeVec,
}

impl ExecutionMetrics {
    /// Registers the execution metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let histogram = |name, help, buckets: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
        };
        let mib = f64::from(1 << 20);
        let metrics = Self {
            executions: IntCounterVec::new(
                Opts::new(
                    "palisade_sandbox_executions_total",
                    "Runs, by how they ended",
                ),
                &["outcome"],
            )?,
            seconds: histogram(
                "palisade_sandbox_execution_seconds",
                "Elapsed time of a run",
                &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0],
            )?,
            setup: histogram(
                "palisade_sandbox_setup_seconds",
                "From the request to the program's first instruction",
                &[0.001, 0.002, 0.005, 0.01, 0.05, 0.5],
            )?,
            memory: histogram(
                "palisade_sandbox_peak_memory_bytes",
                "Most memory a run held at once",
                &[
                    16.0 * mib,
                    64.0 * mib,
                    128.0 * mib,
                    256.0 * mib,
                    512.0 * mib,
                ],
            )?,
            running: IntGauge::new("palisade_sandbox_running", "Runs under way")?,
            slots: IntGauge::new("palisade_sandbox_slots", "Runs possible at once")?,
            tier: IntGaugeVec::new(
                Opts::new("palisade_sandbox_tier", "1 for the protection in force"),
                &["tier"],
            )?,
        };
        let all: [Box<dyn Collector>; 7] = [
            Box::new(metrics.executions.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.setup.clone()),
            Box::new(metrics.memory.clone()),
            Box::new(metrics.running.clone()),
            Box::new(metrics.slots.clone()),
            Box::new(metrics.tier.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        for outcome in OUTCOMES {
            metrics.executions.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    pub(crate) fn host(&self, slots: usize, tier: &str) {
        self.slots.set(i64::try_from(slots).unwrap_or(i64::MAX));
        self.tier.with_label_values(&[tier]).set(1);
    }

    fn ended(&self, end: &RunEnd) {
        self.executions.with_label_values(&[end.outcome]).inc();
        self.seconds.observe(end.wall_seconds);
        self.setup.observe(end.setup_seconds);
        if let Ok(bytes) = u32::try_from(end.peak_memory_bytes >> 10) {
            self.memory.observe(f64::from(bytes) * 1_024.0);
        }
    }
}

/// What the execution actor acts with.
pub(crate) struct ExecutionEffects {
    pub(crate) session_key: Option<PublicKey>,
    pub(crate) slots: Slots,
    pub(crate) duties: Duties,
    pub(crate) own: Outbox<ExecutionMail>,
    pub(crate) jobs: Outbox<JobsMail>,
    pub(crate) audit: AuditTrail,
    pub(crate) metrics: ExecutionMetrics,
    pub(crate) height: Height,
}

impl fmt::Debug for ExecutionEffects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecutionEffects")
    }
}

impl ExecutionEffects {
    pub(crate) fn at(&mut self, height: Height) {
        self.height = height;
    }

    pub(crate) fn own(&self, snapshot: &Snapshot) -> Option<ValidatorId> {
        snapshot.session_holder(&self.session_key?)
    }

    /// Books a finished run; gives what to commit to, and the seat's salt.
    pub(crate) fn ended(
        &mut self,
        seat: &SeatRef,
        end: RunEnd,
        own: Option<&ValidatorId>,
    ) -> (Result<SeatResult, DeclineReason>, Digest) {
        let k = self.slots.ended(seat).unwrap_or(u16::MAX);
        self.count_running();
        self.metrics.ended(&end);
        let result = match (end.end, self.duties.tamper.at(self.height.next())) {
            (Ok(result), Some((tamper, _))) => Ok(tamper.result(seat, k, result)),
            (end, _) => end,
        };
        let root = result
            .as_ref()
            .map_or(Digest::ZERO, |result| result.result_root);
        let subject = format!("{} seat {} {}", seat.job, seat.seat, end.outcome);
        let body = sha256(format!("{} {}", root, end.tier).as_bytes());
        self.audit
            .record("execution", "sandbox_outcome", subject, body);
        let salt = own.map_or(Digest::ZERO, |own| self.duties.salt(seat, own));
        (result, salt)
    }

    fn count_running(&self) {
        self.metrics
            .running
            .set(i64::try_from(self.slots.running()).unwrap_or(i64::MAX));
    }

    pub(crate) fn perform(&mut self, intent: Intent) {
        match intent {
            Intent::Start(order) => {
                self.slots.start_run(order);
                self.count_running();
            }
            Intent::Stop(seat) => {
                self.slots.stop(&seat);
                self.count_running();
            }
            Intent::Mark { seat, commit } => self.mark(seat, commit),
            Intent::Submit { body, valid_until } => {
                self.duties.submit(body, valid_until, self.height);
            }
            Intent::PutBlob { seat, bytes } => self.store(seat, bytes),
            Intent::Finished { seat, digest } => {
                self.jobs.tell(JobsMail::Finished { seat, digest });
            }
            Intent::Again(order) => self.jobs.tell(JobsMail::Again(Box::new(order))),
            Intent::Note(height) => note(&self.duties.storage, actor_id::EXECUTION, height),
        }
    }

    /// The reveal waits for the answer; without one the workflow asks again at the next height.
    fn store(&self, seat: SeatRef, bytes: Vec<u8>) {
        let key = sha256(&bytes);
        let own = self.own.clone();
        let reply = Box::new(move |outcome: Result<(), BlobError>| match outcome {
            Ok(()) => own.tell(ExecutionMail::Stored(seat)),
            Err(error) => tracing::warn!(%key, %error, "output_not_stored"),
        });
        if let Err(error) = self.duties.storage.put_blob(key, bytes, reply) {
            tracing::warn!(%key, %error, "output_not_stored");
        }
    }

    /// The commit is durable before anybody hears of it; another one for the seat is refused.
    fn mark(&self, seat: SeatRef, commit: Digest) {
        let key = SeatKey {
            job: seat.job,
            attempt: seat.attempt,
            seat: seat.seat,
        };
        let own = self.own.clone();
        let reply = Box::new(move |outcome: Result<(), _>| {
            own.tell(ExecutionMail::Marked {
                seat,
                allowed: outcome.is_ok(),
            });
        });
        // The workflow asks again at the next height.
        if let Err(error) = self.duties.storage.mark(key, commit, reply) {
            tracing::warn!(%error, "commit_not_marked");
        }
    }
}
