//! Runs one model on one input and nothing else.
//!
//! The same (model, input) must give the same bytes on every honest validator, or a stated reason why
//! not, and neither the model nor the input is trusted. The crate is a library, bytes in and a
//! [`report::Report`] out; the binary's hidden mode connects it to the sandbox through [`entry`].
//!
//! ```text
//!   fd 3 request   fd 4 model   fd 5 bundle
//!        |             |            |
//!        v             v            v
//!   prepare -> seal -> read -> decode -> check -> type -> count fuel -> run -> record -> stdout
//!   (pins,    (no foreign       proto     allow-   concrete  own table   tract   result
//!    warm-up)  byte before)               list     shapes                        digest
//! ```
//!
//! Reading order: [`request`], [`report`], [`prepare`], `run`, then by phase: `proto`, `check`,
//! `standard`, `graph`, `fuel`, `exact`, `plan`, `tensor`. [`describe`] and [`npy`] serve clients, [`conformance`] the host.
//!
//! Invariants: one thread; no foreign byte is parsed before `seal`; an outcome that gets signed follows
//! from model and input alone, and whatever the host may have caused is a Decline; the phase of our code
//! decides which outcome it is, never the text of an error; an operator without a line in the fuel table
//! does not run.
//!
//! It is not: a sandbox, a cache, a price list, or a judge of answers.
#![forbid(unsafe_code)]

mod check;
pub mod conformance;
mod constants;
pub mod describe;
pub mod entry;
mod exact;
mod fuel;
mod graph;
pub mod npy;
pub mod operators;
mod pins;
mod plan;
mod prepared;
mod proto;
pub mod report;
pub mod request;
mod rework;
mod run;
mod standard;
mod tensor;

pub use pins::{PrepareError, floor};
pub use prepared::{Prepared, prepare};
pub use protocol::engine::{ENGINE_ONNX_GEN, ENGINE_PROBE};
pub use report::{Refusal, Report, Verdict};
pub use request::{Request, Task};
