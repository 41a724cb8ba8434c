//! The command line: what can be typed. What it does is in `cmd/`, one file a verb.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cmd;
use crate::output::{Format, Output};

/// A wall made of stakes: validators that run models for money and cannot cheaply be cheated.
#[derive(Parser, Debug)]
#[command(name = "palisade", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The node's directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The node to ask, as http://127.0.0.1:8645.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) api: Option<String>,
    /// The form of what is printed.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FMT")]
    pub(crate) output: Format,
    /// When to use colour; NO_COLOR is obeyed. Only help texts are coloured in this release.
    #[arg(long, global = true, value_enum, default_value_t = clap::ColorChoice::Auto)]
    pub(crate) color: clap::ColorChoice,
    /// The form of a node's log lines; the configuration's by default.
    #[arg(long, global = true, value_enum, value_name = "FMT")]
    pub(crate) log_format: Option<crate::config::LogFormat>,
    /// No progress on stderr.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// More in the log of a node.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Which wallet or operator key signs.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// A file with the password of that key, mode 0600.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Which testnet under ./palisade-testnet is meant where there is no home.
    #[arg(long, global = true, value_name = "NAME", default_value = "default")]
    pub(crate) net: String,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a node's home.
    Init(cmd::init::Args),
    /// Run a node.
    #[command(subcommand)]
    Node(cmd::node::Verb),
    /// Can this node earn, and if not, why?
    Status(cmd::status::Args),
    /// Liveness or readiness, as an exit code.
    Health(cmd::status::HealthArgs),
    /// Check this host.
    Doctor(cmd::doctor::Args),
    /// The configuration: default, check, show.
    #[command(subcommand)]
    Config(cmd::config::Verb),
    /// Keys: new, import, list, show, passwd, export.
    #[command(subcommand)]
    Keys(cmd::keys::Verb),
    /// The record of what the consensus key signed.
    #[command(subcommand)]
    SignState(cmd::sign_state::Verb),
    /// This node's validator: join, status, bond, unbond, unjail.
    #[command(subcommand)]
    Validator(cmd::validator::Verb),
    /// Jobs: estimate, submit, watch, show, list, explain, cancel.
    #[command(subcommand)]
    Job(cmd::job::Verb),
    /// Models: put, list, show.
    #[command(subcommand)]
    Model(cmd::model::Verb),
    /// Accounts: show, transfer.
    #[command(subcommand)]
    Account(cmd::account::Verb),
    /// Ask a local chain's faucet for money.
    Faucet(cmd::account::FaucetArgs),
    /// Transactions: show, simulate, send.
    #[command(subcommand)]
    Tx(cmd::tx::Verb),
    /// Evidence: list, show, submit.
    #[command(subcommand)]
    Evidence(cmd::evidence::Verb),
    /// Slashes: list.
    #[command(subcommand)]
    Slash(cmd::evidence::SlashVerb),
    /// Receipts: fetch.
    #[command(subcommand)]
    Receipt(cmd::receipt::Verb),
    /// Verify something offline: receipt.
    #[command(subcommand)]
    Verify(cmd::receipt::VerifyVerb),
    /// The audit log: verify.
    #[command(subcommand)]
    Audit(cmd::audit::Verb),
    /// The chain: params, block, validators.
    #[command(subcommand)]
    Chain(cmd::chain::Verb),
    /// The network: peers, bans.
    #[command(subcommand)]
    Net(cmd::net::Verb),
    /// The sandbox: attack, profile.
    #[command(subcommand)]
    Sandbox(cmd::doctor::SandboxVerb),
    /// Take no more seats; votes and serving go on.
    Quiesce(cmd::net::QuiesceArgs),
    /// What a code means and what to do about it.
    Explain(cmd::explain::Args),
    /// Print a completion script for a shell.
    Completions(cmd::references::CompletionsArgs),
    /// Write a manual page for every command.
    Man(cmd::references::ManArgs),
    /// Local clusters of real processes.
    #[command(subcommand)]
    Testnet(testnet::cli::TestnetCommand),
    /// Eight facts, checked in a minute.
    Demo(testnet::cli::DemoCommand),
}

/// Whether `--version` was asked for as a document.
pub(crate) fn asks_version(error: &clap::Error, args: &[OsString]) -> bool {
    let json = |pair: &[OsString]| pair[0] == "--output" && pair[1] == "json";
    let wants = args.windows(2).any(json) || args.iter().any(|arg| arg == "--output=json");
    error.kind() == clap::error::ErrorKind::DisplayVersion && wants
}

/// Prints the version with what this build carries.
pub(crate) fn print_version() {
    let (version, output) = (env!("CARGO_PKG_VERSION"), Format::Json);
    let features: &[&str] = if cfg!(feature = "byzantine") {
        &["byzantine"]
    } else {
        &[]
    };
    let document = serde_json::json!({
        "schema": "palisade.version/1", "version": version, "features": features,
    });
    let output = Output {
        format: output,
        quiet: false,
    };
    output.document(&document, || version.to_owned());
}
