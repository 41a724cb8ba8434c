//! What a job would cost: runs it once on this machine, in the same sandbox that a seat would use.

use std::sync::mpsc;

use anyhow::Result;
use protocol::codec::{decode_canonical, encode};
use protocol::engine::ENGINE_ONNX_GEN;
use protocol::job::JobParams;
use protocol::manifest::{InputManifest, ModelManifest};
use protocol::units::Fuel;
use runner::{Report, Request, Task, Verdict};
use sandbox::{
    Cancel, Outcome, Profile, Program, Sandbox, SandboxConfig, Slot, Spec, sealed_memfd,
};

use crate::printable::printable;
use crate::problem::refuse;

/// A job as it would be run.
#[derive(Debug)]
pub(crate) struct Trial {
    /// The model's description.
    pub(crate) model: ModelManifest,
    /// The model's file.
    pub(crate) file: Vec<u8>,
    /// The input's description.
    pub(crate) input: InputManifest,
    /// The input's bytes.
    pub(crate) bundle: Vec<u8>,
    /// The terms.
    pub(crate) params: JobParams,
    /// More fuel than this is not spent.
    pub(crate) fuel_limit: Fuel,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Estimate {
    /// Exact: the same on every host.
    pub(crate) fuel: Fuel,
    /// `ok`, or the outcome that would be signed.
    pub(crate) outcome: &'static str,
    /// For people.
    pub(crate) remark: String,
}

impl Estimate {
    /// What would come of it with no more fuel than this: fuel is the same everywhere, so a seat runs
    /// out exactly where the trial went on.
    pub(crate) fn limit(&mut self, fuel_limit: Fuel) {
        if self.fuel > fuel_limit {
            self.outcome = protocol::job::Outcome::FuelExhausted.name();
            self.remark = format!("it takes {} fuel, its limit is {fuel_limit}", self.fuel);
        }
    }
}

/// Runs it.
pub(crate) fn run(trial: &Trial, sandbox: SandboxConfig) -> Result<Estimate> {
    let report = report_of(trial, sandbox)?;
    // It quotes the model, which is a stranger's.
    let remark = printable(&report.remark);
    match report.verdict {
        Verdict::Answered { fuel, .. } => Ok(Estimate {
            fuel,
            outcome: "ok",
            remark,
        }),
        Verdict::Failed { outcome, fuel, .. } => Ok(Estimate {
            fuel,
            outcome: outcome.name(),
            remark,
        }),
        Verdict::Declined { reason } => {
            refuse!(
                "model.refused",
                "this host could not finish it ({}): {remark}",
                reason.name()
            )
        }
        Verdict::Conformed { .. } => refuse!("internal", "the runner answered something else"),
    }
}

fn report_of(trial: &Trial, config: SandboxConfig) -> Result<Report> {
    let request = Task::Run(Box::new(Request {
        model: trial.model.clone(),
        input: trial.input.clone(),
        outputs: trial.params.outputs.clone(),
        fuel_limit: trial.fuel_limit,
        out_bytes: trial.params.out_bytes,
    }));
    let engine = ENGINE_ONNX_GEN.to_string();
    let args = ["palisade", crate::modes::RUNNER_MODE, &engine];
    let mut spec = Spec::new(Program::current()?, Profile::Runner, &args);
    spec.env = crate::modes::runner_environment();
    spec.inputs = vec![
        sealed_memfd("request", &encode(&request))?,
        sealed_memfd("model", &trial.file)?,
        sealed_memfd("bundle", &trial.bundle)?,
    ];
    let finished = in_slot(config, spec)?;
    match (
        finished.outcome,
        decode_canonical::<Report>(&finished.stdout),
    ) {
        (Outcome::Exited(0), Ok(report)) => Ok(report),
        (outcome, _) => refuse!("model.refused", "the run ended as {outcome:?}"),
    }
}

/// The launcher dies with the thread that started it, so one thread does it all.
fn in_slot(config: SandboxConfig, spec: Spec) -> Result<sandbox::Report> {
    let (send, receive) = mpsc::channel();
    let work = move || -> Result<sandbox::Report> {
        let (sandbox, _) = Sandbox::open(config)
            .map_err(|closed| crate::problem::Problem::new("check.sandbox", closed))?;
        let mut slot = Slot::spawn(sandbox.slot(0)?)?;
        Ok(slot.run(spec, &Cancel::new()?)?)
    };
    std::thread::scope(|scope| {
        scope.spawn(move || drop(send.send(work())));
        receive.recv()?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_the_fuel_it_takes_is_exhausted() {
        let found = || Estimate {
            fuel: Fuel(10),
            outcome: "ok",
            remark: String::new(),
        };
        for enough in [10, 11] {
            let mut estimate = found();
            estimate.limit(Fuel(enough));
            assert_eq!((estimate.outcome, estimate.remark.as_str()), ("ok", ""));
        }
        let mut estimate = found();
        estimate.limit(Fuel(9));
        assert_eq!(estimate.outcome, "fuel_exhausted");
        assert_eq!(estimate.remark, "it takes 10 fuel, its limit is 9");
    }
}
