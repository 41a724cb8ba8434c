//! The binary `palisade`: node, command line, and every hidden mode of both.
//!
//! ```text
//! main -> modes (launcher, runner, probe, supervisor)          matched first: no parser, no threads
//!      -> cli -> cmd/<verb> -> client -> a node's HTTP API     answers for people and programs
//!             -> cmd/node   -> run -> actors, storage, net, sandbox
//!                                  -> api, metrics             reads snapshots, submits transactions
//! ```
//! Reading order: [`exit`] and [`problem`] (how anything ends), [`config`], [`home`], [`keys`], then
//! [`cli`] and `cmd/`, or `run/` and `api/`.
//!
//! Invariants: hidden modes run before anything else is set up; stdout carries data only; a secret is
//! never in an argument, the environment or a log; a request can never end the process.
//!
//! It is not: a place for rules (`ledger`), agreement (`consensus`) or protocol work (`actors`).
#![forbid(unsafe_code)]

mod admin;
mod api;
mod auth;
mod cli;
mod client;
mod clock;
mod cmd;
mod config;
mod estimate;
mod exit;
mod history;
mod home;
mod keys;
mod modes;
mod output;
mod panic;
mod peer_id;
mod printable;
mod problem;
mod receipt;
mod run;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::cmd::Context;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = modes::run(&args) {
        return code;
    }
    cmd::node::take_sockets();
    modes::take_name(&args);
    panic::install();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) if cli::asks_version(&error, &args) => {
            cli::print_version();
            return ExitCode::SUCCESS;
        }
        Err(error) => return usage::explain(&error, &args),
    };
    let context = Context::new(cli.global);
    let exit = match cmd::run(cli.command, &context) {
        Ok(exit) => exit,
        Err(error) => context.output.problem(&problem::of_error(&error)),
    };
    ExitCode::from(exit.code())
}
