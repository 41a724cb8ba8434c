//! Scaffold while the parts land.
#![forbid(unsafe_code)]
pub mod clock;
pub mod mailbox;
pub mod supervisor;
pub mod tamper;
