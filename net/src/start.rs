//! Brings the network up on its own runtime.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use libp2p::{Multiaddr, TransportError};
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::behaviour::Behaviour;
use crate::config::Config;
use crate::engine::{Channels, Engine};
use crate::event::Lanes;
use crate::handle::{HIGH, LOW, NetHandle, View};
use crate::metrics::Metrics;
use crate::ports::{Blobs, Chain, Gate, PeerMemory};
use crate::topic::Topics;
use crate::transport;

/// Worker threads of the network's runtime, at most; on two cores one does with fewer wake-ups.
const WORKERS_MAX: usize = 2;
/// What unfinished disk reads get when the network ends.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What the network asks of the node.
#[derive(Clone)]
pub struct Ports {
    /// Admission of messages.
    pub gate: Arc<dyn Gate>,
    /// Bans and addresses that survive a restart.
    pub memory: Arc<dyn PeerMemory>,
    /// Chunks for others.
    pub blobs: Arc<dyn Blobs>,
    /// The chain, read-only.
    pub chain: Arc<dyn Chain>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Why the network did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// Transport or behaviours could not be set up.
    #[error("cannot set up the transport: {0}")]
    Transport(String),
    /// An address could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: Multiaddr,
        /// What the system said.
        source: io::Error,
    },
    /// The disk refused bans or address book; the path is in the reason.
    #[error("cannot read peer memory")]
    Memory(#[source] io::Error),
}

/// Starts the network. When this returns, all listeners are bound.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub fn start(
    config: Config,
    ports: Ports,
    metrics: Metrics,
) -> Result<(NetHandle, Lanes), StartError> {
    let bans = ports.memory.load_bans().map_err(StartError::Memory)?;
    let known = ports.memory.load_peers().map_err(StartError::Memory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .thread_name("net-worker")
        .enable_all()
        .build()
        .map_err(StartError::Thread)?;
    let context = runtime.enter();
    let topics = Topics::new(&config.chain);
    let behaviour = Behaviour::new(&config, &topics)
        .map_err(|error| StartError::Transport(error.to_string()))?;
    let mut swarm = transport::swarm(&config, behaviour)
        .map_err(|error| StartError::Transport(error.to_string()))?;
    for address in &config.listen {
        swarm
            .listen_on(address.clone())
            .map_err(|error| StartError::Listen {
                address: address.clone(),
                source: refusal(error),
            })?;
    }
    let (high, high_out) = mpsc::channel(HIGH);
    let (low, low_out) = mpsc::channel(LOW);
    let (view, view_out) = watch::channel(Arc::new(View::default()));
    let (ended, ended_out) = watch::channel(false);
    let local = *swarm.local_peer_id();
    let channels = Channels {
        high: high_out,
        low: low_out,
        view,
    };
    let (mut engine, lanes) =
        Engine::new(config, ports, metrics, swarm, topics, channels, bans, known)
            .map_err(StartError::Thread)?;
    drop(context);
    let tasks = runtime.handle().clone();
    // On a worker, beside the connections: what they hand over then wakes no other thread.
    let turning = runtime.spawn(async move {
        poll_fn(|cx| engine.turn(cx)).await;
        engine.store();
    });
    std::thread::Builder::new()
        .name("net".to_owned())
        .spawn(move || {
            // Dropped last: also a panic tells the waiting that the network has ended.
            let _ended = Ended(ended);
            if let Err(error) = runtime.block_on(turning) {
                tracing::error!(event = "network_loop_panicked", %error);
            }
            runtime.shutdown_timeout(LAST_CALL);
        })
        .map_err(StartError::Thread)?;
    let handle = NetHandle {
        tasks,
        local,
        high,
        low,
        view: view_out,
        ended: ended_out,
    };
    Ok((handle, lanes))
}

/// What the system said. libp2p wraps its error out of reach and says nothing of its own, but what it
/// wraps still reads as the system's, with the number at the end.
fn refusal(error: TransportError<io::Error>) -> io::Error {
    let error = match error {
        TransportError::Other(error) => error,
        other => return io::Error::new(io::ErrorKind::Unsupported, other.to_string()),
    };
    let text = error.to_string();
    let number = text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once("(os error "))
        .and_then(|(_, number)| number.parse().ok());
    number.map_or(error, io::Error::from_raw_os_error)
}

fn workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).clamp(1, WORKERS_MAX)
}

struct Ended(watch::Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}
