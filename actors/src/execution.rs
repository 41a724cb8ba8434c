//! Execution: our seats' runs, and the commits and reveals that follow from them.

pub(crate) mod actor;
pub(crate) mod effects;
pub mod engine;
pub mod sandboxed;
pub(crate) mod slots;
pub mod workflow;

#[cfg(test)]
mod tests;
