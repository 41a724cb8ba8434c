//! Staking: our own standing, and whom the network admits.

pub(crate) mod actor;
pub(crate) mod effects;
pub mod workflow;

#[cfg(test)]
mod tests;
