//! The store against the faults it must survive; one file per fault.

mod audit_tampered;
mod blob_damaged;
mod block_log_damaged;
mod disk_faults;
mod golden;
mod killed;
mod kv_model;
mod locked_twice;
mod log_damaged;
mod log_torn;
mod long_logs;
mod power_cut;
mod scene;
mod sign_state_lost;
mod state_lost;
mod threads;
