//! The sandbox from outside: real launchers, real jobs, real attacks.

mod bed;
mod outcomes;
mod suite;
