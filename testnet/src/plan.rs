//! What a supervisor runs: written by `up`, read by `__supervise`, kept for the next `up`.

use serde::{Deserialize, Serialize};

/// `plan.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The net's name.
    pub name: String,
    /// The chain's name.
    pub chain_name: String,
    /// 64 hexadecimal digits.
    pub chain_id: String,
    /// Second byte of every p2p address; claimed again at every start.
    pub slot: u8,
    /// The first node's API port: this one or none. Without it 8645 is tried, then any.
    pub api_port: Option<u16>,
    /// The first node's metrics port, likewise, 9464.
    pub metrics_port: Option<u16>,
    /// The nodes, in manifest order.
    pub nodes: Vec<PlannedNode>,
}

/// One node of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// `palval1…`.
    pub validator: String,
    /// Its libp2p id.
    pub peer_id: String,
    /// Its multiaddress.
    pub p2p: String,
    /// Started only once the others are at this height.
    pub start_at: Option<u64>,
    /// A byzantine profile and the height from which it acts.
    pub byzantine: Option<(String, u64)>,
}

impl Plan {
    /// The node with this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&PlannedNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The names of all nodes.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }
}
