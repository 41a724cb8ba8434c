//! The engine of a real node: the runner mode of the binary, inside the sandbox.
//!
//! The request and the report are the runner's own records; the binary, which knows both crates,
//! hands in the translation as a [`RunnerCodec`].

use std::fmt;
use std::sync::Arc;

use protocol::job::DeclineReason;
use sandbox::{Cancel, Limits, Outcome, Profile, Program, Sandbox, Slot, Spec, sealed_memfd};

use crate::engine::{Engine, RunEnd, RunSlot, Work};
use crate::tamper::SeatResult;

/// What a nonzero exit of the runner means if its report says nothing else.
const ENGINE_FAILED: DeclineReason = DeclineReason::EnginePanic;

/// Translates between a seat's work and the runner's records.
pub trait RunnerCodec: Send + Sync + fmt::Debug + 'static {
    /// The request, as the runner reads it from its first input.
    fn request(&self, work: &Work) -> Vec<u8>;

    /// What the runner's report means.
    ///
    /// # Errors
    /// The reason to decline, also for bytes that are no report.
    fn report(&self, engine: u16, stdout: &[u8]) -> Result<SeatResult, DeclineReason>;
}

/// The runner reads the CPU's kind from its environment, past its own settings, and the kind picks
/// kernels: one value for every host keeps the bits alike (models.md, Pinning).
const RUNNER_ENVIRONMENT: &[u8] = b"TRACT_X86_KIND=other";

/// The sandbox with the program it runs.
#[derive(Debug)]
pub struct SandboxEngine {
    sandbox: Arc<Sandbox>,
    program: Program,
    mode: String,
    codec: Arc<dyn RunnerCodec>,
    slots: usize,
}

impl SandboxEngine {
    /// `mode` is the hidden mode of `program` that runs models, `slots` how many run at once.
    #[must_use]
    pub fn new(
        sandbox: Arc<Sandbox>,
        program: Program,
        mode: impl Into<String>,
        codec: Arc<dyn RunnerCodec>,
        slots: usize,
    ) -> Self {
        Self {
            sandbox,
            program,
            mode: mode.into(),
            codec,
            slots,
        }
    }
}

impl Engine for SandboxEngine {
    fn slots(&self) -> usize {
        if self.sandbox.allows(Profile::Runner) {
            self.slots
        } else {
            0
        }
    }

    fn slot(&self, index: u32) -> Result<Box<dyn RunSlot>, String> {
        let config = self
            .sandbox
            .slot(index)
            .map_err(|closed| closed.to_string())?;
        let slot = Slot::spawn(config).map_err(|error| error.to_string())?;
        Ok(Box::new(SandboxSlot {
            slot,
            program: self.program.clone(),
            mode: self.mode.clone(),
            codec: self.codec.clone(),
        }))
    }

    fn tier(&self) -> String {
        self.sandbox.tier().to_string()
    }
}

struct SandboxSlot {
    slot: Slot,
    program: Program,
    mode: String,
    codec: Arc<dyn RunnerCodec>,
}

impl SandboxSlot {
    fn spec(&self, work: &Work) -> std::io::Result<Spec> {
        let engine = work.order.spec.engine.to_string();
        let args = [self.mode.as_str(), self.mode.as_str(), engine.as_str()];
        let mut spec = Spec::new(self.program.clone(), Profile::Runner, &args);
        spec.env = vec![RUNNER_ENVIRONMENT.to_vec()];
        let params = &work.order.spec.params;
        let most = Limits::ceiling(Profile::Runner);
        spec.limits = Limits {
            wall_ms: params.wall_ms.clamp(1, most.wall_ms),
            cpu_seconds: params.cpu_ms.div_ceil(1_000).clamp(1, most.cpu_seconds),
            memory_bytes: params.mem_bytes.min(most.memory_bytes),
            ..most
        };
        spec.inputs = vec![
            sealed_memfd("request", &self.codec.request(work))?,
            sealed_memfd("model", &work.model_file)?,
            sealed_memfd("bundle", &work.bundle)?,
        ];
        Ok(spec)
    }
}

impl RunSlot for SandboxSlot {
    fn run(&mut self, work: &Work, cancel: &Cancel) -> RunEnd {
        let report = match self.spec(work).map(|spec| self.slot.run(spec, cancel)) {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => {
                tracing::warn!(%error, "run_refused");
                return RunEnd::declined(DeclineReason::Unavailable, "setup_failed");
            }
            Err(error) => {
                tracing::warn!(%error, "run_inputs_failed");
                return RunEnd::declined(DeclineReason::Unavailable, "setup_failed");
            }
        };
        let end = match reason_of(&report.outcome) {
            None => self.codec.report(work.order.spec.engine, &report.stdout),
            Some(ENGINE_FAILED) => Err(self
                .codec
                .report(work.order.spec.engine, &report.stdout)
                .err()
                .unwrap_or(ENGINE_FAILED)),
            Some(reason) => Err(reason),
        };
        RunEnd {
            end,
            outcome: report.outcome.label(),
            tier: report.tier.to_string(),
            wall_seconds: report.usage.wall.as_secs_f64(),
            setup_seconds: report.setup.as_secs_f64(),
            peak_memory_bytes: report.usage.peak_memory_bytes,
        }
    }
}

/// The reason to decline that an outcome stands for; none if the runner itself has the word.
const fn reason_of(outcome: &Outcome) -> Option<DeclineReason> {
    match outcome {
        Outcome::Exited(0) => None,
        Outcome::WallTimeout | Outcome::CpuTimeout | Outcome::Cancelled => {
            Some(DeclineReason::HostTimeout)
        }
        Outcome::MemoryLimit => Some(DeclineReason::OutOfMemory),
        // A bare pid 1 shows abort() as SIGSEGV.
        Outcome::Exited(_) | Outcome::Signaled(6 | 11) => Some(ENGINE_FAILED),
        Outcome::SetupFailed { .. } | Outcome::LauncherLost => Some(DeclineReason::Unavailable),
        Outcome::Signaled(_)
        | Outcome::OutputLimit { .. }
        | Outcome::PidsLimit
        | Outcome::FileSizeLimit
        | Outcome::SeccompViolation { .. } => Some(DeclineReason::SandboxKilled),
    }
}

#[cfg(test)]
mod tests {
    use sandbox::{Stage, Stream};

    use super::*;

    #[test]
    fn every_outcome_has_its_reason() {
        let rows = [
            (Outcome::Exited(0), None),
            (Outcome::Exited(1), Some(DeclineReason::EnginePanic)),
            (Outcome::Signaled(11), Some(DeclineReason::EnginePanic)),
            (Outcome::Signaled(6), Some(DeclineReason::EnginePanic)),
            (Outcome::Signaled(9), Some(DeclineReason::SandboxKilled)),
            (Outcome::WallTimeout, Some(DeclineReason::HostTimeout)),
            (Outcome::CpuTimeout, Some(DeclineReason::HostTimeout)),
            (Outcome::Cancelled, Some(DeclineReason::HostTimeout)),
            (Outcome::MemoryLimit, Some(DeclineReason::OutOfMemory)),
            (
                Outcome::OutputLimit {
                    stream: Stream::Stdout,
                },
                Some(DeclineReason::SandboxKilled),
            ),
            (Outcome::PidsLimit, Some(DeclineReason::SandboxKilled)),
            (Outcome::FileSizeLimit, Some(DeclineReason::SandboxKilled)),
            (
                Outcome::SeccompViolation { nr: None },
                Some(DeclineReason::SandboxKilled),
            ),
            (
                Outcome::SetupFailed {
                    stage: Stage::Exec,
                    errno: 8,
                },
                Some(DeclineReason::Unavailable),
            ),
            (Outcome::LauncherLost, Some(DeclineReason::Unavailable)),
        ];
        for (outcome, reason) in rows {
            assert_eq!(reason_of(&outcome), reason, "{outcome:?}");
        }
    }
}
