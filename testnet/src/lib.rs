//! Local nets of real processes, broken on purpose, and judged by what anybody can read.
#![forbid(unsafe_code)]

pub mod client;
pub mod clock;
pub mod expect;
pub mod files;
pub mod home;
pub mod plan;
pub mod ports;
pub mod slot;
pub mod supervisor;
