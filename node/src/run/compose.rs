//! The parts of a node, put together in order, and taken apart again.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actors::execution::engine::{ClosedEngine, Engine};
use actors::execution::sandboxed::SandboxEngine;
use actors::handle::NodeHandle;
use actors::observer::StorageObserver;
use actors::supervisor::{Fatal, Supervisor};
use actors::tamper::{NoProfiles, Profiles};
use actors::wiring::{NodeKeys, NodeParts, StartError};
use anyhow::Result;
use net::{JsonMemory, NodeKey};
use prometheus::Registry;
use protocol::keys::SecretKey;
use sandbox::{Program, Sandbox, SandboxConfig};
use storage::home::HomeLock;
use storage::layer::OsLayer;
use storage::open::{Recovered, StorageConfig};
use storage::paths::SegmentSizes;
use storage::state::Backend;
use storage::{OpenError, Storage};
use zeroize::Zeroizing;

use super::codec::Codec;
use super::halt;
use super::log;
use super::sockets::{Handed, Sockets};
use crate::api::{self, Buckets, Host, Listeners, Meters, Shared, Shelf};
use crate::auth::Nonces;
use crate::clock;
use crate::cmd::Context;
use crate::cmd::doctor::degradations;
use crate::config::{Config, Role as NodeRole};
use crate::exit::Exit;
use crate::history::{self, History, Source};
use crate::home::{Chain, Home};
use crate::keys::{Role, file, password};
use crate::peer_id;
use crate::problem::{Problem, refuse};

/// How a node is started.
#[derive(Debug)]
pub(crate) struct Options {
    /// Sockets that were handed in.
    pub(crate) handed: Handed,
    /// The process whose end is ours, too.
    pub(crate) die_with: Option<u32>,
}

struct Keys {
    consensus: Option<SecretKey>,
    session: Option<SecretKey>,
    peer: SecretKey,
}

/// Runs a node to its end.
pub(crate) fn run(context: &Context, options: Options) -> Result<Exit> {
    if let Some(parent) = options.die_with {
        testnet::supervisor::die_with(parent)?;
    }
    let home = &context.home;
    let config = home.load_config(context.global.config.as_deref())?.config;
    let format = context.global.log_format.unwrap_or(config.log.format);
    log::install(format, &config.log.filter, context.global.verbose);
    let chain = home.chain()?;
    config.check(Some(&chain.genesis.chain_name))?;
    for dir in [home.run(), home.data()] {
        file::private_dir(&dir)?;
    }
    let lock = HomeLock::acquire(home.root())
        .map_err(|error| Problem::new("lock.held", &error).exit(exit_of(error.exit().code())))?;
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

fn exit_of(code: u8) -> Exit {
    Exit::from_code(code).unwrap_or(Exit::Unexpected)
}

fn start_problem(home: &Home, error: StartError) -> anyhow::Error {
    match error {
        StartError::Fatal(fatal) => {
            halt::note(home, &fatal);
            Problem::new(
                "internal",
                format!("{}: {}", fatal.reason.name(), fatal.detail),
            )
            .hint("palisade status shows run/halt.json; do not delete sign-state")
            .exit(exit_of(fatal.reason.exit_code()))
            .into()
        }
        StartError::Net(error @ net::StartError::Listen { .. }) => {
            Problem::new("port.taken", error).into()
        }
        other => other.into(),
    }
}

fn open_keys(context: &Context, config: &Config, chain: &Chain) -> Result<Keys> {
    let found = file::list(&context.home.keys())?;
    let mut secret: Option<Zeroizing<Vec<u8>>> = None;
    let mut open = |role: Role| -> Result<Option<SecretKey>> {
        let Some(key) = found.iter().find(|found| found.label.role == role) else {
            return Ok(None);
        };
        if key.label.dev && !chain.genesis.is_local() {
            refuse!(
                "key.dev",
                "{} on chain {}",
                key.path.display(),
                chain.genesis.chain_name
            );
        }
        if key.label.dev {
            return Ok(Some(key.open(b"")?));
        }
        if secret.is_none() {
            let configured = config
                .keys
                .password_file
                .as_ref()
                .map(|path| context.home.root().join(path));
            let given = context.global.password_file.clone().or(configured);
            secret = Some(password::find(given.as_deref(), password::Purpose::Open)?);
        }
        Ok(Some(key.open(secret.as_ref().map_or(&[], |bytes| bytes))?))
    };
    let validator = config.node.role == NodeRole::Validator;
    let (consensus, session) = match validator {
        true => (open(Role::Consensus)?, open(Role::Session)?),
        false => (None, None),
    };
    if validator && (consensus.is_none() || session.is_none()) {
        refuse!(
            "key.unknown",
            "a validator needs a consensus and a session key in {}",
            context.home.keys().display()
        );
    }
    match open(Role::Peer)? {
        Some(peer) => Ok(Keys {
            consensus,
            session,
            peer,
        }),
        None => refuse!(
            "key.unknown",
            "no peer key in {}",
            context.home.keys().display()
        ),
    }
}

/// A host whose sandbox is closed still votes; it declines jobs and says so.
fn open_sandbox(home: &Home, config: &Config) -> Result<(Arc<dyn Engine>, Host)> {
    let work_dir = home.run().join("sandbox");
    std::fs::create_dir_all(&work_dir)?;
    let mut settings = SandboxConfig::new(work_dir);
    settings.uid_base = config.sandbox.uid_base;
    settings.allow_degraded = degradations(&config.sandbox.allow_degraded)?;
    let tier = sandbox::probe_tier().to_string();
    let data = home.data();
    match Sandbox::open(settings) {
        Ok((sandbox, _)) => {
            let slots = usize::from(config.sandbox.slots);
            let mode = crate::modes::RUNNER_MODE;
            let program = Program::current()?;
            let engine =
                SandboxEngine::new(Arc::new(sandbox), program, mode, Arc::new(Codec), slots);
            Ok((
                Arc::new(engine),
                Host {
                    tier,
                    closed: None,
                    data,
                },
            ))
        }
        Err(closed) => {
            let reason = closed.to_string();
            tracing::warn!(%reason, "sandbox_closed");
            let engine = ClosedEngine {
                reason: reason.clone(),
            };
            Ok((
                Arc::new(engine),
                Host {
                    tier,
                    closed: Some(reason),
                    data,
                },
            ))
        }
    }
}

fn open_store(
    home: &Home,
    config: &Config,
    chain: &Chain,
    keys: &Keys,
    lock: HomeLock,
    supervisor: &Supervisor,
    registry: &Registry,
) -> Result<(Storage, Recovered)> {
    let local = chain.genesis.is_local();
    let checkpoints = SecretKey::from_bytes(&keys.peer.expose())?;
    let settings = StorageConfig {
        data: home.data(),
        chain: chain.id,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        signer: keys.consensus.as_ref().map(SecretKey::public),
        checkpoints: Some(Box::new(checkpoints)),
        segments: if local {
            SegmentSizes::local()
        } else {
            SegmentSizes::default()
        },
        blob_quota_bytes: config.storage.blobs.0,
        backend: Backend::Sled,
        layer: Arc::new(OsLayer),
        observer: Arc::new(StorageObserver::new(supervisor.clone(), registry)?),
    };
    storage::open(settings, lock).map_err(|error| store_problem(&error))
}

fn store_problem(error: &OpenError) -> anyhow::Error {
    let exit = exit_of(error.exit().code());
    let code = match exit {
        Exit::SignState => "sign_state.missing",
        Exit::Config => "config.chain",
        _ => "storage.failed",
    };
    Problem::new(code, error).exit(exit).into()
}

fn net_config(config: &Config, chain: &Chain, peer: &SecretKey) -> Result<net::Config, StartError> {
    let node_key = NodeKey::from_secret(peer).map_err(|error| {
        Fatal::new(
            actors::supervisor::HaltReason::Configuration,
            error.to_string(),
        )
    })?;
    let role = match config.node.role {
        NodeRole::Validator => net::Role::Validator,
        NodeRole::Sentry => net::Role::Sentry,
        NodeRole::Full => net::Role::Full,
        NodeRole::Client => net::Role::Client,
    };
    let invalid = |text: &str, error: &dyn std::fmt::Display| {
        let detail = format!("[net] {text}: {error}");
        StartError::Fatal(Fatal::new(
            actors::supervisor::HaltReason::Configuration,
            detail,
        ))
    };
    let addresses = |texts: &[String]| -> Result<Vec<net::Multiaddr>, StartError> {
        texts
            .iter()
            .map(|text| text.parse().map_err(|error| invalid(text, &error)))
            .collect()
    };
    let mut settings = net::Config::new(chain.id, node_key, role);
    settings.listen = addresses(&config.net.listen)?;
    settings.static_peers = addresses(&config.net.persistent)?;
    let exempt: Result<HashSet<std::net::IpAddr>, _> = config
        .net
        .exempt
        .iter()
        .map(|text| text.parse().map_err(|error| invalid(text, &error)))
        .collect();
    settings.ip_exempt = exempt?;
    settings.limits = net_limits(config.limits.tx_factor, chain.genesis.is_local());
    Ok(settings)
}

/// The table of quotas, with transactions and signature checks scaled as the configuration says.
fn net_limits(tx_factor: u32, local: bool) -> net::Limits {
    let mut limits = if local {
        net::Limits::local()
    } else {
        net::Limits::default()
    };
    let tx = &mut limits.tx;
    for rate in [
        &mut tx.relayer_messages,
        &mut tx.relayer_bytes,
        &mut tx.signer_messages,
    ] {
        *rate = rate.times(tx_factor);
    }
    limits.verify_checks_per_second = limits.verify_checks_per_second.saturating_mul(tx_factor);
    limits
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
    let profiles: Arc<dyn Profiles> = match chain.genesis.is_local() {
        true => Arc::new(testnet::byzantine::Rehearsal),
        false => Arc::new(NoProfiles),
    };
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
    let listeners = Listeners {
        api: sockets.api,
        metrics: sockets.metrics,
        admin,
    };
    let served = api::serve(shared.clone(), listeners)?;
    file::write_private(&home.api_file(), listening.to_string().as_bytes())?;
    tracing::info!(api = %listening, peer_id = %shared.peer_id, height = node.snapshot().height.0, "node_started");
    let ended = wait(&node)?;
    let exit = match ended {
        End::Asked => Exit::Ok,
        End::Fault(fatal) => {
            halt::note(home, &fatal);
            shared.halted.store(true, Ordering::SeqCst);
            shared.meters.halt(fatal.reason.name());
            exit_of(fatal.reason.exit_code())
        }
    };
    if let Err(error) = node.shutdown() {
        tracing::error!(%error, "shutdown_incomplete");
    }
    if exit != Exit::Ok && exit != Exit::Panic {
        linger()?;
    }
    served.stop();
    for file in [home.admin_socket(), home.api_file()] {
        drop(std::fs::remove_file(file));
    }
    tracing::info!(code = exit.code(), "node_stopped");
    Ok(exit)
}

enum End {
    Asked,
    Fault(Fatal),
}

/// Waits for a signal or a fault.
fn wait(node: &NodeHandle) -> Result<End> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut fault = node.fatal();
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            tokio::select! {
                _ = term.recv() => return Ok(End::Asked),
                _ = interrupt.recv() => return Ok(End::Asked),
                changed = fault.changed() => {
                    if let Some(fatal) = fault.borrow().clone() {
                        return Ok(End::Fault(fatal));
                    }
                    if changed.is_err() {
                        return Ok(End::Asked);
                    }
                }
            }
        }
    })
}

/// Serves the last scrapes, unless told to go at once.
fn linger() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = term.recv() => {}
            () = tokio::time::sleep(halt::LINGER) => {}
        }
        Ok(())
    })
}
