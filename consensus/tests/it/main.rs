//! Machines on a virtual network: one thread, a virtual clock, every choice drawn from one seed.
#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    reason = "a test harness"
)]

mod crashes;
mod driver;
mod equivocation;
mod floods;
mod floors;
mod followers;
mod heights;
mod late_answers;
mod locked;
mod node;
mod properties;
mod refusals;
mod set_change;
mod vigils;
mod world;
