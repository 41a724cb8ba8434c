//! One node, from its home to its end.
//!
//! ```text
//! lock -> configuration, chain, keys -> sandbox (self-test) -> store (recovery) -> actors -> history -> API
//!                                                                                   |
//!         SIGTERM, SIGINT: stop in order, 0            a fault: halt.json, 45 s of metrics, 69–78
//! ```

mod codec;
mod compose;
mod halt;
mod log;
mod notify;
mod open;
mod sockets;

pub(crate) use compose::{Options, run};
pub(crate) use log::quiet;
pub(crate) use sockets::{Handed, handed, socket_of, taken};
