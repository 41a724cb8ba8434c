//! The bridge to the network: what actors want sent, what peers may have, and the transfers of
//! models and inputs.

pub(crate) mod actor;
mod fetch;
pub(crate) mod lanes;
mod manifests;
pub(crate) mod ports;
mod troubles;

pub(crate) use manifests::file_of;
pub use ports::PublicBlobs;
