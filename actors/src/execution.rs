//! Execution: our seats' runs, and the commits and reveals that follow from them.

pub(crate) mod actor;
pub(crate) mod effects;
mod seat;
pub mod workflow;

pub use crate::engine;
pub use crate::engine::sandboxed;

#[cfg(test)]
mod tests;
