//! Escrow: receipts for the money that our operator locked, earned or got back.

pub(crate) mod actor;
pub(crate) mod effects;
pub mod workflow;

#[cfg(test)]
mod tests;
