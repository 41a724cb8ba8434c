//! Four whole nodes in one process: real stores, real network on loopback, real machine and ledger.
//! Only the engine that runs models is a stand-in, for the sandbox has tests of its own.

mod audit_burst;
mod catalogue;
mod cluster;
mod commits;
mod crowded;
mod double_vote;
mod fake;
mod full_blocks;
mod joined;
mod killed;
mod paid_job;
mod restarted;
mod seat_waits_through_its_window;
mod slot_panics;
mod wrong_result;
