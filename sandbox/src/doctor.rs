//! What a person needs to know to make a host fit: check, found, needed, remedy.

use std::fs;

use crate::cgroup::Cgroups;
use crate::landlock::{ABI_FULL, ABI_MIN};
use crate::namespaces;
use crate::sandbox::{Sandbox, SandboxConfig, probe_tier};
use crate::sys;

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
    let mut rows = vec![
        kernel(),
        user_namespaces(),
        landlock(),
        seccomp(),
        cgroups(),
        orphans(),
        tier(),
    ];
    rows.push(self_test(config));
    rows
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

fn user_namespaces() -> Row {
    let available = namespaces::available();
    Row {
        check: "user namespaces",
        verdict: if available.is_ok() {
            Verdict::Pass
        } else {
            Verdict::Degraded
        },
        found: available.err().unwrap_or_else(|| "available".to_owned()),
        needed: "unprivileged user namespaces".to_owned(),
        remedy: "set the named sysctl the other way, or give the binary an AppArmor profile with userns",
    }
}

fn landlock() -> Row {
    let abi = sys::landlock_abi();
    Row {
        check: "Landlock",
        found: format!("ABI {abi}"),
        needed: format!("ABI {ABI_FULL}, at least {ABI_MIN}"),
        remedy: "kernel 6.12 with landlock in the lsm= list",
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

fn cgroups() -> Row {
    let found = Cgroups::detect();
    Row {
        check: "control groups",
        found: found.name().to_owned(),
        needed: "memory, pids and cpu delegated (v2) or writable (v1)".to_owned(),
        remedy: "systemd: Delegate=yes in the unit",
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

fn tier() -> Row {
    let tier = probe_tier();
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
