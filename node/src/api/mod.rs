//! The HTTP API: reading the chain, submitting signed transactions, running the node.
//!
//! ```text
//! socket -> server (limits of actix) -> dispatch: target, host, row, bucket, body -> handler -> answer
//!                                        routes.rs, the one table
//! ```
//! It runs on its own threads. Handlers read immutable snapshots and the history; whatever blocks
//! goes to a blocking pool. This release speaks plaintext HTTP only: off loopback it needs
//! `api.allow_plain` and a TLS proxy in front, and what would need a signed request is refused there.

mod accounts;
mod admin;
mod answer;
mod bearings;
mod blobs;
mod buckets;
mod call;
mod chain;
mod checks;
mod dispatch;
mod duties;
mod events;
mod faucet;
mod health;
mod jobs;
mod meters;
mod models;
mod network;
mod prefix;
mod routes;
mod sandbox;
mod server;
mod shared;
mod txs;

pub(crate) use buckets::Buckets;
pub(crate) use checks::{Host, disk_free, disk_size};
pub(crate) use meters::Meters;
pub(crate) use models::Shelf;
pub(crate) use prefix::{Range, ambiguous};
pub(crate) use server::{Listeners, admin_socket, serve};
pub(crate) use shared::Shared;
