//! What executes a seat's run: the seam between the workflow and whatever stands behind it.

pub mod sandboxed;
pub(crate) mod slots;

use std::fmt;

use protocol::job::DeclineReason;
use protocol::manifest::{InputManifest, ModelManifest};
use sandbox::Cancel;

use crate::execution::workflow::Order;
use crate::tamper::SeatResult;

/// All that a run needs; files are checked against their manifests.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which seat, and on which terms.
    pub order: Order,
    /// The model's manifest, with the root that the job names.
    pub model: ModelManifest,
    /// The input's manifest, likewise.
    pub input: InputManifest,
    /// The model file.
    pub model_file: Vec<u8>,
    /// The input bundle.
    pub bundle: Vec<u8>,
}

/// How a run ended, and what it took.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// What to commit to, or why there is nothing.
    pub end: Result<SeatResult, DeclineReason>,
    /// How the sandbox saw it, a fixed set of names.
    pub outcome: &'static str,
    /// Under which protection it ran.
    pub tier: String,
    /// Elapsed.
    pub wall_seconds: f64,
    /// From the request to the program's first instruction.
    pub setup_seconds: f64,
    /// Most memory held at once.
    pub peak_memory_bytes: u64,
}

impl RunEnd {
    /// A run that never began.
    #[must_use]
    pub fn declined(reason: DeclineReason, outcome: &'static str) -> Self {
        Self {
            end: Err(reason),
            outcome,
            tier: String::new(),
            wall_seconds: 0.0,
            setup_seconds: 0.0,
            peak_memory_bytes: 0,
        }
    }
}

/// Runs one seat after the other, always on the thread that made it.
pub trait RunSlot {
    /// Blocks until the run is over or cancelled.
    fn run(&mut self, work: &Work, cancel: &Cancel) -> RunEnd;
}

/// Makes slots.
pub trait Engine: Send + Sync + fmt::Debug + 'static {
    /// How many runs at once; none if this host may not run anything.
    fn slots(&self) -> usize;

    /// Makes a slot. Called on the slot's own thread, for a launcher dies with the thread that
    /// started it.
    ///
    /// # Errors
    /// Why there is none; seats are declined then.
    fn slot(&self, index: u32) -> Result<Box<dyn RunSlot>, String>;

    /// The protection in force, for status.
    fn tier(&self) -> String;
}

/// A host that runs nothing: full nodes, and validators whose sandbox is closed.
#[derive(Clone, Debug)]
pub struct ClosedEngine {
    /// Why, for status.
    pub reason: String,
}

impl Engine for ClosedEngine {
    fn slots(&self) -> usize {
        0
    }

    fn slot(&self, _: u32) -> Result<Box<dyn RunSlot>, String> {
        Err(self.reason.clone())
    }

    fn tier(&self) -> String {
        format!("closed: {}", self.reason)
    }
}
