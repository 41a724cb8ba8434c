//! The door: what this host gives, whether it is enough, and slots if it is.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cgroup::Cgroups;
use crate::error::Closed;
use crate::landlock::{ABI_FULL, ABI_MIN};
use crate::layers::Layers;
use crate::namespaces;
use crate::outcome::Outcome;
use crate::seccomp;
use crate::selftest::{self, SelfTest};
use crate::slot::{Slot, SlotConfig};
use crate::spec::Profile;
use crate::stage::Stage;
use crate::sys;
use crate::tier::{Degradation, Tier};

/// Settings of the sandbox on one host.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Directory for the empty roots. It may be private: slots get it by descriptor.
    pub work_dir: PathBuf,
    /// Binary whose `main` matches the hidden modes; the running one if not given.
    pub launcher: PathBuf,
    /// First user id of the slots of a node run by root; slot N becomes `uid_base + N`.
    pub uid_base: u32,
    /// Degradations allowed by name.
    pub allow_degraded: Vec<Degradation>,
    /// Walls to build; anything but all of them only in builds of the attack suite.
    layers: Layers,
}

impl SandboxConfig {
    /// Defaults, with the running binary as launcher.
    #[must_use]
    pub fn new(work_dir: impl Into<PathBuf>) -> Self {
        SandboxConfig {
            work_dir: work_dir.into(),
            launcher: PathBuf::from("/proc/self/exe"),
            uid_base: 210_000,
            allow_degraded: Vec::new(),
            layers: Layers::ALL,
        }
    }

    /// Builds only some walls, for the self-test to notice.
    #[cfg(feature = "attack-suite")]
    #[must_use]
    pub fn with_layers(mut self, layers: Layers) -> Self {
        self.layers = layers;
        self
    }
}

/// The sandbox of one host, closed until its self-test has passed.
#[derive(Debug)]
pub struct Sandbox {
    config: SandboxConfig,
    tier: Tier,
    cgroups: Arc<Cgroups>,
    open: bool,
}

impl Sandbox {
    /// Looks at the host. No job can run yet: [`Sandbox::self_test`] opens it.
    ///
    /// # Errors
    /// When something is missing without which nothing ever runs, or the runner's tier is not
    /// allowed.
    pub fn probe(config: SandboxConfig) -> Result<Sandbox, Closed> {
        hard_requirements()?;
        let cgroups = Cgroups::detect();
        let tier = tier_of(&cgroups);
        let sandbox = Sandbox {
            config,
            tier,
            cgroups: Arc::new(cgroups),
            open: false,
        };
        sandbox.check_tier()?;
        Ok(sandbox)
    }

    /// Attacks the sandbox from inside and opens it if every attempt was refused.
    ///
    /// # Errors
    /// `Closed` with the first attempt that was not.
    pub fn self_test(&mut self) -> Result<SelfTest, Closed> {
        self.open = false;
        let mut slot = Slot::spawn(self.slot_config(0))?;
        let trial = selftest::trial(&mut slot)?;
        if let Outcome::SetupFailed { stage, errno } = trial.outcome {
            drop(slot);
            self.go_without_namespaces((stage, errno))?;
            slot = Slot::spawn(self.slot_config(0))?;
        }
        let mut result = selftest::run(&mut slot, &self.config.allow_degraded)?;
        if let Some(control) = result.failures().next() {
            return Err(Closed::SelfTest(format!(
                "{}: {}",
                control.name, control.found
            )));
        }
        result.setup = trial.setup;
        self.open = true;
        Ok(result)
    }

    /// Some hosts refuse a namespace only when it is made. That is a lower tier, if it is allowed.
    fn go_without_namespaces(&mut self, (stage, errno): (Stage, i32)) -> Result<(), Closed> {
        if self.tier.has(Degradation::Namespaces) || !stage.needs_namespaces() {
            let text = format!("a job cannot be set up: {stage:?}, errno {errno}");
            return Err(Closed::SelfTest(text));
        }
        self.tier = self.tier.clone().and(Degradation::Namespaces);
        self.check_tier()
    }

    fn check_tier(&self) -> Result<(), Closed> {
        let missing = self
            .tier
            .missing(Profile::Runner, &self.config.allow_degraded);
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.into_iter().map(Degradation::allow_name).collect();
        Err(Closed::Tier {
            tier: self.tier.to_string(),
            missing,
        })
    }

    /// Looks at the host and attacks the result: what a node does at start.
    ///
    /// # Errors
    /// As the two steps.
    pub fn open(config: SandboxConfig) -> Result<(Sandbox, SelfTest), Closed> {
        let mut sandbox = Sandbox::probe(config)?;
        let test = sandbox.self_test()?;
        Ok((sandbox, test))
    }

    /// Protection this host gives.
    #[must_use]
    pub fn tier(&self) -> &Tier {
        &self.tier
    }

    /// Whether `profile` may run here.
    #[must_use]
    pub fn allows(&self, profile: Profile) -> bool {
        self.open && self.tier.allows(profile, &self.config.allow_degraded)
    }

    /// Configuration of one slot, for [`Slot::spawn`] in the slot's own thread.
    ///
    /// # Errors
    /// `Closed::Untested` unless the self-test has passed.
    pub fn slot(&self, index: u32) -> Result<SlotConfig, Closed> {
        if self.open {
            Ok(self.slot_config(index))
        } else {
            Err(Closed::Untested)
        }
    }

    fn slot_config(&self, index: u32) -> SlotConfig {
        let bare = self.tier.has(Degradation::Namespaces);
        SlotConfig {
            index,
            launcher: self.config.launcher.clone(),
            work_dir: self.config.work_dir.clone(),
            uid: slot_user(self.config.uid_base.saturating_add(index)),
            tier: self.tier.clone(),
            allowed: self.config.allow_degraded.clone(),
            layers: if bare {
                Layers::WITHOUT_NAMESPACES
            } else {
                self.config.layers
            },
            cgroups: Arc::clone(&self.cgroups),
        }
    }
}

/// The user a slot's launcher becomes. Only root can change it, and inside a user namespace only
/// to one that is mapped there; otherwise launchers stay this process's user.
fn slot_user(uid: u32) -> Option<u32> {
    let maps = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    (sys::effective_uid() == 0 && is_mapped(&maps, uid)).then_some(uid)
}

fn is_mapped(maps: &str, uid: u32) -> bool {
    maps.lines().any(|line| {
        let numbers: Vec<u32> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        match numbers.as_slice() {
            [first, _, count] => uid
                .checked_sub(*first)
                .is_some_and(|offset| offset < *count),
            _ => false,
        }
    })
}

/// The step at which a first job's set-up fails here, with its errno; `None` if it succeeds or if
/// something more basic is missing. Unlike [`probe_tier`] it tries rather than reads switches.
pub(crate) fn obstacle(config: SandboxConfig) -> Option<(Stage, i32)> {
    let sandbox = Sandbox::probe(config).ok()?;
    if sandbox.tier.has(Degradation::Namespaces) {
        return None;
    }
    let mut slot = Slot::spawn(sandbox.slot_config(0)).ok()?;
    match selftest::trial(&mut slot).ok()?.outcome {
        Outcome::SetupFailed { stage, errno } => Some((stage, errno)),
        _ => None,
    }
}

/// The tier of this host, whatever is allowed.
#[must_use]
pub fn probe_tier() -> Tier {
    tier_of(&Cgroups::detect())
}

fn tier_of(cgroups: &Cgroups) -> Tier {
    let rows = [
        (matches!(cgroups, Cgroups::None), Degradation::Cgroup),
        (sys::landlock_abi() < ABI_FULL, Degradation::LandlockAbi),
        (namespaces::available().is_err(), Degradation::Namespaces),
    ];
    Tier::with(
        rows.into_iter()
            .filter(|(missing, _)| *missing)
            .map(|(_, d)| d),
    )
}

fn hard_requirements() -> Result<(), Closed> {
    let abi = sys::landlock_abi();
    if abi < ABI_MIN {
        return Err(Closed::Requirement(format!(
            "Landlock ABI {abi}, need {ABI_MIN}"
        )));
    }
    if !sys::seccomp_kill_process_available() {
        return Err(Closed::Requirement(
            "seccomp cannot kill a process here".to_owned(),
        ));
    }
    seccomp::compiled().map(|_| ()).map_err(Closed::Requirement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mapped_users_can_be_become() {
        assert!(is_mapped("         0          0 4294967295\n", 210_000));
        assert!(!is_mapped("         0       1000          1\n", 210_000));
        assert!(is_mapped("0 1000 1\n200000 1 20000\n", 210_000));
        assert!(!is_mapped("", 0));
    }
}
