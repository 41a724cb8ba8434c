//! What every handler can read.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use actors::handle::NodeHandle;
use actors::jobs::workflow::Capacity;
use actors::snapshot::Snapshot;
use prometheus::Registry;
use protocol::digest::ValidatorId;

use super::buckets::Buckets;
use super::checks::Host;
use super::meters::Meters;
use super::models::Shelf;
use crate::auth::Nonces;
use crate::config::Config;
use crate::history::History;
use crate::home::Chain;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The running node.
    pub(crate) node: NodeHandle,
    /// Which chain.
    pub(crate) chain: Chain,
    /// How this node is configured.
    pub(crate) config: Config,
    /// Its name among peers.
    pub(crate) peer_id: String,
    /// What happened, findable.
    pub(crate) history: History,
    /// Models this node holds.
    pub(crate) shelf: Shelf,
    /// What was found about this host at the start.
    pub(crate) host: Host,
    /// All metrics of the process.
    pub(crate) registry: Registry,
    /// Our own.
    pub(crate) meters: Meters,
    /// Nonces of signed requests.
    pub(crate) nonces: Mutex<Nonces>,
    /// Rate limits.
    pub(crate) buckets: Buckets,
    /// Told to take no seats.
    pub(crate) quiet: AtomicBool,
    /// Whether any public listener is off loopback.
    pub(crate) exposed: bool,
    /// Set when the node has halted and only metrics are left.
    pub(crate) halted: AtomicBool,
}

impl Shared {
    /// The newest state.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.node.snapshot()
    }

    /// Takes seats no more, or again. Votes go on: silence of a quorum would stop the chain.
    pub(crate) fn set_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, std::sync::atomic::Ordering::SeqCst);
        self.node.set_capacity(match self.node.slots() {
            0 => Capacity::Closed,
            _ if quiet => Capacity::Closed,
            slots => Capacity::Slots(slots),
        });
    }

    /// The validator that our session key speaks for now.
    pub(crate) fn validator(&self, snapshot: &Snapshot) -> Option<ValidatorId> {
        snapshot.session_holder(&self.node.session_key()?)
    }
}
