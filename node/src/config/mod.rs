//! `node.toml`: one struct a section, each with its defaults, unknown keys refused.
//!
//! Defaults < file < `PALISADE__SECTION__KEY` < flags. Genesis is apart: it belongs to the chain.

pub(crate) mod check;
pub(crate) mod load;
pub(crate) mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use values::Size;

/// Everything a node can be told locally.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Who this node is.
    pub(crate) node: Node,
    /// The HTTP interface.
    pub(crate) api: Api,
    /// The metrics listener.
    pub(crate) metrics: Metrics,
    /// The peer-to-peer side.
    pub(crate) net: Net,
    /// How much others may ask of this node.
    pub(crate) limits: Limits,
    /// Where keys get their password.
    pub(crate) keys: Keys,
    /// Where jobs run.
    pub(crate) sandbox: Sandbox,
    /// What is kept.
    pub(crate) storage: Storage,
    /// What is logged.
    pub(crate) log: Log,
}

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Node {
    /// A name for people, in logs and in `status`.
    pub(crate) moniker: String,
    /// What this node does.
    pub(crate) role: Role,
}

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Votes, runs jobs.
    #[default]
    Validator,
    /// Stands in front of a validator.
    Sentry,
    /// Relays and serves.
    Full,
    /// Observes and submits.
    Client,
}

/// The HTTP interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Permits plaintext off loopback, for use behind a TLS proxy.
    pub(crate) allow_plain: bool,
    /// Further Host headers that are ours, as `name:port`.
    pub(crate) authorities: Vec<String>,
}

/// The metrics listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Metrics {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Permits plaintext off loopback.
    pub(crate) allow_plain: bool,
}

/// The peer-to-peer side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Net {
    /// Multiaddresses to listen on.
    pub(crate) listen: Vec<String>,
    /// Peers to stay connected to, as `…/p2p/<peer id>`.
    pub(crate) persistent: Vec<String>,
    /// Addresses without per-address limits.
    pub(crate) exempt: Vec<String>,
}

/// How much others may ask of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Rates for transactions, by HTTP and from peers, and for signature checks are this many times
    /// the usual. For hosts that have the cores, and for benchmarks.
    pub(crate) tx_factor: u32,
    /// Rates for consensus messages from peers are this many times the usual, which fit blocks of
    /// half a second and more. All validators of a chain need it alike.
    pub(crate) consensus_factor: u32,
}

/// Where keys get their password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Keys {
    /// A file with it, relative to the home; mode 0600.
    pub(crate) password_file: Option<PathBuf>,
}

/// Where jobs run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sandbox {
    /// Jobs at once.
    pub(crate) slots: u16,
    /// Missing layers that are accepted: `cgroup`, `landlock-abi`, `namespaces`.
    pub(crate) allow_degraded: Vec<String>,
    /// First user id for jobs of a node that runs as root.
    pub(crate) uid_base: u32,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// Models, inputs and results together.
    pub(crate) blobs: Size,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `auto`, `text` or `json`.
    pub(crate) format: LogFormat,
    /// A filter of the `tracing` kind.
    pub(crate) filter: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// `key=value`.
    Text,
    /// One object a line.
    Json,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            moniker: "palisade".to_owned(),
            role: Role::Validator,
        }
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: loopback(8645),
            allow_plain: false,
            authorities: Vec::new(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            listen: loopback(9464),
            allow_plain: false,
        }
    }
}

impl Default for Net {
    fn default() -> Self {
        Self {
            listen: vec![
                "/ip4/127.0.0.1/udp/8640/quic-v1".to_owned(),
                "/ip4/127.0.0.1/tcp/8640".to_owned(),
            ],
            persistent: Vec::new(),
            exempt: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tx_factor: 1,
            consensus_factor: 1,
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            slots: 2,
            allow_degraded: Vec::new(),
            uid_base: 700_000,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            blobs: Size(20 << 30),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            filter: crate::run::quiet("info"),
        }
    }
}
