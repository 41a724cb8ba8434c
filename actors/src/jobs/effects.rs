//! What jobs does: fetches, hands over, gives up; and what it reads from the snapshot first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use protocol::digest::{Digest, JobId, ValidatorId};
use protocol::events::Event;
use protocol::job::SeatRef;
use protocol::keys::PublicKey;
use protocol::units::Height;
use storage::handle::StorageHandle;

use crate::audit::{actor_id, note};
use crate::catalogue::{DomainEvents, ExecutionMail};
use crate::duties::Duties;
use crate::execution::workflow::Order;
use crate::jobs::ahead::Expected;
use crate::jobs::fetches::Fetches;
use crate::jobs::orders::{self, Standing};
use crate::jobs::workflow::{Artifact, Intent};
use crate::mailbox::Outbox;
use crate::mempool::TakenJobs;
use crate::network::{PublicBlobs, file_of};
use crate::snapshot::Snapshot;

/// Metrics of the jobs actor.
#[derive(Clone, Debug)]
pub(crate) struct JobsMetrics {
    stages: IntCounterVec,
    settled: IntCounterVec,
    queue: IntGauge,
    past_deadline: IntGauge,
}

impl JobsMetrics {
    /// Registers the jobs metrics.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            stages: IntCounterVec::new(
                Opts::new("palisade_jobs_total", "Jobs that entered a stage"),
                &["stage"],
            )?,
            settled: IntCounterVec::new(
                Opts::new("palisade_jobs_settled_total", "Jobs that ended"),
                &["outcome"],
            )?,
            queue: IntGauge::new("palisade_jobs_queue_depth", "Own seats waiting")?,
            past_deadline: IntGauge::new(
                "palisade_jobs_past_deadline",
                "Jobs whose deadline has passed",
            )?,
        };
        let all: [Box<dyn Collector>; 4] = [
            Box::new(metrics.stages.clone()),
            Box::new(metrics.settled.clone()),
            Box::new(metrics.queue.clone()),
            Box::new(metrics.past_deadline.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        for stage in ["queued", "assigned", "whole_set"] {
            metrics.stages.with_label_values(&[stage]);
        }
        for outcome in ["paid", "refunded", "failed"] {
            metrics.settled.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    pub(crate) fn queued(&self, count: usize) {
        self.queue.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn event(&self, event: &Event) {
        let stage = match event {
            Event::Queued { .. } => "queued",
            Event::Assigned { .. } => "assigned",
            Event::Escalated { .. } => "whole_set",
            Event::Settled { .. } | Event::Resolved { .. } => return self.ended("paid"),
            Event::Ambiguous { .. } | Event::Cancelled { .. } | Event::Expired { .. } => {
                return self.ended("refunded");
            }
            Event::Failed { .. } => return self.ended("failed"),
            _ => return,
        };
        self.stages.with_label_values(&[stage]).inc();
    }

    fn ended(&self, outcome: &str) {
        self.settled.with_label_values(&[outcome]).inc();
    }
}

/// What the jobs actor acts with.
#[derive(Debug)]
pub(crate) struct JobsEffects {
    pub(crate) session_key: Option<PublicKey>,
    pub(crate) duties: Duties,
    pub(crate) fetches: Fetches,
    pub(crate) execution: Outbox<ExecutionMail>,
    pub(crate) public: PublicBlobs,
    pub(crate) taken: TakenJobs,
    pub(crate) pins: Arc<Mutex<Pins>>,
    pub(crate) metrics: JobsMetrics,
    pub(crate) height: Height,
}

impl JobsEffects {
    pub(crate) fn at(&mut self, height: Height) {
        self.height = height;
        self.fetches.ask_again();
    }

    pub(crate) fn measure(&self, committed: &DomainEvents) {
        committed
            .events
            .iter()
            .for_each(|event| self.metrics.event(event));
        let late = committed.snapshot.state.jobs_past_deadline();
        self.metrics
            .past_deadline
            .set(i64::try_from(late).unwrap_or(i64::MAX));
    }

    /// Seats that the events of a height gave us.
    pub(crate) fn seated_by(&self, committed: &DomainEvents) -> Vec<Order> {
        let snapshot = &committed.snapshot;
        let Some(own) = self.own(snapshot) else {
            return Vec::new();
        };
        for event in &committed.events {
            if let Event::Escalated { job, .. } = event {
                self.open_to_all(snapshot, *job);
            }
        }
        orders::seated_by(&snapshot.state, own, &committed.events)
    }

    /// Jobs whose committee may include us, by what this height brought.
    pub(crate) fn expected_by(&self, committed: &DomainEvents) -> Vec<Expected> {
        let snapshot = &committed.snapshot;
        self.own(snapshot)
            .map(|own| orders::expected_by(&snapshot.state, own, &committed.events))
            .unwrap_or_default()
    }

    /// Outputs of jobs that ended at this height and came in through this node: their clients will
    /// ask here.
    pub(crate) fn outputs_wanted(&self, committed: &DomainEvents) -> Vec<Artifact> {
        let state = &committed.snapshot.state;
        let ended = |event: &Event| match event {
            Event::Settled { job, .. } | Event::Resolved { job, .. } => Some(*job),
            _ => None,
        };
        let jobs = committed.events.iter().filter_map(ended);
        jobs.filter(|job| {
            state
                .submitted_by(job)
                .is_some_and(|tx| self.taken.contains(&tx))
        })
        .filter_map(|job| orders::output_of(state, job))
        .collect()
    }

    /// Every seat of ours that is still open.
    pub(crate) fn seated_now(&self, snapshot: &Snapshot) -> Vec<Order> {
        self.own(snapshot)
            .map(|own| orders::seated_now(&snapshot.state, own))
            .unwrap_or_default()
    }

    /// What the chain holds of a waiting seat now.
    pub(crate) fn standing(&self, snapshot: &Snapshot, seat: &SeatRef) -> Standing {
        self.own(snapshot).map_or(Standing::Unknown, |own| {
            orders::standing(&snapshot.state, own, seat)
        })
    }

    fn own(&self, snapshot: &Snapshot) -> Option<ValidatorId> {
        snapshot.session_holder(&self.session_key?)
    }

    /// An escalated job's data are public: whoever watches must be able to run it again.
    fn open_to_all(&self, snapshot: &Snapshot, job: JobId) {
        let Some(request) = snapshot.state.requests.get(&job) else {
            return;
        };
        self.public
            .add_model(&self.duties.storage, request.spec.model_root);
        self.public
            .add_input(&self.duties.storage, request.spec.input);
    }

    pub(crate) fn perform(&mut self, intent: Intent) {
        match intent {
            Intent::Fetch(artifact) => self.fetches.ask(artifact),
            Intent::FetchAhead(artifact) => self.fetches.ahead(artifact),
            Intent::LeaveAhead(artifact) => self.fetches.leave(artifact),
            Intent::Run(order) => self.execution.tell(ExecutionMail::Run(order)),
            Intent::Cancel(job) => self.execution.tell(ExecutionMail::Cancel(job)),
            Intent::Submit { body, valid_until } => {
                self.duties.submit(*body, valid_until, self.height);
            }
            Intent::Pin(artifacts) => self.pin(&artifacts),
            Intent::Keep(artifact) => self.keep(artifact),
            Intent::Note(height) => note(&self.duties.storage, actor_id::JOBS, height),
        }
    }

    /// Keeps what open jobs need, as far as it is known.
    fn pin(&self, artifacts: &BTreeSet<Artifact>) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let roots: BTreeSet<Digest> = artifacts.iter().map(Artifact::root).collect();
        pins.files.retain(|root, _| roots.contains(root));
        pins.roots = roots;
        pins.tell(&self.duties.storage);
    }

    /// An artifact has come: its manifest names the file that has to stay with it.
    fn keep(&self, artifact: Artifact) {
        let (pins, storage) = (self.pins.clone(), self.duties.storage.clone());
        let reply = Box::new(move |outcome: Result<Vec<u8>, _>| {
            let file = outcome.ok().and_then(|bytes| file_of(&artifact, &bytes));
            let mut pins = pins.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = file.filter(|_| pins.roots.contains(&artifact.root())) {
                pins.files.insert(artifact.root(), file.sha256);
                pins.tell(&storage);
            }
        });
        // Busy storage: the file stays unpinned, and matters only if the quota is used up.
        let _not_pinned = self.duties.storage.get_blob(artifact.root(), reply);
    }
}

/// What must stay on disk: manifests by root, and the files they name.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    roots: BTreeSet<Digest>,
    files: BTreeMap<Digest, Digest>,
}

impl Pins {
    fn tell(&self, storage: &StorageHandle) {
        let keys = self
            .roots
            .iter()
            .chain(self.files.values())
            .copied()
            .collect();
        let _pinned_next_time = storage.pin_blobs(keys);
    }
}
