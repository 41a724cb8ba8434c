//! Goal: a directory that cannot take a job's outputs is refused before anything is asked or paid.
//! Method: no node is there at all, so whatever came first would say so; the directory is below a
//! plain file, then a full disk of its own. Where the kernel lets nobody mount one the test says so.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{problem, run};

const NOBODY: &str = "http://127.0.0.1:1";

fn refused(problem: &Value, path: &Path, cause: &str) {
    assert_eq!(problem["code"], "storage.failed", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(path.to_str().unwrap()), "{detail}");
    assert!(detail.contains(cause), "{detail}");
}

#[test]
fn a_directory_that_takes_no_file_is_refused_first() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let below = file.join("out");
    let out = below.to_str().unwrap();
    let submit = [
        "job",
        "submit",
        "--watch",
        "--model",
        "m",
        "--output-dir",
        out,
    ];
    for verb in [&submit[..], &["job", "watch", "ab12", "--output-dir", out]] {
        let ran = run(dir.path(), &[&["--api", NOBODY], verb].concat());
        assert_eq!(ran.status.code(), Some(76));
        refused(&problem(&ran), &below, "Not a directory");
    }
}

#[test]
fn a_full_disk_is_refused_first() {
    let dir = tempfile::tempdir().unwrap();
    let full = dir.path().join("full");
    std::fs::create_dir(&full).unwrap();
    let script = "mount -t tmpfs -o size=16k full full && echo mounted && exec \"$PALISADE\" --api \
                  \"$NOBODY\" job submit --watch --model m --output-dir \"$PWD/full\"";
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let ran = command
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .current_dir(dir.path())
        .env("PALISADE", env!("CARGO_BIN_EXE_palisade"))
        .env("NOBODY", NOBODY)
        .output();
    match ran {
        Ok(ran) if ran.stdout.starts_with(b"mounted") => {
            assert_eq!(ran.status.code(), Some(76));
            refused(&problem(&ran), &full, "No space left on device");
        }
        _ => eprintln!("skipped: this user may not mount a disk of its own (unshare, mount)"),
    }
}
