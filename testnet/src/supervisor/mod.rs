//! The process that holds a net: `palisade __supervise DIR`.
//!
//! ```text
//!   palisade testnet …  ──control socket──▶  supervisor (main thread)
//!                                              │ spawns, signals, reaps
//!                                              ▼
//!                                   one `palisade node run` per node
//! ```
//! It is the parent of every node for their whole life, spawns only from its main thread (a
//! parent-death signal follows the parent *thread*), and ends with all of them ended. What it is
//! asked, it is asked through one socket in the net's folder, answered one line of JSON a request.

mod control;
mod ended;
mod node;
mod serve;
mod words;

pub use control::{Fault, NodeReport, Request, Response, call, running_pid};
pub(crate) use ended::last_problem;
pub use node::NodeState;
pub use serve::{die_with, supervise};
pub use words::LastWords;

/// The binary's hidden mode that is a supervisor: this word, then the net's folder.
pub const MODE: &str = "__supervise";
