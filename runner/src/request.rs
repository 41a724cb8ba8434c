//! What the node asks a runner to do: one canonical record on the first inherited file.

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::limits::{OUTPUT_NAME_BYTES_MAX, OUTPUTS_MAX};
use protocol::manifest::{InputManifest, MANIFEST_BYTES_MAX, ModelManifest};
use protocol::units::Fuel;

/// The longest request: both manifests, the names and a few numbers.
pub const TASK_BYTES_MAX: usize =
    2 * MANIFEST_BYTES_MAX + OUTPUTS_MAX * (OUTPUT_NAME_BYTES_MAX + 8) + 256;

/// One run.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Request {
    /// The model, whose root the job names.
    pub model: ModelManifest,
    /// The inputs, whose root the job names.
    pub input: InputManifest,
    /// Which outputs, in this order; none means all, in the model's order.
    pub outputs: Vec<String>,
    /// How much work the run may cost.
    pub fuel_limit: Fuel,
    /// How long the output blob may be.
    pub out_bytes: u64,
}

/// What a runner does in its one life.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Task {
    /// Run a model on an input.
    Run(Box<Request>),
    /// Run the built-in conformance vectors.
    Conform,
}

impl Canonical for Task {
    const BYTES_MAX: usize = TASK_BYTES_MAX;
}
