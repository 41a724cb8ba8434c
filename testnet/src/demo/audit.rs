//! Fact 8: the audit logs verify, and a changed byte in a copy is found at its record.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use storage::record::format::{RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};

use super::stage::Stage;
use super::{Finding, NAMES};
use crate::client::number;

pub(super) fn check(stage: &Stage) -> Finding {
    let mut records = 0;
    for name in NAMES {
        let audit = stage.net.dir.home(name).join("data/audit");
        // The node is writing: a look may catch half a record at the very end, the next one not.
        let report = stage.wait("an intact audit log", Duration::from_secs(3), || {
            verify(stage, name, &audit)
                .ok()
                .filter(|report| report["ok"] == true)
        })?;
        records += number(&report, "records")?;
    }
    let copy = stage.net.dir.file("audit-tampered");
    let original = stage.net.dir.home(NAMES[0]).join("data/audit");
    let tampered = tamper(&original, &copy)?;
    let report = verify(stage, NAMES[0], &copy)?;
    let detected = number(&report, "first_bad").context("a changed byte went unnoticed")?;
    ensure!(
        detected == tampered,
        "changed record {tampered}, found {detected}: {report}"
    );
    let detail =
        format!("{records} records in four logs verify; a changed byte is found at {detected}");
    Ok((
        detail,
        json!({ "records": records, "tampered": tampered, "detected": detected }),
    ))
}

/// Verifies a log with the keys of the node that signed its checkpoints.
fn verify(stage: &Stage, node: &str, dir: &Path) -> Result<Value> {
    let client = stage.client.at_home(stage.net.dir.home(node));
    client.json(&["audit", "verify", &dir.display().to_string()])
}

/// Copies a log and flips one bit in the payload of its first record; returns that record's number.
fn tamper(original: &Path, copy: &Path) -> Result<u64> {
    std::fs::create_dir_all(copy)?;
    let mut segments: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(original)? {
        let entry = entry?;
        let target = copy.join(entry.file_name());
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), &target)?;
            segments.push(target);
        }
    }
    segments.sort();
    let first = segments
        .into_iter()
        .find(|path| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"PLSR")))
        .context("the audit log has no segment")?;
    let mut bytes = std::fs::read(&first)?;
    let first_payload = SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES;
    let byte = bytes
        .get_mut(first_payload + 4)
        .context("the audit log is empty")?;
    *byte ^= 1;
    std::fs::write(&first, &bytes)?;
    Ok(0)
}
