//! The sandbox from outside: real launchers, real jobs, real attacks. One file per fault.

mod attack_suite;
mod bad_programs;
mod bad_specs;
mod bed;
mod bombs;
mod canaries;
mod clock;
mod cpu_hidden;
mod degraded;
mod garbage;
mod inputs;
mod killed;
mod leftovers;
mod outcomes;
mod scratch;
mod spares;
mod stages;
mod starved;
mod streams;
mod tools;
mod walls;
