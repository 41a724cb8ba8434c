//! What every test needs: a host looked at once, a slot of its own, a job to run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use sandbox::{Cancel, Degradation, Profile, Program, Report, Sandbox, SandboxConfig, Slot, Spec};

/// How long what happens at once may take on a machine that is busy with other tests. Still less
/// than a job's longest wall time, whose end would be mistaken for the one that was awaited.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(20);

/// Tries of something that has to be quick.
const TRIES: usize = 50;

/// Measures until one attempt is within the design's bound. A machine that is busy elsewhere may be
/// late; one that is late each time is not busy.
pub(crate) fn within(bound: Duration, mut attempt: impl FnMut() -> Duration) {
    let mut late = Vec::new();
    while late.len() < TRIES {
        let took = attempt();
        assert!(took < AT_ONCE, "{took:?}");
        if took < bound {
            return;
        }
        late.push(took);
    }
    panic!("never within {bound:?}: {late:?}");
}

/// The testbed binary: launcher, probe and job in one.
pub(crate) fn testbed() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sandbox-testbed"))
}

/// Without a user namespace of its own a job's limit of tasks counts every process of its user. So a
/// test with hundreds of them, and tests whose jobs have no namespaces, keep out of each other's way
/// where all of them belong to one user: for an ordinary user, and in a container.
static PROCESSES: RwLock<()> = RwLock::new(());

/// Held by a test whose jobs may have no namespaces.
pub(crate) fn few_processes() -> RwLockReadGuard<'static, ()> {
    PROCESSES.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held by a test that starts hundreds of processes at once.
pub(crate) fn many_processes() -> RwLockWriteGuard<'static, ()> {
    PROCESSES.write().unwrap_or_else(PoisonError::into_inner)
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
