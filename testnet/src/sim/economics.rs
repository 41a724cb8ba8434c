//! What each hostile strategy earns beside honest work, played over the real ledger.
//!
//! ```text
//!   report ─ play: batches of jobs, hostile and honest     stats: mean, 95 % interval
//!               └─ market: genesis, signed transactions, blocks, draws, fees, slashes
//!               └─ strategy: what the hostile seats of a job do
//! ```
//! A strategy's profit is what its members own at the end (balance, bond, unbonding; the client's too
//! where it is theirs) less what they owned before, less what their runs cost. Its edge is the
//! difference to the same members working honestly. Whether an edge is positive is computed.
//!
//! Reading order: [`strategy`], `market`, `play`, [`stats`], `show`.
//!
//! Invariants: money is conserved in every batch; the same seed gives the same table; no floats.
//!
//! It is not: a model of what a false result is worth outside the chain. The report counts how many
//! jobs a strategy falsified; whoever relies on results multiplies.

mod market;
mod play;
mod show;
pub mod stats;
pub mod strategy;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use protocol::keys::simulated::Scope;
use protocol::params::Params;
use protocol::units::{Amount, Fuel};
use serde::Serialize;

use stats::Sample;
use strategy::{Group, Strategy};

/// Batches of each strategy: the samples of its interval.
pub const BATCHES: u64 = 20;
/// What a run costs its host, in thousandths of what an honest seat earns for it.
pub const RUN_COST_PERMILLE: u64 = 500;
/// How often a guess is right, in thousandths: one label of ten.
pub const GUESS_PERMILLE: u64 = 100;

/// Parameters and people of a played chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// A developer's machine.
    Local,
    /// Mainnet-like.
    Network,
}

impl Preset {
    /// Both, in the order of the report.
    pub const ALL: [Self; 2] = [Self::Local, Self::Network];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Network => "network",
        }
    }

    fn params(self) -> Params {
        match self {
            Self::Local => Params::local(),
            Self::Network => Params::network(),
        }
    }

    /// As many validators as the preset allows.
    const fn validators(self) -> u64 {
        match self {
            Self::Local => 16,
            Self::Network => 100,
        }
    }

    /// What an honest validator has bonded.
    const fn stake(self) -> Amount {
        match self {
            Self::Local => Amount::pal(1_000),
            Self::Network => Amount::pal(20_000),
        }
    }

    /// A job of one block's work.
    fn fuel(self) -> Fuel {
        self.params().fuel_per_block
    }

    fn reward(self) -> Amount {
        self.params().seat_reward(self.fuel())
    }

    fn run_cost(self) -> Amount {
        self.reward().share(RUN_COST_PERMILLE, 1_000)
    }
}

/// What to play.
#[derive(Debug, Clone)]
pub struct EconomicsArgs {
    /// On which chains.
    pub presets: Vec<Preset>,
    /// Jobs of each strategy, at least one a batch.
    pub jobs: u64,
    /// Decides keys, guesses and, through block ids, every draw.
    pub seed: u64,
}

/// One line of the report. Money is in thousandths of a upal for each job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What was played.
    pub strategy: &'static str,
    /// Who played it.
    pub members: &'static str,
    /// What it earned for each job, runs paid.
    pub profit: Sample,
    /// What the same members earn by honest work.
    pub honest: Sample,
    /// The difference.
    pub edge: Sample,
    /// Runs for each thousand jobs.
    pub runs_per_thousand: u64,
    /// Jobs that ended with a false answer, in each thousand.
    pub falsified_per_thousand: u64,
    /// Jobs that ended without any answer, in each thousand.
    pub unserved_per_thousand: u64,
    /// What the interval of the edge says.
    pub verdict: Verdict,
}

/// Whether cheating pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is above zero.
    Positive,
    /// The whole interval is below zero.
    Negative,
    /// Zero lies within.
    Undecided,
}

/// All lines of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Which parameters.
    pub preset: Preset,
    /// Validators in all.
    pub validators: u64,
    /// What an honest seat earns, in upal.
    pub seat_reward_upal: u64,
    /// What a run is taken to cost, in upal.
    pub run_cost_upal: u64,
    /// One line a strategy.
    pub rows: Vec<Row>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Layout of this document.
    pub schema: &'static str,
    /// As given.
    pub seed: u64,
    /// Jobs of each strategy.
    pub jobs: u64,
    /// One a preset.
    pub sections: Vec<Section>,
}

/// Plays every strategy on every chain asked for.
///
/// # Errors
/// A sentence, if the ledger refuses what must be allowed or money is not conserved: a bug either way.
pub fn report(args: &EconomicsArgs) -> Result<Report, String> {
    let scope = Scope::enter();
    let jobs_a_batch = args.jobs.div_ceil(BATCHES).max(1);
    let mut sections = Vec::new();
    for preset in &args.presets {
        sections.push(section(*preset, jobs_a_batch, args.seed, &scope)?);
    }
    Ok(Report {
        schema: "palisade.economics/1",
        seed: args.seed,
        jobs: jobs_a_batch * BATCHES,
        sections,
    })
}

fn section(preset: Preset, jobs: u64, seed: u64, scope: &Scope) -> Result<Section, String> {
    let mut known: BTreeMap<(Group, u64), Sample> = BTreeMap::new();
    let mut rows = Vec::new();
    for strategy in Strategy::all() {
        let played = play::strategy(preset, strategy, jobs, seed, scope)?;
        let base = strategy.at_honest_work();
        let honest = match known.get(&(base.group, base.foils)) {
            Some(honest) => *honest,
            None => Sample::of(&play::strategy(preset, base, jobs, seed, scope)?.profits),
        };
        known.insert((base.group, base.foils), honest);
        let profit = Sample::of(&played.profits);
        let edge = profit.minus(&honest);
        rows.push(Row {
            strategy: strategy.name,
            members: strategy.group.name(),
            verdict: verdict(&edge),
            profit,
            honest,
            edge,
            runs_per_thousand: played.per_thousand(played.runs),
            falsified_per_thousand: played.per_thousand(played.falsified),
            unserved_per_thousand: played.per_thousand(played.unserved),
        });
    }
    Ok(Section {
        preset,
        validators: preset.validators(),
        seat_reward_upal: preset.reward().0,
        run_cost_upal: preset.run_cost().0,
        rows,
    })
}

const fn verdict(edge: &Sample) -> Verdict {
    if edge.mean - edge.half > 0 {
        Verdict::Positive
    } else if edge.mean + edge.half < 0 {
        Verdict::Negative
    } else {
        Verdict::Undecided
    }
}
