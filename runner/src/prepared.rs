//! An engine that is pinned and warm, ready to be sealed off and given foreign bytes.

use protocol::job::DeclineReason;

use crate::pins::{PrepareError, pin};
use crate::report::{Report, Verdict};
use crate::request::Request;
use crate::{ENGINE_ONNX_GEN, conformance, run};

/// A graph of every kind of kernel that probes lazily: convolution, product, softmax, recurrence.
const WARM_UP: &[u8] = include_bytes!("../vectors/warmup.onnx");

/// An engine after [`prepare`].
#[derive(Debug)]
pub struct Prepared {
    engine: u16,
}

/// Pins an engine and runs a built-in graph, so that lazy probes of the host happen before `seal`.
///
/// # Errors
/// [`PrepareError`] if this host may not compute for others.
pub fn prepare(engine: u16) -> Result<Prepared, PrepareError> {
    pin(engine)?;
    let prepared = Prepared { engine };
    if engine == ENGINE_ONNX_GEN {
        let report = conformance::run_graph(&prepared, WARM_UP).map_err(PrepareError::WarmUp)?;
        if report.signable().is_none() {
            return Err(PrepareError::WarmUp(report.remark));
        }
    }
    Ok(prepared)
}

impl Prepared {
    /// Which engine this is.
    #[must_use]
    pub fn engine(&self) -> u16 {
        self.engine
    }

    /// Runs a model on an input. Never panics: what the engine does to itself is a Decline.
    #[must_use]
    pub fn run(&self, request: &Request, model: Vec<u8>, bundle: &[u8]) -> Report {
        if self.engine != ENGINE_ONNX_GEN {
            let verdict = Verdict::Declined {
                reason: DeclineReason::Unavailable,
            };
            return Report::new(self.engine, verdict, "this engine runs no models");
        }
        run::run(self.engine, request, model, bundle)
    }

    /// Runs the built-in conformance vectors and reports the digest of their results.
    #[must_use]
    pub fn conform(&self) -> Report {
        conformance::conform(self)
    }
}
