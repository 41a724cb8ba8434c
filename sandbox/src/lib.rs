//! Running somebody else's program: able to compute and write bytes, and nothing else, and with
//! one typed value that says how it ended.
//!
//! A program that came over the network is run under three walls that do not trust one another:
//! seven fresh namespaces around an empty root, Landlock with one rule, and a seccomp filter merged
//! of three lists. With any one of them down the other two still stop file reads, network and
//! signals.
//!
//! ```text
//! node ── slot thread ──SEQPACKET── launcher ──clone3── job pid 1 [── program]
//!         wall, output,             no keys,            namespaces, empty root, rlimits,
//!         cancel, CPU, Outcome      own user            Landlock, no capabilities, seccomp
//! ```
//! The node never forks: one small launcher per slot does. It dies with the slot's thread, and
//! every job dies with its launcher. What does not depend on the job is done before there is one,
//! by a *spare* that serves one job or none.
//!
//! # Reading order
//! [`Spec`] and [`Limits`] (what to run), [`Outcome`] (how it can end), `slot.rs` and
//! `supervise.rs` (the outside), `wire.rs`, `launcher.rs`, `request.rs` and `child.rs` (the inside,
//! steps 1 to 12), `profiles/` (the third wall), [`attacks`] (what is tried against all of it), [`Sandbox`]
//! (whether this host is good enough at all).
//!
//! # Invariants
//! - No job runs before the self-test has attacked the sandbox on this host and failed.
//! - The first recorded cause of an end is the outcome.
//! - Whatever happens to node, slot thread or launcher, the job dies.
//! - A launcher has one thread, so what it clones may allocate while it lays a job out; the steps
//!   before and after that do not.
//!
//! # It is not
//! A container runtime, a scheduler, or an oracle: outcomes are facts about this host, so nothing
//! that depends on its speed or memory may ever be held against anybody. It knows no type of the
//! protocol. Limits of CPU time are not limits of side channels: timing stays observable.

pub mod attacks;
mod cancel;
mod cgroup;
mod child;
mod clock;
mod collect;
mod container;
mod doctor;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod heap;
mod inherited;
mod init;
mod landlock;
mod launcher;
mod layers;
mod limits;
mod memfd;
mod namespaces;
mod outcome;
mod output;
mod plan;
mod privilege;
mod report;
mod request;
mod root;
mod running;
mod sandbox;
mod seccomp;
mod selftest;
mod slot;
mod spec;
mod stage;
mod supervise;
mod sys;
mod tier;
mod wire;

pub use attacks::{PROBE_MODE, probe_main};
pub use cancel::Cancel;
pub use doctor::{Row, Verdict, doctor};
pub use error::{Closed, SealError, SpawnError, SpecError};
pub use heap::{give_back_heap, keep_heap_small};
pub use inherited::inherited;
pub use launcher::launcher_main;
pub use layers::Layers;
pub use limits::{ARGUMENT_BYTES_MAX, COLLECT_FILES_MAX, INPUTS_MAX, Limits};
pub use memfd::sealed_memfd;
pub use outcome::{Outcome, Stream};
pub use report::{Collected, Report, Usage};
pub use sandbox::{Sandbox, SandboxConfig, probe_tier};
pub use seccomp::{profile_source, seal};
pub use selftest::{Control, SelfTest};
pub use slot::{LAUNCHER_MODE, Slot, SlotConfig};
pub use spec::{ENVIRONMENT_ALLOWED, Profile, Program, Scratch, Spec};
pub use stage::Stage;
pub use tier::{Degradation, Tier};
