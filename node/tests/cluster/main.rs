//! Real processes, driven as anybody would drive them: by the command line and the public API.
//!
//! Every test works in a folder of its own, with a net of its own name, and ends it whatever happens.
//! Nets coexist, as many as the harness has threads; some tests need the machine to themselves, and a
//! lock gives it to them. What a test waits for is a condition; what it compares are the reasons and the amounts, not only that something failed.
//!
//! Reading order: [`cli`] and [`cluster`] (what the tests share), then a file per fault.
#![forbid(unsafe_code)]

mod badinput;
mod cli;
mod client;
mod cluster;
mod commits;
mod crash;
mod damage;
mod evidence;
mod jobs;
mod kept;
mod leftovers;
mod questions;
mod recovery;
mod rehearsal;
mod rehearsal_lies;
mod scenarios;
mod unpaid;
mod waived;
