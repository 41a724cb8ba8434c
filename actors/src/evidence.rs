//! Evidence: contradictions, kept until they are punished.

pub(crate) mod actor;
pub(crate) mod effects;
pub mod pairs;
pub mod workflow;

#[cfg(test)]
mod tests;
