//! `palisade testnet sim`: seeds, one or many, on as many threads as asked for.

mod crew;
mod report;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;

use super::{note, print};
use crate::cli::{Context, LayerChoice, Output, SimArgs};
use crate::clock::Stopwatch;
use crate::error::CommandError;
use crate::sim::economics::{self, Preset};
use crate::sim::keys::Signatures;
use crate::sim::plan::Setup;
use crate::sim::run::{Outcome, agreement, everything};
use crate::sim::trace::Tracing;
use report::Report;

/// One layer of the simulator.
#[derive(Debug, Clone, Copy)]
struct Layer {
    name: &'static str,
    run: fn(u64, Setup, Tracing) -> Outcome,
}

const AGREEMENT: Layer = Layer {
    name: "1",
    run: agreement,
};
const EVERYTHING: Layer = Layer {
    name: "2",
    run: everything,
};

/// What is run.
#[derive(Debug)]
struct Orders {
    seeds: Range<u64>,
    setup: Setup,
    layers: Vec<Layer>,
    threads: u16,
}

impl Orders {
    fn of(args: &SimArgs) -> Self {
        let one = args.seed.map(|seed| seed..seed.saturating_add(1));
        let many = args.seeds.as_ref().map(|range| range.0.clone());
        Self {
            // clap lets nobody past without one of them.
            seeds: one.or(many).unwrap_or(0..1),
            setup: Setup {
                nodes: args.nodes,
                heights: args.heights,
                profile: args.profile,
                signatures: if args.real_signatures {
                    Signatures::Real
                } else {
                    Signatures::Simulated
                },
            },
            layers: match args.layer {
                LayerChoice::Agreement => vec![AGREEMENT],
                LayerChoice::Everything => vec![EVERYTHING],
                LayerChoice::Both => vec![AGREEMENT, EVERYTHING],
            },
            threads: args.threads,
        }
    }

    fn layer_names(&self) -> Vec<&'static str> {
        self.layers.iter().map(|layer| layer.name).collect()
    }

    /// The first line of a run: all that one needs to repeat it.
    fn headline(&self) -> String {
        let Range { start, end } = self.seeds;
        let seeds = match end.saturating_sub(start) {
            1 => format!("seed {start}"),
            _ => format!("seeds {start}..{end}"),
        };
        let (nodes, heights) = (self.setup.nodes, self.setup.heights);
        let (profile, layers) = (self.setup.profile.name(), self.layer_names().join(" and "));
        format!("{seeds}, {nodes} validators, profile {profile}, {heights} heights, layer {layers}")
    }
}

/// Runs what was asked for.
///
/// # Errors
/// [`CommandError`] if an oracle is broken or somebody interrupts the run.
pub(crate) fn run(args: &SimArgs, context: &Context<'_>) -> Result<()> {
    if args.economics {
        return money(args, context);
    }
    let orders = Orders::of(args);
    note(&orders.headline());
    if args.trace {
        for layer in &orders.layers {
            let traced = (layer.run)(orders.seeds.start, orders.setup, Tracing::On);
            traced.lines.iter().for_each(|line| note(line));
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let interrupt = signal_hook::consts::SIGINT;
    // The first Ctrl-C ends the run after the seeds at work, a second one at once.
    signal_hook::flag::register_conditional_shutdown(interrupt, 130, Arc::clone(&stop))?;
    signal_hook::flag::register(interrupt, Arc::clone(&stop))?;
    let watch = Stopwatch::start();
    let report = crew::work(&orders, &stop, &watch);
    finish(report, context)
}

/// Plays the strategies of the economics report.
fn money(args: &SimArgs, context: &Context<'_>) -> Result<()> {
    let args = economics::EconomicsArgs {
        presets: args
            .preset
            .map_or(Preset::ALL.to_vec(), |preset| vec![preset]),
        jobs: args.jobs,
        seed: args.seed.unwrap_or(1),
    };
    let report = economics::report(&args).map_err(anyhow::Error::msg)?;
    print(context, &report, || report.table())
}

fn finish(report: Report, context: &Context<'_>) -> Result<()> {
    if context.output == Output::JsonLines {
        for failure in &report.failures {
            print(context, failure, String::new)?;
        }
    }
    print(context, &report, || report.summary())?;
    if let Some(first) = report.failures.first() {
        let count = report.failures.len();
        return Err(CommandError::broken_oracle(count, &first.replay).into());
    }
    if report.complete {
        Ok(())
    } else {
        Err(CommandError::interrupted(report.seeds_done).into())
    }
}
