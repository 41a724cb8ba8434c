//! Running attacks from outside, and judging how they ended.

use std::io;

use super::{Attack, Kind, PROBE_MODE};
use crate::cancel::Cancel;
use crate::outcome::Outcome;
use crate::report::Report;
use crate::slot::Slot;
use crate::spec::{Profile, Scratch, Spec};

use super::probe::{EXIT_ALLOWED, EXIT_REFUSED};

/// How one attack ended.
#[derive(Debug, Clone)]
pub struct AttackReport {
    /// Its name.
    pub attack: &'static str,
    /// Profile under which it ran.
    pub profile: Profile,
    /// Outcome label, or `refused` / `allowed` if the attacker survived to say so.
    pub outcome: String,
    /// What the attacker saw, or the full outcome.
    pub detail: String,
    /// Whether that is an end the suite accepts.
    pub blocked: bool,
}

/// An attack could not be run at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownAttack {
    /// No attack of this name.
    #[error("no attack named {0}")]
    Name(String),
    /// The attacker's program or the cancel switch could not be had.
    #[error("cannot prepare the attack: {0}")]
    Io(#[from] io::Error),
    /// The sandbox refused the job.
    #[error(transparent)]
    Spec(#[from] crate::error::SpecError),
}

/// Runs one attack under `native`.
///
/// # Errors
/// When there is no such attack or the job cannot be described; never for how it ends.
pub fn run(slot: &mut Slot, name: &str, target: &str) -> Result<AttackReport, UnknownAttack> {
    judge(slot, name, target, Profile::Native)
}

/// Runs one attack under `runner`, after the second filter, as a captured runner would.
///
/// # Errors
/// As [`run`].
pub fn run_as_runner(
    slot: &mut Slot,
    name: &str,
    target: &str,
) -> Result<AttackReport, UnknownAttack> {
    judge(slot, name, target, Profile::Runner)
}

fn judge(
    slot: &mut Slot,
    name: &str,
    target: &str,
    profile: Profile,
) -> Result<AttackReport, UnknownAttack> {
    let attack = Attack::find(name).ok_or_else(|| UnknownAttack::Name(name.to_owned()))?;
    let mode = match profile {
        Profile::Runner => "sealed",
        Profile::Native => "one",
    };
    let mut spec = probe_spec(slot, profile, &[mode, name, target])?;
    if let Kind::Bomb { .. } = attack.kind {
        // Enough to be stopped by the limit meant, soon.
        spec.limits.memory_bytes = 64 << 20;
        if matches!(name, "spin" | "ignore_signals") {
            spec.limits.cpu_seconds = 1;
        }
        spec.limits.wall_ms = if waits_for_the_wall(name) {
            1_500
        } else {
            30_000
        };
    }
    let report = slot.run(spec, &Cancel::new()?)?;
    let outcome = label(&report);
    let blocked = attack.expected(profile).contains(&outcome.as_str());
    let said = String::from_utf8_lossy(&report.stdout[..report.stdout.len().min(200)]);
    let detail = match (attack.kind, said.lines().next()) {
        (Kind::Attempt, Some(line)) => line.to_owned(),
        _ => report.outcome.to_string(),
    };
    Ok(AttackReport {
        attack: attack.name,
        profile,
        outcome,
        detail,
        blocked,
    })
}

/// Acts that only the wall clock ends. All others end by what they consume, and get time for it: a
/// job is nicer than its host and may be long in finding the CPU it wants to waste.
fn waits_for_the_wall(name: &str) -> bool {
    matches!(name, "sleep" | "stop_itself" | "close_outputs")
}

fn probe_spec(slot: &Slot, profile: Profile, arguments: &[&str]) -> io::Result<Spec> {
    let mut words = vec!["probe", PROBE_MODE];
    words.extend(arguments);
    let mut spec = Spec::new(slot.own_program()?, profile, &words);
    if profile == Profile::Native {
        spec.scratch = Some(Scratch {
            bytes: 4 << 20,
            inodes: 256,
            collect: Vec::new(),
            collect_bytes: 0,
        });
    }
    Ok(spec)
}

/// A job that is over at once: does this host let one be set up?
pub(crate) fn trial_spec(slot: &Slot) -> io::Result<Spec> {
    probe_spec(slot, Profile::Runner, &["sealed", "read_secret", ""])
}

/// The job that tries every single act.
pub(crate) fn suite_spec(slot: &Slot) -> io::Result<Spec> {
    probe_spec(slot, Profile::Native, &["suite"])
}

/// Lines of the suite: name, what happened, whether it was blocked.
pub(crate) fn parse_suite(report: &Report) -> Vec<(&'static str, String, bool)> {
    let text = String::from_utf8_lossy(&report.stdout);
    Attack::all()
        .filter(|attack| attack.kind == Kind::Attempt)
        .map(|attack| {
            let found = text
                .lines()
                .filter_map(|line| line.split_once(' '))
                .find(|(name, _)| *name == attack.name)
                .map_or_else(
                    || format!("no answer ({})", report.outcome),
                    |(_, end)| end.to_owned(),
                );
            let blocked = found == "refused" || found == format!("killed {}", libc::SIGSYS);
            (attack.name, found, blocked)
        })
        .collect()
}

fn label(report: &Report) -> String {
    match report.outcome {
        Outcome::Exited(code) if code == i32::from(EXIT_REFUSED) => "refused".to_owned(),
        Outcome::Exited(code) if code == i32::from(EXIT_ALLOWED) => "allowed".to_owned(),
        ref other => other.label().to_owned(),
    }
}
