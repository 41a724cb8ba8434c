//! The ledger from outside: blocks in, states, events and refusals out. One file per domain or fault.

mod account;
mod admit;
mod block;
mod draws;
mod evidence;
mod expiries;
mod fuzz;
mod jobs;
mod load;
mod oracle;
mod root;
mod seats;
mod select;
mod sets;
mod slashing;
mod staking;
mod world;
