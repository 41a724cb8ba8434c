//! The slot threads: each takes the next seat, loads its files, runs it, tells execution.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use protocol::codec::{Canonical, decode_canonical};
use protocol::digest::Digest;
use protocol::job::{DeclineReason, SeatRef};
use sandbox::Cancel;
use storage::handle::StorageHandle;

use crate::engine::{Engine, RunEnd, RunSlot, Work};
use crate::execution::workflow::Order;

/// Orders that may wait for a slot; jobs hands out no more than there are slots.
const ORDERS_MAX: usize = 256;
/// How long the end of the slots is waited for. A slot gives its launcher a second to go.
const END_WAIT: Duration = Duration::from_secs(3);
const EXE: &str = "sandbox";

struct Task {
    order: Order,
    cancel: Cancel,
}

/// Called on the slot's thread with the end of a run.
pub(crate) type Report = Arc<dyn Fn(SeatRef, RunEnd) + Send + Sync>;

/// Hands orders to the threads.
pub(crate) struct Slots {
    /// Gone when the threads are to end.
    orders: Option<SyncSender<Task>>,
    /// Held by every thread and never used: it closes when the last one has ended.
    ended: Receiver<()>,
    /// Each with the `k` of its job, from which on seats are jurors'.
    running: HashMap<SeatRef, (Cancel, u16)>,
    report: Report,
}

impl Slots {
    /// Starts as many threads as the engine has slots. They end when this is dropped, which waits
    /// until their launchers and control groups are gone too.
    pub(crate) fn start(
        engine: &Arc<dyn Engine>,
        storage: &StorageHandle,
        report: Report,
    ) -> std::io::Result<Self> {
        let (orders, queue) = sync_channel(ORDERS_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let (alive, ended) = sync_channel(0);
        for index in 0..u32::try_from(engine.slots()).unwrap_or(u32::MAX) {
            let thread = SlotThread {
                engine: engine.clone(),
                storage: storage.clone(),
                report: report.clone(),
                queue: queue.clone(),
                index,
                _alive: alive.clone(),
            };
            Builder::new()
                .name(format!("slot-{index}"))
                .spawn(move || thread.run())?;
        }
        Ok(Self {
            orders: Some(orders),
            ended,
            running: HashMap::new(),
            report,
        })
    }

    pub(crate) fn start_run(&mut self, order: Order) {
        let seat = order.seat;
        let Ok(cancel) = Cancel::new() else {
            (self.report)(
                seat,
                RunEnd::declined(DeclineReason::Unavailable, "setup_failed"),
            );
            return;
        };
        self.running.insert(seat, (cancel.clone(), order.spec.k));
        let task = Task { order, cancel };
        let queue = self.orders.as_ref();
        if queue.is_none_or(|queue| queue.try_send(task).is_err()) {
            self.running.remove(&seat);
            (self.report)(
                seat,
                RunEnd::declined(DeclineReason::Unavailable, "setup_failed"),
            );
        }
    }

    pub(crate) fn stop(&mut self, seat: &SeatRef) {
        if let Some((cancel, _)) = self.running.remove(seat) {
            cancel.cancel();
        }
    }

    /// Forgets a run; gives the `k` of its job, unless it was stopped before.
    pub(crate) fn ended(&mut self, seat: &SeatRef) -> Option<u16> {
        self.running.remove(seat).map(|(_, k)| k)
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for (cancel, _) in self.running.values() {
            cancel.cancel();
        }
        self.orders = None;
        if self.ended.recv_timeout(END_WAIT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(target: EXE, "slots_still_running");
        }
    }
}

struct SlotThread {
    engine: Arc<dyn Engine>,
    storage: StorageHandle,
    report: Report,
    queue: Arc<Mutex<Receiver<Task>>>,
    index: u32,
    /// Dropped last: after the slot, which is the thread's own.
    _alive: SyncSender<()>,
}

impl SlotThread {
    fn run(self) {
        let mut slot: Option<Box<dyn RunSlot>> = None;
        loop {
            let next = self
                .queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok(Task { order, cancel }) = next else {
                return;
            };
            let seat = order.seat;
            // A node's panic hook ends the process. Where none is installed, a thread that died
            // would take its seats with it without a word: so this one reports, and goes on with a
            // new slot, because nothing is known of the old one's state.
            let run = AssertUnwindSafe(|| self.serve(&mut slot, order, &cancel));
            let end = catch_unwind(run).unwrap_or_else(|_| {
                tracing::error!(target: EXE, slot = self.index, job = %seat.job, "slot_panicked");
                slot = None;
                RunEnd::declined(DeclineReason::Unavailable, "launcher_lost")
            });
            (self.report)(seat, end);
        }
    }

    fn serve(&self, slot: &mut Option<Box<dyn RunSlot>>, order: Order, cancel: &Cancel) -> RunEnd {
        let job = order.seat.job;
        let Some(slot) = self.slot(slot) else {
            return RunEnd::declined(DeclineReason::Unavailable, "setup_failed");
        };
        match self.load(order) {
            Ok(work) => slot.run(&work, cancel),
            Err(missing) => {
                tracing::warn!(target: EXE, %job, missing, "run_files_missing");
                RunEnd::declined(DeclineReason::Unavailable, "setup_failed")
            }
        }
    }

    fn slot<'a>(&self, slot: &'a mut Option<Box<dyn RunSlot>>) -> Option<&'a mut Box<dyn RunSlot>> {
        if slot.is_none() {
            match self.engine.slot(self.index) {
                Ok(made) => *slot = Some(made),
                Err(reason) => tracing::warn!(target: EXE, reason, "slot_failed"),
            }
        }
        slot.as_mut()
    }

    /// Reads manifests and files; storage hashes what it reads, the roots are checked here.
    fn load(&self, order: Order) -> Result<Work, &'static str> {
        let model: protocol::manifest::ModelManifest = self
            .manifest(order.spec.model_root)
            .ok_or("model manifest")?;
        let input: protocol::manifest::InputManifest =
            self.manifest(order.spec.input).ok_or("input manifest")?;
        if model.root() != order.spec.model_root || input.root() != order.spec.input {
            return Err("manifest with that root");
        }
        let model_file = self.blob(model.file.sha256).ok_or("model file")?;
        let bundle = self.blob(input.bundle.sha256).ok_or("input bundle")?;
        Ok(Work {
            order,
            model,
            input,
            model_file,
            bundle,
        })
    }

    fn manifest<T: Canonical>(&self, root: Digest) -> Option<T> {
        decode_canonical(&self.blob(root)?).ok()
    }

    fn blob(&self, key: Digest) -> Option<Vec<u8>> {
        crate::blobs::read(&self.storage, key)
    }
}
