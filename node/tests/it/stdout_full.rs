//! Goal: a command whose data found no room does not pretend to have told it, and one whose reader went
//! away does not complain.

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use crate::{palisade, problem};

/// A device without room.
fn full() -> Stdio {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe whose reader is gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn data_without_room_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &str, stdout: Stdio| {
        let mut command: Command = palisade(dir.path());
        command.args(args.split(' ')).stdout(stdout);
        command.stderr(Stdio::piped()).output().unwrap()
    };
    for args in [
        "explain all",
        "explain all --output json",
        "--version",
        "job submit --help",
        "testnet init -d net --nodes 1",
    ] {
        let output = run(args, full());
        let problem = problem(&output);
        assert_eq!(problem["code"], "storage.failed", "{args}: {problem}");
        assert_eq!(output.status.code(), Some(76), "{args}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("stdout: No space left on device"),
            "{args}: {problem}"
        );
        drop(std::fs::remove_dir_all(dir.path().join("net")));
        let output = run(args, closed());
        assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
    }
}

#[test]
fn neither_stream_taking_a_line_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    for args in ["explain all", "testnet init -d net --nodes 1"] {
        let status = palisade(dir.path())
            .args(args.split(' '))
            .stdout(full())
            .stderr(full())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(76), "{args}");
    }
}

#[test]
fn pages_that_cannot_be_written_name_their_directory() {
    let dir = tempfile::tempdir().unwrap();
    // A file bars the way even of a user whom no mode does.
    std::fs::write(dir.path().join("file"), "").unwrap();
    let output = crate::run(dir.path(), &["man", "file/pages"]);
    let problem = crate::refused(&output, "storage.failed", 76);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("file/pages: Not a directory"), "{problem}");
}
