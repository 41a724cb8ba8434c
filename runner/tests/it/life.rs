//! The hidden mode's life: the order of its steps, and its report as the node reads it.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use protocol::codec::{decode_canonical, encode};
use protocol::job::DeclineReason;
use runner::entry::{Files, serve};
use runner::{ENGINE_ONNX_GEN, ENGINE_PROBE, Report, Task, Verdict};

use crate::support::{declined, described, floats, outputs, request};

const ECHO: &[u8] = include_bytes!("../../../examples/demo/echo.onnx");

/// A file whose offset is somewhere in the middle, as a shared one may be.
fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room");
    file.seek(SeekFrom::Start(bytes.len() as u64 / 2))
        .expect("a seekable file");
    file
}

fn report(engine: u16, files: Files, seal: impl FnOnce() -> io::Result<()>) -> Report {
    let mut out = Vec::new();
    serve(engine, files, &mut out, seal, |name| {
        format!("{name}: refused")
    })
    .expect("a report");
    decode_canonical(&out).expect("a canonical report")
}

fn echo() -> Files {
    let (request, bytes) = request(described(ECHO), vec![(None, floats(&[2], &[1.0, 2.0]))]);
    let task = encode(&Task::Run(Box::new(request)));
    Files {
        request: file(&task),
        model: Some(file(ECHO)),
        bundle: Some(file(&bytes)),
    }
}

#[test]
fn a_run_from_files_to_report() {
    let sealed = Cell::new(false);
    let report = report(ENGINE_ONNX_GEN, echo(), || {
        sealed.set(true);
        Ok(())
    });
    assert!(sealed.get());
    assert_eq!(outputs(&report)[0].name, "y");
}

/// If the filter cannot be installed, not one foreign byte is read.
#[test]
fn no_seal_no_run() {
    let files = echo();
    let mut request = files.request.try_clone().expect("a second handle");
    let before = request.stream_position().expect("an offset");
    let report = report(ENGINE_ONNX_GEN, files, || {
        Err(io::Error::other("no filter"))
    });
    assert_eq!(declined(&report), Some(DeclineReason::Unavailable));
    assert_eq!(
        request.stream_position().expect("an offset"),
        before,
        "the request was read"
    );
}

#[test]
fn garbage_requests_and_missing_files_are_declined() {
    let garbage = Files {
        request: file(b"garbage"),
        ..echo()
    };
    let missing = Files {
        model: None,
        ..echo()
    };
    let long = Files {
        request: file(&vec![0; 1 << 20]),
        ..echo()
    };
    for files in [garbage, missing, long] {
        let report = report(ENGINE_ONNX_GEN, files, || Ok(()));
        assert_eq!(
            declined(&report),
            Some(DeclineReason::Unavailable),
            "{}",
            report.remark
        );
    }
}

#[test]
fn conformance_needs_no_model() {
    let files = Files {
        request: file(&encode(&Task::Conform)),
        model: None,
        bundle: None,
    };
    let report = report(ENGINE_ONNX_GEN, files, || Ok(()));
    assert!(
        matches!(report.verdict, Verdict::Conformed { .. }),
        "{}",
        report.remark
    );
}

#[test]
fn the_probe_attacks_and_always_declines() {
    let files = Files {
        model: Some(file(b"open_socket\n")),
        ..echo()
    };
    let report = report(ENGINE_PROBE, files, || Ok(()));
    assert_eq!(declined(&report), Some(DeclineReason::SandboxKilled));
    assert_eq!(report.remark, "open_socket: refused");
}

#[test]
fn unknown_engines_are_declined() {
    let report = report(9, echo(), || Ok(()));
    assert_eq!(declined(&report), Some(DeclineReason::Unavailable));
}
