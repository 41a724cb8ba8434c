//! How storage's threads tell the node that they failed, and how long its disk takes.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, Registry};
use storage::exit::ExitKind;
use storage::request::{Observer, Store};

use crate::supervisor::{Fatal, HaltReason, Supervisor};

/// Hand it to `storage::open`.
#[derive(Clone, Debug)]
pub struct StorageObserver {
    supervisor: Supervisor,
    flush: HistogramVec,
}

const fn name(store: Store) -> &'static str {
    match store {
        Store::Wal => "wal",
        Store::SignState => "sign_state",
        Store::Blocks => "blocks",
        Store::Evidence => "evidence",
        Store::Audit => "audit",
        Store::State => "state",
    }
}

impl StorageObserver {
    /// Registers the metric of flushes.
    ///
    /// # Errors
    /// If its name is taken.
    pub fn new(supervisor: Supervisor, registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = HistogramOpts::new(
            "palisade_storage_flush_seconds",
            "Time until something was durable",
        )
        .buckets(vec![0.0002, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 1.0]);
        let flush = HistogramVec::new(options, &["store"])?;
        let collector: Box<dyn Collector> = Box::new(flush.clone());
        registry.register(collector)?;
        Ok(Self { supervisor, flush })
    }
}

impl Observer for StorageObserver {
    fn fatal(&self, exit: ExitKind, reason: &str) {
        self.supervisor
            .raise(Fatal::new(HaltReason::of_exit_code(exit.code()), reason));
    }

    fn flushed(&self, store: Store, took: Duration) {
        self.flush
            .with_label_values(&[name(store)])
            .observe(took.as_secs_f64());
    }
}
