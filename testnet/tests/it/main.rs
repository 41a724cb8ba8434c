//! The simulator, a few seeds of everything. `.ci/run` runs thousands with the release binary.
#![allow(missing_docs, reason = "tests")]

mod ledgers;
mod scenarios;
