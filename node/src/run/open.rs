//! What a node opens before its actors start: keys, sandbox, store, and the network's settings.

use std::collections::HashSet;
use std::sync::Arc;

use actors::execution::engine::{ClosedEngine, Engine};
use actors::execution::sandboxed::SandboxEngine;
use actors::observer::StorageObserver;
use actors::supervisor::{Fatal, HaltReason, Supervisor};
use actors::wiring::StartError;
use anyhow::Result;
use net::NodeKey;
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
use crate::api::Host;
use crate::cmd::Context;
use crate::cmd::doctor::degradations;
use crate::config::{Config, Role as NodeRole};
use crate::exit::Exit;
use crate::home::{Chain, Home};
use crate::keys::{Role, file, password};
use crate::problem::{Problem, refuse};

/// The keys that live on the host.
pub(super) struct Keys {
    pub(super) consensus: Option<SecretKey>,
    pub(super) session: Option<SecretKey>,
    pub(super) peer: SecretKey,
}

/// Opens the keys of the node's role. A development key off a local chain is refused.
pub(super) fn open_keys(context: &Context, config: &Config, chain: &Chain) -> Result<Keys> {
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
pub(super) fn open_sandbox(home: &Home, config: &Config) -> Result<(Arc<dyn Engine>, Host)> {
    let work_dir = home.run().join("sandbox");
    std::fs::create_dir_all(&work_dir)?;
    let mut settings = SandboxConfig::new(work_dir);
    settings.uid_base = config.sandbox.uid_base;
    settings.allow_degraded = degradations(&config.sandbox.allow_degraded)?;
    let tier = sandbox::probe_tier().to_string();
    let data = home.data();
    let unfit = runner::floor().err().map(|error| error.to_string());
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
                    unfit,
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
                    unfit,
                    data,
                },
            ))
        }
    }
}

/// Opens the store: recovery of every file.
pub(super) fn open_store(
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
    let exit = Exit::of(error.exit().code());
    let code = match exit {
        Exit::SignState => "sign_state.missing",
        Exit::Config => "config.chain",
        _ => "storage.failed",
    };
    Problem::new(code, error).exit(exit).into()
}

/// The network's settings.
pub(super) fn net_config(
    config: &Config,
    chain: &Chain,
    peer: &SecretKey,
) -> Result<net::Config, StartError> {
    let node_key = NodeKey::from_secret(peer)
        .map_err(|error| Fatal::new(HaltReason::Configuration, error.to_string()))?;
    let role = match config.node.role {
        NodeRole::Validator => net::Role::Validator,
        NodeRole::Sentry => net::Role::Sentry,
        NodeRole::Full => net::Role::Full,
        NodeRole::Client => net::Role::Client,
    };
    let invalid = |text: &str, error: &dyn std::fmt::Display| {
        let detail = format!("[net] {text}: {error}");
        StartError::Fatal(Fatal::new(HaltReason::Configuration, detail))
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
    settings.limits = net_limits(&config.limits, chain.genesis.is_local());
    Ok(settings)
}

/// The table of quotas, scaled as the configuration says.
fn net_limits(factors: &crate::config::Limits, local: bool) -> net::Limits {
    let mut limits = if local {
        net::Limits::local()
    } else {
        net::Limits::default()
    };
    let (tx, cons) = (factors.tx_factor, factors.consensus_factor);
    for (topic, factor) in [(&mut limits.tx, tx), (&mut limits.cons, cons)] {
        for rate in [
            &mut topic.relayer_messages,
            &mut topic.relayer_bytes,
            &mut topic.signer_messages,
        ] {
            *rate = rate.times(factor);
        }
    }
    let checks = limits.verify_checks_per_second;
    limits.verify_checks_per_second = checks.saturating_mul(tx.max(cons));
    limits
}
