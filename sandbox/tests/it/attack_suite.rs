//! Goal: nothing in the table works. Method: run every row under both profiles and compare the
//! host before and after.

use std::collections::BTreeMap;
use std::fs;

use sandbox::attacks::{self, Attack, Kind};
use sandbox::{Closed, Layers, Sandbox};

use crate::bed;

/// The key under which the attacks ask for shared memory and queues, as `/proc/sysvipc` shows it.
const IPC_KEY: &str = "20545";

/// Whether a line would be there because of a job.
type IsOurs = fn(&str) -> bool;

/// Facts about this host that no job may change. Other programs mount, load modules and share memory
/// as they please: of that, only what would be ours.
fn host() -> BTreeMap<&'static str, String> {
    let whole = [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/core_pattern",
        "/proc/swaps",
        "/proc/self/limits",
        "/proc/self/personality",
    ];
    let ours: [(_, IsOurs); 5] = [
        ("/proc/self/mounts", |line| line.contains("scratch")),
        // What the kernel would load for a kind of socket that an attack asks for.
        ("/proc/modules", |line| {
            line.starts_with("af_") || line.contains("vsock")
        }),
        ("/proc/sysvipc/shm", |line| first(line) == IPC_KEY),
        ("/proc/sysvipc/msg", |line| first(line) == IPC_KEY),
        ("/proc/sysvipc/sem", |line| first(line) == IPC_KEY),
    ];
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut facts: BTreeMap<_, _> = whole.into_iter().map(|path| (path, read(path))).collect();
    for (path, is_ours) in ours {
        // How often something is in use, in the other columns, is nobody's doing in particular.
        let text = read(path);
        let names: Vec<&str> = text
            .lines()
            .filter(|line| is_ours(line))
            .map(first)
            .collect();
        facts.insert(path, names.join("\n"));
    }
    facts
}

fn first(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

#[test]
fn host_unchanged_after_attack_suite() {
    let mut slot = bed::slot();
    let before = host();
    for attack in Attack::all().filter(|attack| attack.kind == Kind::Attempt) {
        let native = attacks::run(&mut slot, attack.name, "").unwrap();
        assert!(native.blocked, "{native:?}");
        let runner = attacks::run_as_runner(&mut slot, attack.name, "").unwrap();
        assert!(runner.blocked, "{runner:?}");
    }
    assert_eq!(host(), before);
}

/// Goal: one attempt that works is enough to close the sandbox. Method: leave out the third
/// wall, so that sockets can be made (in an empty network, where they do no harm).
#[test]
fn any_allowed_probe_refuses_jobs() {
    let config = bed::config().with_layers(Layers::only(true, true, false));
    let mut sandbox = Sandbox::probe(config).unwrap();
    let closed = sandbox.self_test().unwrap_err();
    assert!(
        matches!(&closed, Closed::SelfTest(text) if text.contains("open_socket")),
        "{closed}"
    );
    assert!(matches!(sandbox.slot(0), Err(Closed::Untested)));
    assert!(!sandbox.allows(sandbox::Profile::Runner));
}

#[test]
fn an_untested_sandbox_gives_no_slot() {
    let sandbox = Sandbox::probe(bed::config()).unwrap();
    assert!(matches!(sandbox.slot(0), Err(Closed::Untested)));
}

#[test]
fn the_self_test_covers_the_whole_table() {
    let (_, test) = Sandbox::open(bed::config()).unwrap();
    let attempts = Attack::all()
        .filter(|attack| attack.kind == Kind::Attempt)
        .count();
    assert_eq!(test.controls.len(), attempts + 3);
    assert!(test.failures().next().is_none());
}

#[test]
fn an_unknown_attack_is_an_error() {
    let found = attacks::run(&mut bed::slot(), "nothing_such", "");
    assert!(
        matches!(found, Err(attacks::UnknownAttack::Name(_))),
        "{found:?}"
    );
}

#[test]
fn doctor_names_every_layer() {
    let rows = sandbox::doctor(&bed::config());
    let checks: Vec<_> = rows.iter().map(|row| row.check).collect();
    // Shown where there is one around this process.
    let checks: Vec<_> = checks
        .into_iter()
        .filter(|check| *check != "container")
        .collect();
    let wanted = [
        "kernel",
        "namespaces",
        "Landlock",
        "seccomp",
        "control groups",
        "orphans",
        "tier",
        "self-test",
    ];
    assert_eq!(checks, wanted);
    let failed: Vec<_> = rows
        .iter()
        .filter(|row| row.verdict == sandbox::Verdict::Fail)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}
