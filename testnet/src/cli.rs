//! `palisade testnet …`: the arguments. What they do is in [`crate::cmd`], a file each.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};

use crate::cmd;
#[cfg(feature = "byzantine")]
pub use crate::demo::DemoCommand;
use crate::home::Host;
#[cfg(not(feature = "byzantine"))]
pub use crate::left_out::DemoCommand;
use crate::sim::plan::Profile;

/// How results are printed. stdout carries data only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Output {
    /// For people.
    #[default]
    Human,
    /// One JSON document.
    Json,
    /// One JSON object an event.
    JsonLines,
}

/// What every command gets from the binary.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "the host is a trait object")]
pub struct Context<'a> {
    /// Writes homes and derives development keys.
    pub host: &'a dyn Host,
    /// How to print.
    pub output: Output,
}

/// Which net: `--name` below `./palisade-testnet`.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// The net's name.
    #[arg(long, default_value = "default")]
    pub name: String,
}

/// Local clusters of real processes, faults on purpose, and what must hold.
#[derive(Debug, Clone, Subcommand)]
pub enum TestnetCommand {
    /// Start a net: four validators unless told otherwise. Resumes what is there.
    Up(UpArgs),
    /// Write a net's files and start nothing.
    Init(InitArgs),
    /// End a net.
    Down {
        /// The net's name.
        #[command(flatten)]
        which: Which,
        /// Remove its folder as well.
        #[arg(long)]
        purge: bool,
    },
    /// Heights, agreement, jobs and the state of every node.
    Status {
        /// The net's name.
        #[command(flatten)]
        which: Which,
        /// Print again after every change until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Where the nodes answer.
    Endpoints {
        /// The net's name.
        #[command(flatten)]
        which: Which,
    },
    /// The development accounts: public keys, worthless.
    Accounts {
        /// The net's name.
        #[command(flatten)]
        which: Which,
    },
    /// What the nodes log.
    Logs(LogsArgs),
    /// Wait until an expression holds, or fail with exit code 4.
    Wait {
        /// The net's name.
        #[command(flatten)]
        which: Which,
        /// For example `height > 20 && agree`.
        expression: String,
        /// How long at most.
        #[arg(long, default_value = "60s")]
        timeout: String,
    },
    /// Check expressions; exit code 8 if one is not true.
    Assert {
        /// The net's name.
        #[command(flatten)]
        which: Which,
        /// For example `none(slashed, honest)`.
        #[arg(required = true)]
        expressions: Vec<String>,
        /// Keep asking for so long.
        #[arg(long, default_value = "0s")]
        timeout: String,
    },
    /// Submit jobs from client-0.
    Submit(SubmitArgs),
    /// Set up a manifest's net, start it, load it, perturb it, check it, end it.
    Run {
        /// The manifest.
        file: PathBuf,
        /// Leave the net up.
        #[arg(long)]
        keep: bool,
        /// The net's name.
        #[arg(long, default_value = "run")]
        name: String,
    },
    /// Make a node misbehave, or stop it from doing so.
    Byzantine {
        /// The net's name.
        #[command(flatten)]
        which: Which,
        /// Which node.
        node: String,
        /// A profile (docs/reference/manifest.md lists them), or `off`.
        profile: String,
        /// From this height on.
        #[arg(long, default_value_t = 0)]
        from_height: u64,
    },
    /// Run scenarios in the deterministic simulator: no process, no socket, no clock.
    Sim(SimArgs),
    /// Break the processes of nodes.
    Fault {
        /// The net's name.
        #[command(flatten)]
        which: Which,
        /// What to do.
        kind: FaultKind,
        /// To which nodes.
        #[arg(required = true)]
        nodes: Vec<String>,
        /// Undo it after so long: a start after `kill`, SIGCONT after `pause`.
        #[arg(long = "for")]
        duration: Option<String>,
    },
}

/// A process fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FaultKind {
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Pause,
    /// SIGCONT, or a start if it was killed.
    Resume,
    /// SIGTERM, then a start.
    Restart,
}

/// `up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// The net's name.
    #[command(flatten)]
    pub which: Which,
    /// A manifest; without one, honest nodes with the local preset.
    #[arg(short = 'f', long)]
    pub file: Option<PathBuf>,
    /// How many nodes, 1 to 16.
    #[arg(long, default_value_t = 4, conflicts_with = "file")]
    pub nodes: usize,
    /// Remove what is there and begin anew.
    #[arg(long)]
    pub fresh: bool,
    /// Return once the net is up.
    #[arg(long)]
    pub detach: bool,
    /// The first node's API port; 8645 or any free one by default.
    #[arg(long)]
    pub api_port: Option<u16>,
    /// The first node's metrics port; 9464 or any free one by default.
    #[arg(long)]
    pub metrics_port: Option<u16>,
    /// Fund an account at genesis: `pal1…:1000` in PAL.
    #[arg(long)]
    pub fund: Vec<String>,
    /// Let the nodes take jobs without this layer of the sandbox: cgroup, landlock-abi, namespaces.
    #[arg(long, value_name = "NAME")]
    pub allow_degraded: Vec<String>,
}

/// `init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Where to write.
    #[arg(short = 'd', long)]
    pub dir: PathBuf,
    /// How many nodes, with the usual names.
    #[arg(long, default_value_t = 4, conflicts_with = "names")]
    pub nodes: usize,
    /// The nodes' names.
    #[arg(long, value_delimiter = ',')]
    pub names: Vec<String>,
    /// One IPv4 address a node; `127.77.<i>.1` by default.
    #[arg(long, value_delimiter = ',')]
    pub addr: Vec<String>,
    /// Where node keys come from.
    #[arg(long, value_enum, default_value_t = KeysFrom::Dev)]
    pub keys: KeysFrom,
    /// The chain's name.
    #[arg(long, default_value = "palisade-local-1")]
    pub chain_name: String,
    /// With random keys: also write and fund a client's home, `clients/NAME`.
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
    /// If the folder holds a net already, leave it as it is and say so.
    #[arg(long)]
    pub if_missing: bool,
    /// Header time before height 1, in milliseconds since 1970: now by default. With --keys dev the
    /// same value gives the same genesis.
    #[arg(long)]
    pub genesis_time_ms: Option<u64>,
}

/// Where node keys come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeysFrom {
    /// From a seed: the same every time, worthless.
    Dev,
    /// From the operating system.
    Random,
}

/// `logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// The net's name.
    #[command(flatten)]
    pub which: Which,
    /// One node; all by default.
    pub node: Option<String>,
    /// Go on printing.
    #[arg(short, long)]
    pub follow: bool,
    /// Only lines of the last `30s`, `500ms` or `5m`.
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// Only lines of this event.
    #[arg(long, value_name = "NAME")]
    pub event: Option<String>,
}

/// `submit`.
#[derive(Debug, Clone, Args)]
pub struct SubmitArgs {
    /// The net's name.
    #[command(flatten)]
    pub which: Which,
    /// `demo/echo`, `demo/spin`, `demo/digits`, or an `.onnx` file.
    #[arg(long, default_value = "demo/digits")]
    pub model: String,
    /// Inputs as `.npy` files; the model's example by default.
    #[arg(long)]
    pub input: Vec<PathBuf>,
    /// How many jobs, one after the other.
    #[arg(long, default_value_t = 1)]
    pub count: u32,
    /// Wait for the end of each.
    #[arg(long)]
    pub watch: bool,
}

/// `sim`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = SIM_HELP)]
pub struct SimArgs {
    /// One seed.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..u64::MAX))]
    #[arg(conflicts_with = "seeds", required_unless_present_any = ["seeds", "economics"])]
    pub seed: Option<u64>,
    /// A range of seeds, the last excluded: `0..2000`.
    #[arg(long, value_name = "A..B")]
    pub seeds: Option<SeedRange>,
    /// How many validators, 1 to 256.
    #[arg(long = "n", value_name = "N", default_value_t = 4, value_parser = nodes)]
    pub nodes: usize,
    /// Instead, play every hostile strategy over the ledger and print what each earns beside honest work.
    #[arg(long, conflicts_with_all = ["seeds", "trace", "real_signatures"])]
    pub economics: bool,
    /// With which parameters; both without it.
    #[arg(long, requires = "economics")]
    pub preset: Option<crate::sim::economics::Preset>,
    /// Jobs of each strategy, in 20 batches.
    #[arg(long, default_value_t = 2_000, requires = "economics")]
    #[arg(value_parser = clap::value_parser!(u64).range(20..=1_000_000))]
    pub jobs: u64,
    /// Heights that every honest validator must reach, 1 to 10000.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub heights: u64,
    /// Which faults a seed may draw.
    #[arg(long, default_value = "mixed", value_enum)]
    pub profile: Profile,
    /// Which layers.
    #[arg(long, default_value = "both", value_enum)]
    pub layer: LayerChoice,
    /// Sign with secp256k1 rather than with simulated keys.
    #[arg(long)]
    pub real_signatures: bool,
    /// Print one line an event on stderr; of one seed.
    #[arg(long, conflicts_with = "seeds")]
    pub trace: bool,
    /// Threads, each with worlds of its own; the results do not depend on it.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
}

/// Which layers of the simulator run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayerChoice {
    /// Agreement alone.
    #[value(name = "1")]
    Agreement,
    /// With a ledger, a pool and the workflows on every node.
    #[value(name = "2")]
    Everything,
    /// One after the other, for each seed.
    Both,
}

/// `A..B`, the last excluded, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedRange(pub std::ops::Range<u64>);

impl std::str::FromStr for SeedRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, end) = text
            .split_once("..")
            .ok_or("a range is written A..B, as in 0..2000")?;
        let number = |text: &str| {
            let number = text.parse::<u64>();
            number.map_err(|error| format!("`{text}`: {error}; a range is written A..B"))
        };
        let (first, end) = (number(first)?, number(end)?);
        if first >= end {
            return Err(format!("{first}..{end} holds no seed; the end is excluded"));
        }
        Ok(Self(first..end))
    }
}

fn nodes(text: &str) -> Result<usize, String> {
    let max = protocol::limits::VALIDATORS_MAX;
    match text.parse() {
        Ok(nodes) if (1..=max).contains(&nodes) => Ok(nodes),
        Ok(nodes) => Err(format!("{nodes} is not in 1..={max}")),
        Err(error) => Err(error.to_string()),
    }
}

const SIM_HELP: &str = "\
Everything that happens in a run is drawn from its seed, so a failure can be looked at again: it prints \
the end of its column log and the command that repeats it. The exit code is 8 if an oracle is broken, \
130 after Ctrl-C (the seeds that were done are reported). Progress goes to stderr, the result to stdout.

  palisade testnet sim --seeds 0..2000 --n 4            many seeds, on two cores
  palisade testnet sim --seed 485 --n 4 --trace         one seed, one line an event
  palisade testnet sim --seeds 0..200 --profile twins   one sort of fault
  palisade testnet sim --economics                      what each way to cheat earns

docs/simulator.md lists faults, oracles, and what the oracles caught.";

impl TestnetCommand {
    /// Carries it out.
    ///
    /// # Errors
    /// [`crate::error::CommandError`] where the exit code is not 1.
    pub fn run(self, context: &Context<'_>) -> Result<()> {
        match self {
            Self::Up(args) => cmd::up::run(&args, context),
            Self::Init(args) => cmd::init::run(&args, context),
            Self::Down { which, purge } => cmd::down::run(&which, purge, context),
            Self::Status { which, watch } => cmd::status::run(&which, watch, context),
            Self::Endpoints { which } => cmd::files::endpoints(&which, context),
            Self::Accounts { which } => cmd::files::accounts(&which, context),
            Self::Logs(args) => cmd::logs::run(&args, context),
            Self::Wait {
                which,
                expression,
                timeout,
            } => cmd::assert::wait(&which, &expression, &timeout, context),
            Self::Assert {
                which,
                expressions,
                timeout,
            } => cmd::assert::assert(&which, &expressions, &timeout, context),
            Self::Submit(args) => cmd::submit::run(&args, context),
            Self::Run { file, keep, name } => cmd::run::run(&file, keep, &name, context),
            Self::Byzantine {
                which,
                node,
                profile,
                from_height,
            } => cmd::fault::byzantine(&which, &node, &profile, from_height, context),
            Self::Sim(args) => cmd::sim::run(&args, context),
            Self::Fault {
                which,
                kind,
                nodes,
                duration,
            } => cmd::fault::fault(&which, kind, &nodes, duration.as_deref(), context),
        }
    }
}
