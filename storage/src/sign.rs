//! Sign-state: what this validator has already signed, so that it never contradicts itself.
//!
//! ```text
//!  own message -> WAL durable -> slot durable -> may leave the process
//!  start: floor = max(valid slots, own messages in the WAL, end of the last committed height)
//! ```
//! Any single damaged file leaves the floor where it was. It is never restored from a backup.

pub mod commits;
pub mod floor;
pub mod portable;
pub mod slot;
pub mod state;
