//! The consensus actor: agreement's machine, driven; the ledger's one writer.

pub(crate) mod actor;
pub mod blocks;
pub(crate) mod boot;
mod heard;
pub(crate) mod metrics;
pub(crate) mod publish;
pub(crate) mod refetch;
