//! One file a verb. A verb gets a [`Context`], prints through it and returns how to exit.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod chain;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod evidence;
pub(crate) mod explain;
pub(crate) mod host;
pub(crate) mod init;
pub(crate) mod job;
pub(crate) mod keys;
pub(crate) mod model;
pub(crate) mod net;
pub(crate) mod node;

pub(crate) mod receipt;
pub(crate) mod references;
pub(crate) mod sandbox;
pub(crate) mod sign_state;
pub(crate) mod status;
pub(crate) mod tx;
pub(crate) mod validator;

use anyhow::Result;

use crate::cli::{Command, Global};
use crate::client::resolve::Resolved;
use crate::exit::Exit;
use crate::home::Home;
use crate::output::Output;

/// What every verb may need.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The options of every command.
    pub(crate) global: Global,
    /// Where the node lives.
    pub(crate) home: Home,
    /// Where to print.
    pub(crate) output: Output,
}

impl Context {
    /// From the options.
    pub(crate) fn new(global: Global) -> Self {
        let output = Output {
            format: global.output,
            quiet: global.quiet,
        };
        Self {
            home: Home::find(global.home.as_deref()),
            output,
            global,
        }
    }

    /// The node, chain and key that a client's verb is about.
    pub(crate) fn resolve(&self) -> Result<Resolved> {
        Resolved::find(&self.global, &self.home)
    }
}

/// Runs a command.
pub(crate) fn run(command: Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Init(args) => init::run(context, &args),
        Command::Node(verb) => node::run(context, &verb),

        Command::Status(args) => status::run(context, &args),
        Command::Health(args) => status::health(context, &args),
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Config(verb) => config::run(context, &verb),
        Command::Keys(verb) => keys::run(context, &verb),
        Command::SignState(verb) => sign_state::run(context, &verb),
        Command::Validator(verb) => validator::run(context, &verb),
        Command::Job(verb) => job::run(context, &verb),
        Command::Model(verb) => model::run(context, &verb),
        Command::Account(verb) => account::run(context, &verb),
        Command::Faucet(args) => account::faucet(context, &args),
        Command::Tx(verb) => tx::run(context, &verb),
        Command::Evidence(verb) => evidence::run(context, &verb),
        Command::Slash(verb) => evidence::slashes(context, &verb),
        Command::Receipt(verb) => receipt::run(context, &verb),
        Command::Verify(verb) => receipt::verify(context, &verb),
        Command::Audit(verb) => audit::run(context, &verb),
        Command::Chain(verb) => chain::run(context, &verb),
        Command::Net(verb) => net::run(context, &verb),
        Command::Sandbox(verb) => doctor::sandbox(context, &verb),
        Command::Quiesce(args) => net::quiesce(context, &args),
        Command::Explain(args) => explain::run(context, &args),
        Command::Completions(args) => references::completions(context, &args),
        Command::Man(args) => references::man(context, &args),
        Command::Testnet(command) => host::testnet(context, command),
        Command::Demo(command) => host::demo(context, command),
    }
}
