//! Goal: what a start takes in memory does not grow with the logs that are kept for ever. Method: a child
//! process opens an audit log and a block log, and says how much it held at most; once with short logs,
//! once with long ones, both of many segments.

use std::fs;
use std::path::Path;
use std::process::Command;

use protocol::units::TimeMs;
use storage::audit::log::AuditLog;
use storage::audit::record::AuditEntry;
use storage::blocks::BlockLog;

use crate::scene::{block, chain, digest, os};

const LOGS: &str = "STORAGE_TEST_LOGS";
const AUDIT_SEGMENT: u64 = 64 << 10;
const BLOCK_SEGMENT: u64 = 4 << 20;
/// A log read whole would take several times as much.
const GROWTH_KIB_MAX: u64 = 4 << 10;

fn open(dir: &Path) -> (AuditLog, BlockLog) {
    let audit = dir.join("audit");
    let (audit, intact) =
        AuditLog::open(os(), &audit, chain(), AUDIT_SEGMENT, None, TimeMs(5)).unwrap();
    assert!(intact);
    let blocks = BlockLog::open(os(), &dir.join("blocks"), chain(), BLOCK_SEGMENT).unwrap();
    (audit, blocks.0)
}

fn write(dir: &Path, records: u64) {
    let (mut audit, mut blocks) = open(dir);
    for index in 1..=records {
        let entry = AuditEntry {
            time: TimeMs(index),
            actor: "jobs".to_owned(),
            action: "receipt".to_owned(),
            subject: format!("{index:0200}"),
            body_hash: digest("body"),
        };
        audit.append(entry).unwrap();
        blocks.append(&block(index)).unwrap();
        if index.is_multiple_of(1_000) {
            audit.sync().unwrap();
            blocks.sync().unwrap();
        }
    }
}

/// The child's part. Without logs in the environment there is nothing to open.
#[test]
fn opener() {
    let Some(dir) = std::env::var_os(LOGS) else {
        return;
    };
    let (audit, blocks) = open(Path::new(&dir));
    let tip = blocks.reader().tip().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().split_whitespace().next().unwrap();
    println!("\nopened {} {} peak {peak}", audit.size(), tip.height);
}

/// The most a process held that opened logs of so many records, in KiB.
fn peak_kib(records: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), records);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "long_logs::opener", "--nocapture"])
        .env(LOGS, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let opened = format!("opened {records} {records} peak ");
    let peak = said.lines().find_map(|line| line.strip_prefix(&opened));
    peak.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
}

#[test]
fn a_start_holds_no_more_for_long_logs_than_for_short_ones() {
    let (short, long) = (peak_kib(20_000), peak_kib(80_000));
    assert!(long < short + GROWTH_KIB_MAX, "{short} KiB, then {long}");
}
