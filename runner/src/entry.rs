//! The hidden mode's whole life: prepare, seal, read, run, report.
//!
//! The caller hands in what only the binary can know: the inherited files, the filter that closes the
//! sandbox, and, for engine 0, the attacks of a captured runner. The node's fatal panic hook must not be
//! installed in such a process.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use protocol::codec::{decode_canonical, encode};
use protocol::job::DeclineReason;
use protocol::manifest::{INPUT_BUNDLE_BYTES_MAX, MODEL_FILE_BYTES_MAX};

use crate::ENGINE_PROBE;
use crate::pins::PrepareError;
use crate::prepared::{Prepared, prepare};
use crate::report::{Report, Verdict};
use crate::request::{TASK_BYTES_MAX, Task};

/// The name of an attack fits here.
const ATTACK_BYTES_MAX: u64 = 256;

/// The files a runner inherits. A conformance run has only the request.
#[derive(Debug)]
pub struct Files {
    /// The task, canonical.
    pub request: File,
    /// The model file.
    pub model: Option<File>,
    /// The input bundle.
    pub bundle: Option<File>,
}

/// Serves one task and writes one report. Whatever goes wrong on this host is a Decline.
///
/// `seal` is called after the engine is warm and before the first foreign byte is read; `attack` is
/// called with the name in the model file, by engine 0 only, and says what came of it.
///
/// # Errors
/// Only if the report cannot be written.
pub fn serve(
    engine: u16,
    files: Files,
    out: &mut impl Write,
    seal: impl FnOnce() -> io::Result<()>,
    attack: impl FnOnce(&str) -> String,
) -> io::Result<()> {
    let report = life(engine, files, seal, attack)
        .unwrap_or_else(|(reason, why)| Report::new(engine, Verdict::Declined { reason }, &why));
    out.write_all(&encode(&report))?;
    out.flush()
}

type Declined = (DeclineReason, String);

fn life(
    engine: u16,
    files: Files,
    seal: impl FnOnce() -> io::Result<()>,
    attack: impl FnOnce(&str) -> String,
) -> Result<Report, Declined> {
    let prepared = prepare(engine).map_err(unprepared)?;
    seal().map_err(|error| unavailable(format!("the sandbox does not close: {error}")))?;
    if engine == ENGINE_PROBE {
        let name = read(files.model, ATTACK_BYTES_MAX)?;
        let came = attack(String::from_utf8_lossy(&name).trim());
        return Err((DeclineReason::SandboxKilled, came));
    }
    let task = read(Some(files.request), TASK_BYTES_MAX as u64)?;
    let task = decode_canonical::<Task>(&task)
        .map_err(|error| unavailable(format!("the request does not decode: {error}")))?;
    run(&prepared, task, files.model, files.bundle)
}

fn run(
    prepared: &Prepared,
    task: Task,
    model: Option<File>,
    bundle: Option<File>,
) -> Result<Report, Declined> {
    match task {
        Task::Conform => Ok(prepared.conform()),
        Task::Run(request) => {
            let model = read(model, MODEL_FILE_BYTES_MAX)?;
            let bundle = read(bundle, INPUT_BUNDLE_BYTES_MAX)?;
            Ok(prepared.run(&request, model, &bundle))
        }
    }
}

fn unavailable(why: String) -> Declined {
    (DeclineReason::Unavailable, why)
}

fn unprepared(error: PrepareError) -> Declined {
    let reason = match error {
        PrepareError::CpuFloor(_) => DeclineReason::CpuFloor,
        PrepareError::UnknownEngine(_) => DeclineReason::Unavailable,
        _ => DeclineReason::NotConforming,
    };
    (reason, error.to_string())
}

/// Reads a whole inherited file, from its start, up to a limit.
fn read(file: Option<File>, limit: u64) -> Result<Vec<u8>, Declined> {
    let mut file = file.ok_or_else(|| unavailable("a file was not handed in".to_owned()))?;
    let mut bytes = Vec::new();
    // A pipe has no start to go back to; what cannot be rewound is read from where it is.
    let _at_start = file.rewind().is_ok();
    let length = file.take(limit + 1).read_to_end(&mut bytes);
    match length {
        Ok(length) if length as u64 <= limit => Ok(bytes),
        Ok(_) => Err(unavailable(format!("a file is longer than {limit} bytes"))),
        Err(error) => Err(unavailable(format!("a file cannot be read: {error}"))),
    }
}
