//! The binary from outside: exit codes, files, and one node that agrees with itself.
//!
//! Each test works in a directory of its own; addresses are loopback and ports are the kernel's choice.

mod alerts_that_never_fire;
mod asked_for_help;
mod audit_changed;
mod configuration_misspelt;
mod containers_unsealed;
mod disk_full;
mod home_taken;
mod hosts_unfit;
mod keys_readable_by_others;
mod nets_for_containers;
mod nets_misnamed;
mod nets_without_room;
mod node;
mod operator_build;
mod outputs_without_room;
mod programs_not_static;
mod references_out_of_date;
mod requests_malformed;
mod seeds_absurd;
mod sign_state_moved;
mod stdout_full;
mod wrong_chain;

use std::path::Path;
use std::process::{Command, Output};

/// The binary, without anything of the caller's environment that it would heed.
fn palisade(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command
        .current_dir(dir)
        .env_remove("PALISADE_HOME")
        .env_remove("STATE_DIRECTORY");
    command
        .env("XDG_DATA_HOME", dir.join("xdg"))
        .env_remove("CREDENTIALS_DIRECTORY");
    command
}

/// Runs a command to its end.
fn run(dir: &Path, args: &[&str]) -> Output {
    palisade(dir).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file of the repository.
fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The problem line that ends stderr.
fn problem(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("no problem line ends stderr: {text}"))
}

/// Asserts how a command failed: its code, its exit, and that stdout stayed empty.
fn refused(output: &Output, code: &str, exit: i32) -> serde_json::Value {
    let problem = problem(output);
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["exit_code"], exit, "{problem}");
    assert_eq!(output.status.code(), Some(exit));
    assert!(
        output.stdout.is_empty(),
        "stdout carries data only: {}",
        stdout(output)
    );
    problem
}
