//! The attack on ourselves at start: the suite under `native`, three shots under `runner`.

use std::time::Duration;

use crate::attacks;
use crate::cancel::Cancel;
use crate::error::Closed;
use crate::report::Report;
use crate::slot::Slot;
use crate::spec::Profile;
use crate::tier::Degradation;

/// Shots fired as a captured runner.
const RUNNER_SHOTS: [&str; 3] = ["open_socket", "read_secret", "second_exec"];

/// One attempt of the self-test.
#[derive(Debug, Clone)]
pub struct Control {
    /// Profile and attack, such as `native.open_socket`.
    pub name: String,
    /// Whether it was refused.
    pub ok: bool,
    /// What happened.
    pub found: String,
}

/// All attempts of one self-test.
#[derive(Debug, Clone, Default)]
pub struct SelfTest {
    /// In the order they were made.
    pub controls: Vec<Control>,
    /// From a request until the job's process existed, seen once.
    pub setup: Duration,
}

impl SelfTest {
    /// Attempts that were not refused.
    pub fn failures(&self) -> impl Iterator<Item = &Control> {
        self.controls.iter().filter(|control| !control.ok)
    }
}

pub(crate) fn run(slot: &mut Slot, allowed: &[Degradation]) -> Result<SelfTest, Closed> {
    let mut test = SelfTest::default();
    // Where native jobs are never run there is nothing to attack: the runner's shots decide.
    if slot.tier().allows(Profile::Native, allowed) {
        native_suite(slot, &mut test)?;
    }
    for name in RUNNER_SHOTS {
        let report =
            attacks::run_as_runner(slot, name, "").map_err(|e| Closed::SelfTest(e.to_string()))?;
        test.controls.push(Control {
            name: format!("runner.{name}"),
            ok: report.blocked,
            found: report.detail,
        });
    }
    Ok(test)
}

/// Runs one harmless job, to see whether this host lets one be set up at all.
pub(crate) fn trial(slot: &mut Slot) -> Result<Report, Closed> {
    let failed = |e: String| Closed::SelfTest(e);
    let spec = attacks::trial_spec(slot).map_err(|e| failed(e.to_string()))?;
    let cancel = Cancel::new().map_err(|e| failed(e.to_string()))?;
    slot.run(spec, &cancel).map_err(|e| failed(e.to_string()))
}

fn native_suite(slot: &mut Slot, test: &mut SelfTest) -> Result<(), Closed> {
    let failed = |e: String| Closed::SelfTest(e);
    let spec = attacks::suite_spec(slot).map_err(|e| failed(e.to_string()))?;
    let cancel = Cancel::new().map_err(|e| failed(e.to_string()))?;
    let report = slot.run(spec, &cancel).map_err(|e| failed(e.to_string()))?;
    for (name, found, ok) in attacks::parse_suite(&report) {
        test.controls.push(Control {
            name: format!("native.{name}"),
            ok,
            found,
        });
    }
    Ok(())
}
