//! Prints what each conformance vector answers on this host, and the digest of all of them.
//!
//! The lines go to stdout, for `vectors/expected.txt`; the digest to stderr, for `protocol`.

use std::process::ExitCode;

use runner::conformance::{answer, digest_of, vectors};
use runner::{ENGINE_ONNX_GEN, prepare};

fn main() -> ExitCode {
    let prepared = match prepare(ENGINE_ONNX_GEN) {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let (answers, failed): (Vec<_>, Vec<_>) = vectors()
        .iter()
        .map(|vector| answer(&prepared, vector))
        .partition(Result::is_ok);
    failed.iter().for_each(|failed| eprintln!("{failed:?}"));
    let answers: Vec<_> = answers.into_iter().flatten().collect();
    answers
        .iter()
        .for_each(|answer| println!("{}", answer.line));
    eprintln!("{}", digest_of(prepared.engine(), &answers));
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
