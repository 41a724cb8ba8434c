//! `palisade doctor` and `palisade sandbox …`

mod deployment;
mod host;
mod production;
mod row;

use std::sync::mpsc;

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use sandbox::attacks::{self, Attack};
use sandbox::{Degradation, Sandbox, SandboxConfig, Slot};
use serde_json::json;

use row::{Row, Verdict};

use super::Context;
use crate::exit::Exit;
use crate::problem::Problem;

/// What to check.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Only the sandbox.
    #[arg(long, conflicts_with_all = ["profile", "genesis_hash"])]
    sandbox: bool,
    /// How far to look.
    #[arg(long, value_enum, default_value_t = CheckProfile::Local)]
    profile: CheckProfile,
    /// The genesis hash that was agreed, for the profile `deploy` and `production`.
    #[arg(long, value_name = "HEX")]
    genesis_hash: Option<protocol::digest::ChainId>,
}

/// How far `doctor` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum CheckProfile {
    /// This machine: sandbox, processor, ports, descriptors, clock, disk.
    Local,
    /// Also the checklist before a deployment.
    Deploy,
    /// Also the checklist of a running validator.
    Production,
}

/// What to do with the sandbox.
#[derive(Subcommand, Debug)]
pub(crate) enum SandboxVerb {
    /// Run a static program in the sandbox, and end as it did.
    Run(Box<super::sandbox::RunArgs>),
    /// Try an attack from inside, as a captured runner or as a native program.
    Attack {
        /// Its name, or `all`, or `list`.
        name: String,
        /// Under which profile.
        #[arg(long, value_enum, default_value = "runner")]
        profile: ProfileName,
    },
    /// Print what a profile allows and why.
    Profile {
        /// Which one.
        #[arg(value_enum)]
        profile: ProfileName,
    },
    /// Print the seccomp profile that a container engine must be given for jobs to run inside.
    ContainerProfile,
}

/// What deploy/ ships: whoever has the image alone can still grant what its jobs need.
const CONTAINER_PROFILE: &str = include_str!("../../../deploy/seccomp-palisade.json");

/// A profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// Our own interpreter of models.
    Runner,
    /// Somebody's static program.
    Native,
}

impl ProfileName {
    /// As the sandbox knows it.
    pub(crate) fn profile(self) -> sandbox::Profile {
        match self {
            Self::Runner => sandbox::Profile::Runner,
            Self::Native => sandbox::Profile::Native,
        }
    }
}

/// The sandbox as this home configures it, with a scratch directory of its own.
pub(crate) fn sandbox_config(context: &Context) -> Result<(SandboxConfig, tempdir::TempDir)> {
    let config = context
        .home
        .load_config(context.global.config.as_deref())?
        .config
        .sandbox;
    let dir = tempdir::TempDir::new()?;
    let mut sandbox = SandboxConfig::new(dir.path());
    sandbox.uid_base = config.uid_base;
    sandbox.allow_degraded = degradations(&config.allow_degraded)?;
    Ok((sandbox, dir))
}

/// Reads `sandbox.allow_degraded`.
pub(crate) fn degradations(names: &[String]) -> Result<Vec<Degradation>, Problem> {
    let known = |name: &String| {
        Degradation::from_allow_name(name).ok_or_else(|| {
            let text = format!("sandbox.allow_degraded: {name:?} is not a layer");
            Problem::new("config.invalid", text)
        })
    };
    names.iter().map(known).collect()
}

/// Checks this host and, as far as asked, this home.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit> {
    let (settings, _dir) = sandbox_config(context)?;
    let walls: Vec<Row> = sandbox::doctor(&settings)
        .into_iter()
        .map(Row::from)
        .collect();
    let tier = walls.iter().find(|row| row.check == "tier");
    let tier = tier.map_or_else(String::new, |row| row.found.clone());
    let mut rows = walls.clone();
    if !args.sandbox {
        let config = context
            .home
            .load_config(context.global.config.as_deref())?
            .config;
        rows.extend(host::rows(&context.home, &config));
        if args.profile >= CheckProfile::Deploy {
            let agreed = args.genesis_hash.as_ref();
            rows.extend(deployment::rows(context, &config, agreed, &walls));
        }
        if args.profile == CheckProfile::Production {
            rows.extend(production::rows(&context.resolve()));
        }
    }
    let failed = rows.iter().any(|row| row.verdict == Verdict::Fail);
    let list: Vec<_> = rows.iter().map(Row::to_json).collect();
    let document =
        json!({"schema": "palisade.doctor/1", "ok": !failed, "tier": tier, "checks": list});
    context.output.document(&document, || {
        rows.iter().map(Row::to_text).collect::<Vec<_>>().join("\n")
    });
    if !failed {
        return Ok(Exit::Ok);
    }
    let failed = rows.iter().filter(|row| row.verdict == Verdict::Fail);
    let names: Vec<&str> = failed.map(|row| row.check.as_str()).collect();
    let problem = Problem::new("doctor.failed", names.join(", "));
    Ok(context.output.problem(&problem))
}

/// Runs a verb of the sandbox.
pub(crate) fn sandbox(context: &Context, verb: &SandboxVerb) -> Result<Exit> {
    match verb {
        SandboxVerb::Run(args) => {
            let code = super::sandbox::run(context, args)?;
            // The program's own code, which no list of ours holds.
            std::process::exit(i32::from(code))
        }
        SandboxVerb::Profile { profile } => {
            let source = sandbox::profile_source(profile.profile());
            let value: serde_json::Value = serde_json::from_str(source)?;
            let limits = sandbox::Limits::ceiling(profile.profile());
            context
                .output
                .document(&value, || explained(&value, &limits));
            Ok(Exit::Ok)
        }
        SandboxVerb::ContainerProfile => {
            let value: serde_json::Value = serde_json::from_str(CONTAINER_PROFILE)?;
            context
                .output
                .document(&value, || CONTAINER_PROFILE.to_owned());
            Ok(Exit::Ok)
        }
        SandboxVerb::Attack { name, .. } if name == "list" => {
            let rows: Vec<_> = Attack::all()
                .map(|attack| json!({"name": attack.name, "about": attack.about}))
                .collect();
            context.output.document(
                &json!({"schema": "palisade.attacks/1", "attacks": rows}),
                || {
                    let lines =
                        Attack::all().map(|attack| format!("{:<28} {}", attack.name, attack.about));
                    lines.collect::<Vec<_>>().join("\n")
                },
            );
            Ok(Exit::Ok)
        }
        SandboxVerb::Attack { name, profile } => attack(context, name, *profile),
    }
}

/// A profile for people: what each list does, and every call in it with its reason.
fn explained(profile: &serde_json::Value, limits: &sandbox::Limits) -> String {
    let lists = [
        (
            "allow",
            "allowed; whatever stands in no list is refused (native) or ends the job (runner)",
        ),
        (
            "processes",
            "allowed too if the job may have more than one task",
        ),
        (
            "absent",
            "answered as if the kernel did not have it (ENOSYS)",
        ),
        ("kill", "ends the job"),
        ("seal", "ends a runner once it has started to read a model"),
        ("init", "all that pid 1 of a native job may do itself"),
    ];
    let mut lines = vec![format!("ceilings: {limits:?}")];
    for (name, meaning) in lists {
        let Some(rules) = profile[name]["filter"].as_array() else {
            continue;
        };
        lines.push(format!("\n{name}: {meaning}"));
        for rule in rules {
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let conditions = rule["args"].as_array().into_iter().flatten();
            let only: Vec<String> = conditions.map(|one| text(&one["comment"])).collect();
            let only = if only.is_empty() {
                String::new()
            } else {
                format!(" (only {})", only.join(", "))
            };
            lines.push(format!(
                "  {:<22} {}{only}",
                text(&rule["syscall"]),
                text(&rule["comment"])
            ));
        }
    }
    lines.join("\n")
}

fn attack(context: &Context, name: &str, profile: ProfileName) -> Result<Exit> {
    let names: Vec<&'static str> = match name {
        "all" => Attack::all().map(|attack| attack.name).collect(),
        one => Attack::find(one)
            .map(|attack| attack.name)
            .into_iter()
            .collect(),
    };
    if names.is_empty() {
        let known: Vec<&str> = Attack::all().map(|attack| attack.name).collect();
        let detail = format!("no attack {name}; all, or one of {}", known.join(", "));
        let problem = Problem::new("usage", detail);
        return Err(problem.hint("palisade sandbox attack list").into());
    }
    let (config, _dir) = sandbox_config(context)?;
    let reports = in_slot(config, names, profile)?;
    let blocked = reports.iter().all(|report| report.blocked);
    let rows: Vec<_> = reports
        .iter()
        .map(|report| {
            json!({
                "attack": report.attack, "profile": report.profile.name(),
                "outcome": report.outcome,
                "detail": report.detail, "blocked": report.blocked,
            })
        })
        .collect();
    let document = json!({"schema": "palisade.attack/1", "ok": blocked, "attacks": rows});
    context.output.document(&document, || {
        let line = |report: &attacks::AttackReport| {
            let verdict = if report.blocked {
                "blocked"
            } else {
                "SUCCEEDED"
            };
            format!(
                "{verdict:<10} {:<28} {}: {}",
                report.attack, report.outcome, report.detail
            )
        };
        reports.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    if blocked {
        return Ok(Exit::Ok);
    }
    let through = reports.iter().filter(|report| !report.blocked);
    let names: Vec<&str> = through.map(|report| report.attack).collect();
    let problem = Problem::new("sandbox.attack_succeeded", names.join(", "));
    Ok(context.output.problem(&problem))
}

/// The launcher dies with the thread that started it, so one thread does it all.
fn in_slot(
    config: SandboxConfig,
    names: Vec<&'static str>,
    profile: ProfileName,
) -> Result<Vec<attacks::AttackReport>> {
    let (send, receive) = mpsc::channel();
    let work = move || -> Result<Vec<attacks::AttackReport>> {
        let (sandbox, _) =
            Sandbox::open(config).map_err(|closed| Problem::new("check.sandbox", closed))?;
        let mut slot = Slot::spawn(sandbox.slot(0)?)?;
        let mut reports = Vec::new();
        for name in names {
            reports.push(match profile {
                ProfileName::Runner => attacks::run_as_runner(&mut slot, name, "")?,
                ProfileName::Native => attacks::run(&mut slot, name, "")?,
            });
        }
        Ok(reports)
    };
    std::thread::scope(|scope| {
        scope.spawn(move || drop(send.send(work())));
        receive.recv()?
    })
}

/// A directory that goes when its owner does.
pub(crate) mod tempdir {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);

    /// The directory.
    #[derive(Debug)]
    pub(crate) struct TempDir(PathBuf);

    impl TempDir {
        /// Makes one that slots of other users may enter.
        pub(crate) fn new() -> std::io::Result<Self> {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("palisade-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path)?;
            Ok(Self(path))
        }

        /// Where it is.
        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}
