//! What every test needs: a host looked at once, a slot of its own, a job to run.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox::{Cancel, Degradation, Profile, Program, Report, Sandbox, SandboxConfig, Slot, Spec};

/// The testbed binary: launcher, probe and job in one.
pub(crate) fn testbed() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sandbox-testbed"))
}

/// Settings with a work directory of this test process. It is private to its owner: slots reach it
/// by descriptor.
pub(crate) fn config() -> SandboxConfig {
    static WORK: OnceLock<tempfile::TempDir> = OnceLock::new();
    let work = WORK.get_or_init(|| tempfile::tempdir().unwrap());
    let mut config = SandboxConfig::new(work.path());
    config.launcher = testbed();
    // Without a control group native is still tested, on the tier that says so.
    config.allow_degraded = vec![Degradation::Cgroup];
    config
}

/// The sandbox of this host, self-tested once for all tests.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let (sandbox, test) = Sandbox::open(config()).expect("this host cannot run the sandbox");
        eprintln!(
            "tier {}, {} attempts refused",
            sandbox.tier(),
            test.controls.len()
        );
        sandbox
    })
}

/// A slot nobody else uses.
pub(crate) fn slot() -> Slot {
    static NEXT: AtomicU32 = AtomicU32::new(20);
    let index = NEXT.fetch_add(1, Ordering::Relaxed);
    Slot::spawn(sandbox().slot(index).unwrap()).unwrap()
}

/// Whether control groups bound jobs here; a test that needs them says that it skips.
pub(crate) fn has_cgroup(test: &str) -> bool {
    let has = !sandbox().tier().has(Degradation::Cgroup);
    if !has {
        eprintln!("{test}: no control group here, the group's part is skipped");
    }
    has
}

pub(crate) fn spec(profile: Profile, words: &[&str]) -> Spec {
    let mut arguments = vec!["job"];
    arguments.extend(words);
    Spec::new(Program::open(&testbed()).unwrap(), profile, &arguments)
}

/// One attack of the table, by the probe, unsealed.
pub(crate) fn probe(profile: Profile, attack: &str) -> Spec {
    spec(profile, &[sandbox::PROBE_MODE, "one", attack, ""])
}

pub(crate) fn run(slot: &mut Slot, spec: Spec) -> Report {
    slot.run(spec, &Cancel::new().unwrap()).unwrap()
}

/// Runs one job of the testbed on a slot of its own.
pub(crate) fn job(profile: Profile, words: &[&str]) -> Report {
    run(&mut slot(), spec(profile, words))
}
