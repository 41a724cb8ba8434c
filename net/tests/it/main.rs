//! The network over real sockets on loopback.

mod address_bans;
mod ban_survives_restart;
mod both_dial;
mod bulk;
#[cfg(feature = "hostile")]
mod bundles;
mod canary_on_the_wire;
mod flood;
mod forged_envelopes;
mod frames_back_to_back;
mod hello;
mod lost_votes;
mod oversize;
mod quotas;
mod raw;
mod relay;
mod restarts;
mod silence;
mod support;
mod transfers;
mod votes;
