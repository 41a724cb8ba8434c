//! What a person needs to know to make a host fit: check, found, needed, remedy.

use std::fs;

use crate::cgroup::Cgroups;
use crate::container::{self, Container};
use crate::landlock::{ABI_FULL, ABI_MIN};
use crate::sandbox::{self, Sandbox, SandboxConfig, probe_tier};
use crate::stage::Stage;
use crate::sys;
use crate::tier::Degradation;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As needed.
    Pass,
    /// Works, on a lower tier.
    Degraded,
    /// Jobs cannot run.
    Fail,
}

/// One row of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was looked at.
    pub check: &'static str,
    /// What is there.
    pub found: String,
    /// What should be.
    pub needed: String,
    /// What to do, if it is not.
    pub remedy: &'static str,
    /// How it ended.
    pub verdict: Verdict,
}

/// Checks of the host, then of the sandbox as a whole.
#[must_use]
pub fn doctor(config: &SandboxConfig) -> Vec<Row> {
    let container = container::around();
    let contained = container.is_some();
    let obstacle = sandbox::obstacle(config.clone());
    let waived = config.allow_degraded.contains(&Degradation::Namespaces);
    let refusal = match (obstacle, waived) {
        (None, _) => Verdict::Pass,
        (Some(_), true) => Verdict::Degraded,
        (Some(_), false) => Verdict::Fail,
    };
    let mut rows = vec![kernel()];
    rows.extend(container.map(|found| around(&found, refusal)));
    rows.extend([
        namespaces(obstacle, contained, refusal),
        landlock(contained),
        seccomp(),
        cgroups(contained),
        orphans(),
        tier(obstacle),
        self_test(config),
    ]);
    rows
}

/// What grants a container the walls it has to build. The same words stand in deploy/README.md.
const GRANT: &str = "docker run --security-opt seccomp=deploy/seccomp-palisade.json --security-opt \
                     apparmor=unconfined --security-opt no-new-privileges --cap-drop ALL, as \
                     docker-compose.yml does; `palisade sandbox container-profile` prints that \
                     file; never --privileged";

/// An engine's own filter may refuse what a job's walls are made of.
fn around(found: &Container, refusal: Verdict) -> Row {
    let landlock_hidden = found.filtered && sys::landlock_abi() == 0;
    Row {
        check: "container",
        found: found.describe(),
        needed: "an engine that lets a job have clone, mount, pivot_root and Landlock of its own"
            .to_owned(),
        remedy: GRANT,
        verdict: match landlock_hidden {
            true => Verdict::Fail,
            false => refusal,
        },
    }
}

fn kernel() -> Row {
    let found = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Row {
        check: "kernel",
        found: found.trim().to_owned(),
        needed: "6.3 or newer, 6.12 for tier full".to_owned(),
        remedy: "install a newer kernel",
        verdict: if sys::landlock_abi() >= ABI_MIN {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
    }
}

/// Switches first, for they name their remedy; then what became of a real attempt.
fn namespaces(obstacle: Option<(Stage, i32)>, contained: bool, refusal: Verdict) -> Row {
    let switch = crate::namespaces::available().err();
    let refused = obstacle.map(|(stage, errno)| {
        let errno = nix::errno::Errno::from_raw(errno);
        format!("a job's set-up stops at step {stage:?}: {errno}")
    });
    let found = switch.or(refused);
    Row {
        check: "namespaces",
        verdict: match (&found, obstacle) {
            (Some(_), None) => Verdict::Degraded,
            _ => refusal,
        },
        found: found.unwrap_or_else(|| "available".to_owned()),
        needed: "unprivileged user namespaces, and mounts inside them".to_owned(),
        remedy: match contained {
            true => GRANT,
            false => {
                "set the named sysctl the other way, or give the binary an AppArmor profile with \
                 userns"
            }
        },
    }
}

fn landlock(contained: bool) -> Row {
    let abi = sys::landlock_abi();
    Row {
        check: "Landlock",
        found: format!("ABI {abi}"),
        needed: format!("ABI {ABI_FULL}, at least {ABI_MIN}"),
        remedy: match contained {
            true => "kernel 6.12, and a seccomp profile of the engine that allows landlock_*",
            false => "kernel 6.12 with landlock in the lsm= list",
        },
        verdict: match abi {
            abi if abi >= ABI_FULL => Verdict::Pass,
            abi if abi >= ABI_MIN => Verdict::Degraded,
            _ => Verdict::Fail,
        },
    }
}

fn seccomp() -> Row {
    let available = sys::seccomp_kill_process_available();
    Row {
        check: "seccomp",
        found: if available { "kill_process" } else { "absent" }.to_owned(),
        needed: "filters with kill_process".to_owned(),
        remedy: "kernel with CONFIG_SECCOMP_FILTER",
        verdict: if available {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
    }
}

fn cgroups(contained: bool) -> Row {
    let found = Cgroups::detect();
    Row {
        check: "control groups",
        found: found.name().to_owned(),
        needed: "memory, pids and cpu delegated (v2) or writable (v1)".to_owned(),
        remedy: match contained {
            true => "none needed for models: the container's own --memory and --pids-limit hold",
            false => "systemd: Delegate=yes in the unit",
        },
        verdict: match found {
            Cgroups::None => Verdict::Degraded,
            _ => Verdict::Pass,
        },
    }
}

fn orphans() -> Row {
    let left = Cgroups::detect().orphans();
    Row {
        check: "orphans",
        found: format!("{left} groups of dead nodes"),
        needed: "none".to_owned(),
        remedy: "a process of a dead node still runs: end it, then start again",
        verdict: if left == 0 {
            Verdict::Pass
        } else {
            Verdict::Degraded
        },
    }
}

fn tier(obstacle: Option<(Stage, i32)>) -> Row {
    let tier = match obstacle {
        Some((stage, _)) if stage.needs_namespaces() => probe_tier().and(Degradation::Namespaces),
        _ => probe_tier(),
    };
    Row {
        check: "tier",
        found: tier.to_string(),
        needed: "full".to_owned(),
        remedy: "see the rows above, or name the gap in sandbox.allow_degraded",
        verdict: if tier.is_full() {
            Verdict::Pass
        } else {
            Verdict::Degraded
        },
    }
}

fn self_test(config: &SandboxConfig) -> Row {
    let opened = Sandbox::open(config.clone());
    Row {
        check: "self-test",
        verdict: if opened.is_ok() {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
        found: match opened {
            Ok((_, test)) => {
                let micros = test.setup.as_micros();
                format!(
                    "{} attempts refused, set-up {micros} us",
                    test.controls.len()
                )
            }
            Err(closed) => closed.to_string(),
        },
        needed: "every attempt refused".to_owned(),
        remedy: "no job runs here until this passes; the rows above name the layer that is missing",
    }
}
