//! The parts of a node, put together in order, and taken apart again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actors::execution::engine::Engine;
use actors::handle::NodeHandle;
use actors::supervisor::{Fatal, HaltReason, Supervisor};
use actors::tamper::{NoProfiles, Profiles};
use actors::wiring::{NodeKeys, NodeParts, StartError};
use anyhow::Result;
use net::JsonMemory;
use prometheus::Registry;
use storage::Storage;
use storage::open::Recovered;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::halt;
use super::log;
use super::notify;
use super::open::{Keys, net_config, open_keys, open_sandbox, open_store};
use super::sockets::{self, Handed, Sockets};
use crate::api::{self, Buckets, Host, Listeners, Meters, Shared, Shelf};
use crate::auth::Nonces;
use crate::clock;
use crate::cmd::Context;
use crate::config::Config;
use crate::exit::Exit;
use crate::history::{self, History, Source};
use crate::home::{Chain, Home};
use crate::keys::file;
use crate::peer_id;
use crate::problem::Problem;

/// How a node is started.
#[derive(Debug)]
pub(crate) struct Options {
    /// Sockets that were handed in.
    pub(crate) handed: Handed,
    /// The process whose end is ours, too.
    pub(crate) die_with: Option<u32>,
}

/// Runs a node to its end.
pub(crate) fn run(context: &Context, options: Options) -> Result<Exit> {
    if let Some(parent) = options.die_with {
        testnet::supervisor::die_with(parent)?;
    }
    let home = &context.home;
    let loaded = home.load_config(context.global.config.as_deref())?;
    let config = &loaded.config;
    let format = context.global.log_format.unwrap_or(config.log.format);
    log::install(format, &config.log.filter, context.global.verbose);
    let chain = home.chain()?;
    loaded.check(Some(&chain.genesis.chain_name))?;
    let config = loaded.config;
    for dir in [home.run(), home.data()] {
        file::private_dir(&dir)?;
    }
    let lock = home.lock()?;
    halt::forget(home);
    let keys = open_keys(context, &config, &chain)?;
    let sockets = Sockets::open(options.handed, &config)?;
    let (engine, host) = open_sandbox(home, &config)?;
    let registry = Registry::new();
    let supervisor = Supervisor::new();
    let (storage, recovered) =
        open_store(home, &config, &chain, &keys, lock, &supervisor, &registry)?;
    let node = start(
        home,
        &config,
        &chain,
        keys,
        (storage, recovered),
        engine,
        (&registry, &supervisor),
    );
    let (node, peer) = match node {
        Ok(started) => started,
        Err(error) => return Err(start_problem(home, error)),
    };
    serve(context, config, chain, node, peer, host, registry, sockets)
}

fn start_problem(home: &Home, error: StartError) -> anyhow::Error {
    match error {
        // Nothing has run that a note for the next start could be about.
        StartError::Fatal(fatal) if fatal.reason == HaltReason::Configuration => {
            Problem::new("config.invalid", fatal.detail).into()
        }
        StartError::Fatal(fatal) => {
            halt::note(home, &fatal);
            halt::problem(&fatal).into()
        }
        StartError::Net(net::StartError::Listen { address, source }) => {
            sockets::refused("net", &address.to_string(), &source).into()
        }
        other => other.into(),
    }
}

/// Operator builds have nobody who could misbehave, whatever the chain.
#[cfg(not(feature = "byzantine"))]
fn profiles(_: &Chain, _: &Keys) -> Arc<dyn Profiles> {
    const _: () = assert!(testnet::byzantine::NAMES.is_empty());
    Arc::new(NoProfiles)
}

/// Misdeeds can be rehearsed on local chains only, where even the operator's key is public.
#[cfg(feature = "byzantine")]
fn profiles(chain: &Chain, keys: &Keys) -> Arc<dyn Profiles> {
    if !chain.genesis.is_local() {
        return Arc::new(NoProfiles);
    }
    let own = keys.consensus.as_ref().map(|key| key.public());
    let validators = &chain.genesis.validators;
    let operator = validators
        .iter()
        .find(|validator| Some(validator.consensus_pk) == own)
        .and_then(|validator| crate::keys::dev::operator(&validator.operator));
    Arc::new(testnet::byzantine::Rehearsal {
        operator: operator.map(Arc::new),
    })
}

fn start(
    home: &Home,
    config: &Config,
    chain: &Chain,
    keys: Keys,
    (storage, recovered): (Storage, Recovered),
    engine: Arc<dyn Engine>,
    (registry, supervisor): (&Registry, &Supervisor),
) -> Result<(NodeHandle, String), StartError> {
    let peer = peer_id::of(&keys.peer.public());
    let profiles = profiles(chain, &keys);
    let node = actors::wiring::start(NodeParts {
        genesis: chain.genesis.clone(),
        net: net_config(config, chain, &keys.peer)?,
        keys: NodeKeys {
            consensus: keys.consensus,
            session: keys.session,
        },
        storage,
        recovered,
        peer_memory: Arc::new(JsonMemory::new(home.data())),
        engine,
        profiles,
        registry: registry.clone(),
        supervisor: supervisor.clone(),
    })?;
    Ok((node, peer))
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one node, used once"
)]
fn serve(
    context: &Context,
    config: Config,
    chain: Chain,
    node: NodeHandle,
    peer_id: String,
    host: Host,
    registry: Registry,
    sockets: Sockets,
) -> Result<Exit> {
    let home = &context.home;
    let history = History::new(node.storage().blocks().clone(), chain.id);
    let source = Source {
        genesis: chain.genesis.clone(),
        feed: node.feed().clone(),
        snapshots: node.watch_snapshot(),
    };
    history::start(history.clone(), source)?;
    let shared = Arc::new(Shared {
        node: node.clone(),
        buckets: Buckets::new(chain.genesis.is_local(), config.limits.tx_factor),
        chain,
        config,
        peer_id,
        history,
        shelf: Shelf::open(home.data().join("models.list")),
        host,
        meters: Meters::new(&registry)?,
        registry,
        nonces: Mutex::new(Nonces::new(clock::unix_seconds())),
        quiet: AtomicBool::new(false),
        exposed: sockets.exposed(),
        halted: AtomicBool::new(false),
    });
    let admin = api::admin_socket(&home.run())?;
    let listening = sockets.api.local_addr()?;
    let scraped = sockets.metrics.local_addr()?;
    let listeners = Listeners {
        api: sockets.api,
        metrics: sockets.metrics,
        admin,
    };
    let served = api::serve(shared.clone(), listeners)?;
    file::write_private(&home.api_file(), listening.to_string().as_bytes())?;
    tracing::info!(api = %listening, metrics = %scraped, peer_id = %shared.peer_id, height = node.snapshot().height.0, "node_started");
    notify::ready();
    let mut signals = Signals::heed()?;
    let fault = signals.wait(&node);
    notify::stopping();
    let exit = fault.as_ref().map_or(Exit::Ok, |fatal| {
        halt::note(home, fatal);
        shared.halted.store(true, Ordering::SeqCst);
        shared.meters.halt(fatal.reason.name());
        Exit::of(fatal.reason.exit_code())
    });
    if let Err(error) = node.shutdown() {
        tracing::error!(%error, "shutdown_incomplete");
    }
    if exit != Exit::Ok && exit != Exit::Panic {
        signals.linger();
    }
    served.stop();
    for file in [home.admin_socket(), home.api_file()] {
        drop(std::fs::remove_file(file));
    }
    tracing::info!(code = exit.code(), "node_stopped");
    fault.map_or(Ok(Exit::Ok), |fatal| Err(halt::problem(&fatal).into()))
}

/// What asks a node to end, from the first of them to the last: one that comes between the fault and the
/// last scrapes is not lost.
struct Signals {
    runtime: Runtime,
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    fn heed() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let within = runtime.enter();
        let (term, interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        drop(within);
        Ok(Self {
            runtime,
            term,
            interrupt,
        })
    }

    /// Waits for a signal or a fault, with a sign of life to the service manager now and then.
    fn wait(&mut self, node: &NodeHandle) -> Option<Fatal> {
        let (term, interrupt) = (&mut self.term, &mut self.interrupt);
        self.runtime.block_on(async {
            let mut fault = node.fatal();
            let beat = notify::beat();
            loop {
                tokio::select! {
                    _ = term.recv() => return None,
                    _ = interrupt.recv() => return None,
                    () = tokio::time::sleep(beat.unwrap_or_default()), if beat.is_some() => {
                        notify::alive(node).await;
                    }
                    changed = fault.changed() => {
                        let fatal = fault.borrow().clone();
                        if fatal.is_some() || changed.is_err() {
                            return fatal;
                        }
                    }
                }
            }
        })
    }

    /// Serves the last scrapes, unless told to go at once.
    fn linger(&mut self) {
        let term = &mut self.term;
        self.runtime.block_on(async {
            tokio::select! {
                _ = term.recv() => {}
                () = tokio::time::sleep(halt::LINGER) => {}
            }
        });
    }
}
