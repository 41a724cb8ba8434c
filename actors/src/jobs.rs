//! Jobs: the seats we were drawn for, from the draw until execution takes over.

pub(crate) mod actor;
pub mod ahead;
pub(crate) mod effects;
pub(crate) mod fetches;
pub mod orders;
pub mod workflow;

#[cfg(test)]
mod tests;
