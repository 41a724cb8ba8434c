//! `palisade demo`: four validators, eight facts, one document (testnet.md, The demo).
//!
//! Shop window and test at once: it exits 0 only if every fact was checked and held. Whatever a fact
//! says, it says through the public API and the command line that everybody uses.

mod audit;
mod commits;
mod crash;
mod flood;
mod hostile;
mod liar;
mod paid;
mod stage;
mod supply;

use std::borrow::Cow;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::claim::Claim;
use crate::cli::{Context, Output};
use crate::clock::{Deadline, Stopwatch};
use crate::error::{CommandError, EXIT_FALSE, EXIT_UNAVAILABLE};
use crate::files::{NETS, NetDir};
use crate::home::KeySource;
use crate::manifest::{Manifest, duration_ms};
use crate::net::Tie;
use crate::setup::{Addresses, Setup};
use crate::slot::Slot;
use crate::terminal::{note, stdout};
use stage::Stage;

/// The validators, in this order.
const NAMES: [&str; 4] = ["alice", "bob", "carol", "mallory"];
const NET_NAME: &str = "demo";
const CHAIN_NAME: &str = "palisade-local-demo";
/// For those who read along, between two facts; `--fast` leaves it out.
const READING_TIME: Duration = Duration::from_millis(800);

/// `palisade demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoCommand {
    /// Leave out the pauses made for reading.
    #[arg(long)]
    pub fast: bool,
    /// Leave the net up afterwards.
    #[arg(long)]
    pub keep: bool,
    /// Everything must be over within this.
    #[arg(long, default_value = "120s")]
    pub timeout: String,
    /// Let the nodes take jobs without this layer of the sandbox: cgroup, landlock-abi, namespaces.
    #[arg(long, value_name = "NAME")]
    pub allow_degraded: Vec<String>,
}

/// One checked claim.
#[derive(Debug, Clone, Serialize)]
struct Fact {
    name: &'static str,
    ok: bool,
    detail: String,
    data: Value,
}

/// `palisade.demo/1`.
#[derive(Debug, Clone, Serialize)]
struct Report {
    schema: &'static str,
    ok: bool,
    facts: Vec<Fact>,
    api: Option<String>,
    chain_name: &'static str,
    chain_id: String,
    seed: u64,
    duration_s: f64,
    artefacts: String,
    kept: bool,
    error: Option<Problem>,
}

#[derive(Debug, Clone, Serialize)]
struct Problem {
    code: Cow<'static, str>,
    detail: String,
}

/// What a check found: a sentence and its figures.
type Finding = Result<(String, Value)>;
type Check = fn(&Stage) -> Finding;

/// The facts in the order of the story. Once mallory is jailed three equal validators remain and more
/// than two thirds needs all of them, so the crash comes before the lie.
const FACTS: [(&str, Check); 8] = [
    ("validators_commit", commits::check),
    ("job_paid", paid::check),
    ("hostile_model_contained", hostile::check),
    ("crash_recovered", crash::check),
    ("liar_slashed", liar::check),
    ("flooder_banned", flood::check),
    ("supply_conserved", supply::check),
    ("audit_verified", audit::check),
];

impl DemoCommand {
    /// Tells the whole story and prints its document.
    ///
    /// # Errors
    /// [`CommandError`]: 8 if a fact is false or time ran out, 4 if the net could not start.
    pub fn run(self, context: &Context<'_>) -> Result<()> {
        let clock = Stopwatch::start();
        let timeout = duration_ms(&self.timeout).ok_or_else(|| {
            let detail = format!("--timeout: `{}` is no duration", self.timeout);
            CommandError::config(detail, "write 120s or 2m")
        })?;
        let deadline = Deadline::after(Duration::from_millis(timeout));
        let mut report = self.report();
        match self.start(context, deadline) {
            Ok(stage) => {
                report.api = Some(stage.apis[0].1.base().to_owned());
                report.chain_id.clone_from(&stage.net.plan.chain_id);
                self.tell(&stage, &mut report, context)?;
                if let Err(error) = self.end(&stage) {
                    report.error.get_or_insert(problem("demo.down", &error));
                }
            }
            Err(error) => report.error = Some(problem("demo.start", &error)),
        }
        report.ok = report.error.is_none() && report.facts.iter().all(|fact| fact.ok);
        report.duration_s = clock.seconds();
        print(&report, context)?;
        verdict(&report)
    }

    fn report(&self) -> Report {
        let unreached = |(name, _): &(&'static str, Check)| Fact {
            name,
            ok: false,
            detail: "not reached".into(),
            data: Value::Object(serde_json::Map::new()),
        };
        Report {
            schema: "palisade.demo/1",
            ok: false,
            facts: FACTS.iter().map(unreached).collect(),
            api: None,
            chain_name: CHAIN_NAME,
            chain_id: String::new(),
            seed: manifest().seed,
            duration_s: 0.0,
            artefacts: format!("{NETS}/{NET_NAME}"),
            kept: self.keep,
            error: None,
        }
    }

    /// Checks the sandbox, writes a fresh net and starts it.
    fn start(&self, context: &Context<'_>, deadline: Deadline) -> Result<Stage> {
        let dir = NetDir::of(NET_NAME)?;
        let claim = Claim::of(&dir)?;
        context.host.check_degradations(&self.allow_degraded)?;
        claim.clear()?;
        let manifest = manifest();
        let slot = Slot::free(&dir)?;
        let setup = Setup {
            name: NET_NAME,
            dir: &dir,
            manifest: &manifest,
            keys: KeySource::Dev(manifest.seed),
            addresses: Addresses::Slot(slot.number()),
            fund: &[],
            client: None,
            genesis_time: crate::clock::wall(),
            allow_degraded: &self.allow_degraded,
            api_port: None,
            metrics_port: None,
        };
        let net = claim.make(&setup, context.host)?;
        drop(slot);
        stage::require_sandbox(&dir)?;
        let tie = if self.keep { Tie::Detached } else { Tie::Tied };
        let endpoints = net.start(tie)?;
        Stage::new(net, &endpoints, deadline)
    }

    /// Checks fact after fact; the first false one ends the story.
    fn tell(&self, stage: &Stage, report: &mut Report, context: &Context<'_>) -> Result<()> {
        let count = FACTS.len();
        for (index, (name, check)) in FACTS.iter().enumerate() {
            let clock = Stopwatch::start();
            let fact = match check(stage) {
                Ok((detail, data)) => Fact {
                    name,
                    ok: true,
                    detail,
                    data,
                },
                Err(error) => {
                    let data = Value::Object(serde_json::Map::new());
                    Fact {
                        name,
                        ok: false,
                        detail: format!("{error:#}"),
                        data,
                    }
                }
            };
            announce(&fact, index + 1, count, &clock, context)?;
            let ok = fact.ok;
            let detail = fact.detail.clone();
            report.facts[index] = fact;
            if !ok {
                let code = if stage.deadline.passed() {
                    "demo.timeout"
                } else {
                    "demo.false"
                };
                report.error = Some(Problem {
                    code: code.into(),
                    detail: format!("{name}: {detail}"),
                });
                return Ok(());
            }
            if !self.fast && context.output == Output::Human {
                // A pause for the reader, part of the show: nothing is waited for.
                std::thread::sleep(READING_TIME);
            }
        }
        Ok(())
    }

    fn end(&self, stage: &Stage) -> Result<()> {
        if self.keep { Ok(()) } else { stage.net.stop() }
    }
}

fn manifest() -> Manifest {
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    // Mallory and carol fail in turn, never together; half the stake is faulty only on paper.
    Manifest {
        allow_unsafe: true,
        ..Manifest::of_names(&names, CHAIN_NAME)
    }
}

fn problem(code: &'static str, error: &anyhow::Error) -> Problem {
    let code = error
        .downcast_ref::<CommandError>()
        .map_or(code.into(), |error| error.code.clone());
    Problem {
        code,
        detail: format!("{error:#}"),
    }
}

fn announce(
    fact: &Fact,
    number: usize,
    count: usize,
    clock: &Stopwatch,
    context: &Context<'_>,
) -> Result<()> {
    match context.output {
        Output::JsonLines => {
            let event = serde_json::json!({
                "event": "fact", "name": fact.name, "ok": fact.ok, "detail": fact.detail,
                "data": fact.data,
            });
            stdout(&serde_json::to_string(&event)?)?;
        }
        Output::Human | Output::Json => {
            let mark = if fact.ok { "ok   " } else { "FALSE" };
            let seconds = clock.seconds();
            note(&format!(
                "[{number}/{count}] {mark} {:<24} {seconds:>5.1} s  {}",
                fact.name, fact.detail
            ));
        }
    }
    Ok(())
}

fn print(report: &Report, context: &Context<'_>) -> Result<()> {
    stdout(&match context.output {
        Output::Json => serde_json::to_string_pretty(report)?,
        Output::JsonLines => serde_json::to_string(report)?,
        Output::Human => {
            let held = report.facts.iter().filter(|fact| fact.ok).count();
            format!(
                "{held} of {} facts hold, {:.1} s; artefacts in {}",
                report.facts.len(),
                report.duration_s,
                report.artefacts
            )
        }
    })
}

fn verdict(report: &Report) -> Result<()> {
    let Some(error) = &report.error else {
        return Ok(());
    };
    let started = report.api.is_some();
    Err(CommandError {
        exit: if started {
            EXIT_FALSE
        } else {
            EXIT_UNAVAILABLE
        },
        code: error.code.clone(),
        detail: error.detail.clone(),
        hint: format!("the nodes' logs are in {}", report.artefacts),
    }
    .into())
}
