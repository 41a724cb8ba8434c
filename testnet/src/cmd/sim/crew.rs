//! Threads that take seeds until none is left. Each world lives and dies on one of them; what they
//! report is added up in one place, in any order.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use super::report::{Failure, Played, Report};
use super::{Layer, Orders, note};
use crate::clock::{Deadline, Stopwatch};
use crate::sim::trace::Tracing;

/// The lines of a column log that a failure prints.
const LINES_SHOWN: usize = 60;
/// Failures that print their log; the others are in the report.
const LOGS_SHOWN: usize = 3;
/// One seed in so many is run twice, to see that it does the same.
const TWICE: u64 = 32;
/// How often a long run says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// What the threads share.
struct Crew<'a> {
    orders: &'a Orders,
    next: AtomicU64,
    logs: AtomicUsize,
    stop: &'a AtomicBool,
}

/// Runs all seeds, or those that are begun before somebody says stop.
pub(super) fn work(orders: &Orders, stop: &AtomicBool, watch: &Stopwatch) -> Report {
    let crew = Crew {
        orders,
        next: AtomicU64::new(orders.seeds.start),
        logs: AtomicUsize::new(0),
        stop,
    };
    let mut report = Report::new(orders);
    let (sender, played) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..orders.threads {
            let (sender, crew) = (sender.clone(), &crew);
            scope.spawn(move || crew.hand(&sender));
        }
        drop(sender);
        let mut due = Deadline::after(PROGRESS);
        loop {
            match played.recv_timeout(due.left()) {
                Ok(played) => report.add(played),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if due.passed() {
                due = Deadline::after(PROGRESS);
                let s = watch.elapsed().as_secs();
                note(&format!("{s:>6} s: {}", report.progress()));
            }
        }
    });
    let wall = watch.elapsed().as_millis();
    report.close(u64::try_from(wall).unwrap_or(u64::MAX))
}

impl Crew<'_> {
    fn hand(&self, sender: &Sender<Played>) {
        while !self.stop.load(Ordering::Relaxed) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if !self.orders.seeds.contains(&seed) {
                return;
            }
            for layer in &self.orders.layers {
                // The receiver outlives every sender.
                let _sent = sender.send(self.play(*layer, seed));
            }
        }
    }

    fn play(&self, layer: Layer, seed: u64) -> Played {
        let (begun, setup) = (cpu_ns(), self.orders.setup);
        let outcome = (layer.run)(seed, setup, Tracing::Off);
        let again = seed
            .is_multiple_of(TWICE)
            .then(|| (layer.run)(seed, setup, Tracing::Off));
        let cpu_ns = cpu_ns().saturating_sub(begun);
        let failure = Failure::of(layer, &outcome, again.as_ref());
        if let Some(failure) = &failure
            && self.logs.fetch_add(1, Ordering::Relaxed) < LOGS_SHOWN
        {
            self.show(layer, failure);
        }
        Played {
            layer: layer.name,
            outcome,
            rerun: again.is_some(),
            cpu_ns,
            failure,
        }
    }

    /// Runs a failed seed again with the column log, and prints its end.
    fn show(&self, layer: Layer, failure: &Failure) {
        let lines = (layer.run)(failure.seed, self.orders.setup, Tracing::On).lines;
        let from = lines.len().saturating_sub(LINES_SHOWN);
        let mut text = lines.get(from..).unwrap_or_default().to_vec();
        let Failure {
            seed,
            oracle,
            detail,
            replay,
            ..
        } = failure;
        text.push(format!("seed {seed}: {oracle}: {detail}"));
        text.push(format!("again: {replay}"));
        note(&text.join("\n"));
    }
}

/// Processor time of this thread, from the kernel's accounts; 0 where they are not kept.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|ns| ns.parse().ok())
        .unwrap_or(0)
}
