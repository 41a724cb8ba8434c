//! The attack suite as data: what a hostile job tries, and how each attempt has to end.
//!
//! One table serves the self-test at start, `doctor`, the command line and the tests. An attack
//! runs inside a job, as the probe under `native` or as a captured, sealed runner under `runner`.

mod bombs;
mod calls;
mod probe;
mod run;
mod table;

use std::fmt;

use crate::spec::Profile;

pub use probe::{PROBE_MODE, probe_main};
pub use run::{AttackReport, UnknownAttack, run, run_as_runner};
pub(crate) use run::{parse_suite, suite_spec, trial_spec};

/// What became of one attempt, as seen by the attacker who survived it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The kernel said no, with this errno.
    Refused(i32),
    /// It worked.
    Allowed(String),
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attempt::Refused(errno) => {
                write!(f, "refused {}", nix::errno::Errno::from_raw(*errno))
            }
            Attempt::Allowed(what) => write!(f, "allowed {what}"),
        }
    }
}

impl Attempt {
    fn from_call(answer: Result<i64, i32>) -> Attempt {
        match answer {
            Ok(value) => Attempt::Allowed(format!("returned {value}")),
            Err(errno) => Attempt::Refused(errno),
        }
    }
}

/// How far an attack's end decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One forbidden act: refused by errno, or the process dies of the filter.
    Attempt,
    /// A whole job that must end in one of the outcomes listed for its profile.
    Bomb {
        /// Outcome labels that count as contained under `runner`.
        runner: &'static [&'static str],
        /// The same under `native`.
        native: &'static [&'static str],
    },
}

/// One row of the suite.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Stable name, for the command line and reports.
    pub name: &'static str,
    /// What is attempted, in one line.
    pub about: &'static str,
    /// How its end is judged.
    pub kind: Kind,
    act: fn(&str) -> Attempt,
}

/// End labels that count as blocked for a single forbidden act.
const BLOCKED: &[&str] = &["refused", "seccomp_violation"];

impl Attack {
    /// Every attack, attempts first.
    pub fn all() -> impl Iterator<Item = &'static Attack> {
        table::TABLE.iter().chain(bombs::TABLE)
    }

    /// The attack of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Attack> {
        Attack::all().find(|attack| attack.name == name)
    }

    /// End labels that count as blocked.
    #[must_use]
    pub fn expected(&self, profile: Profile) -> &'static [&'static str] {
        match (self.kind, profile) {
            (Kind::Attempt, _) => BLOCKED,
            (Kind::Bomb { runner, .. }, Profile::Runner) => runner,
            (Kind::Bomb { native, .. }, Profile::Native) => native,
        }
    }
}

/// Acts as a captured runner: called by the runner mode inside a job, after `seal`. Returns only
/// if the process survives; `None` if there is no such attack.
///
/// `target` is the file or address some attacks go for; empty means their own default.
#[must_use]
pub fn as_runner(name: &str, target: &str) -> Option<Attempt> {
    Attack::find(name).map(|attack| (attack.act)(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_snake_case() {
        let mut seen = BTreeSet::new();
        for attack in Attack::all() {
            assert!(seen.insert(attack.name), "{} twice", attack.name);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(attack.name.chars().all(plain), "{}", attack.name);
            assert!(!attack.about.is_empty());
        }
        assert!(seen.len() >= 69, "{} attacks", seen.len());
    }

    #[test]
    fn the_demo_attacks_exist() {
        for name in ["open_socket", "read_secret", "fork_bomb"] {
            assert!(Attack::find(name).is_some(), "{name}");
        }
    }
}
