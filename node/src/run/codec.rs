//! Between a seat's work, as actors see it, and the runner's own records.

use actors::execution::engine::Work;
use actors::execution::sandboxed::RunnerCodec;
use actors::tamper::SeatResult;
use protocol::codec::{decode_canonical, encode};
use protocol::job::{DeclineReason, Outcome};
use runner::{Report, Request, Task, Verdict};

/// The translation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codec;

impl RunnerCodec for Codec {
    fn request(&self, work: &Work) -> Vec<u8> {
        let spec = &work.order.spec;
        encode(&Task::Run(Box::new(Request {
            model: work.model.clone(),
            input: work.input.clone(),
            outputs: spec.params.outputs.clone(),
            fuel_limit: spec.fuel_limit,
            out_bytes: spec.params.out_bytes,
        })))
    }

    fn report(&self, engine: u16, stdout: &[u8]) -> Result<SeatResult, DeclineReason> {
        // Bytes that are no report come from a runner that was captured or killed.
        let report: Report = decode_canonical(stdout).map_err(|_| DeclineReason::SandboxKilled)?;
        if report.engine != engine {
            return Err(DeclineReason::SandboxKilled);
        }
        if let Verdict::Declined { reason } = report.verdict {
            tracing::info!(reason = reason.name(), remark = %report.remark, "run_declined");
            return Err(reason);
        }
        let signable = report.signable().ok_or(DeclineReason::SandboxKilled)?;
        let (outcome, result_root, fuel) = signable;
        let (output, code) = match report.verdict {
            Verdict::Answered { blob, .. } => (blob, 0),
            Verdict::Failed { code, .. } => (Vec::new(), code),
            Verdict::Declined { .. } | Verdict::Conformed { .. } => {
                return Err(DeclineReason::SandboxKilled);
            }
        };
        debug_assert!(outcome == Outcome::Ok || output.is_empty());
        Ok(SeatResult {
            outcome,
            result_root,
            fuel,
            output,
            code,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::units::Fuel;

    #[test]
    fn what_is_no_report_is_declined() {
        let codec = Codec;
        assert_eq!(
            codec.report(1, b"").unwrap_err(),
            DeclineReason::SandboxKilled
        );
        assert_eq!(
            codec.report(1, &[7; 300]).unwrap_err(),
            DeclineReason::SandboxKilled
        );
        let declined = Verdict::Declined {
            reason: DeclineReason::OutOfMemory,
        };
        let bytes = encode(&Report::new(1, declined, ""));
        assert_eq!(
            codec.report(1, &bytes).unwrap_err(),
            DeclineReason::OutOfMemory
        );
        assert_eq!(
            codec.report(2, &bytes).unwrap_err(),
            DeclineReason::SandboxKilled
        );
    }

    #[test]
    fn failures_carry_their_code() {
        let failed = Verdict::Failed {
            outcome: Outcome::EngineRefused,
            code: 2,
            fuel: Fuel(9),
        };
        let result = Codec
            .report(1, &encode(&Report::new(1, failed, "")))
            .unwrap();
        assert_eq!(
            (result.outcome, result.code, result.fuel),
            (Outcome::EngineRefused, 2, Fuel(9))
        );
        assert_eq!(Some(result.result_root), Outcome::EngineRefused.root(2));
    }
}
