//! Keeps every promise the node has made, above all each signature, through crashes, power cuts
//! and bad disks, and makes everything else rebuildable.
//!
//! ```text
//!            wal()  commit()  mark()  audit()        note()  events()      put_blob() ..
//!                 \    |       |     /                   |                     |
//!  threads         journal ----------- blocks --------> state                blobs
//!                     |                (lag <= 8)        |                     |
//!  authority   record files, sign-state         sled, rebuildable       files by hash
//! ```
//!
//! Authority is a few append-only record files and one sign-state file, written with `fdatasync`.
//! The database holds only what can be rebuilt from them. Each request carries a reply that is
//! called on the store's thread once its promise holds.
//!
//! Reading order: [`record::format`] and [`record::recovery`] (pure), [`record::log`], [`sign`],
//! [`wal`], [`blocks`], [`state`], then [`open`] and [`handle`], which put them together.
//!
//! Invariants:
//! - nothing is acknowledged before it is durable, and no failed sync is ever retried;
//! - recovery never drops a record that anything vouches for, and never invents one;
//! - own messages are in the write-ahead log before the slot names them, and in both before the
//!   reply;
//! - state is never ahead of the block log.
//!
//! It is not: a judge of blocks, votes or roots. It knows bytes, heights and hashes, not rules.
#![forbid(unsafe_code)]

pub mod audit;
mod blob_thread;
pub mod blobs;
pub mod blocks;
mod clock;
pub mod disk;
pub mod evidence;
pub mod exit;
pub mod handle;
pub mod home;
pub mod journal;
pub mod kv;
pub mod layer;
pub mod open;
pub mod paths;
pub mod record;
pub mod request;
mod shared;
pub mod sign;
pub mod state;
mod state_thread;
pub mod wal;

pub use exit::ExitKind;
pub use handle::{Storage, StorageHandle};
pub use home::HomeLock;
pub use journal::Durability;
pub use open::{OpenError, Recovered, StorageConfig, open};
pub use request::{JournalError, NotTaken, Observer, Reply};
