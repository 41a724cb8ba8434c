//! One prepared engine for all tests, and short ways to ask it something.

use std::sync::OnceLock;

use protocol::job::{DeclineReason, Outcome};
use protocol::manifest::{InputManifest, ModelManifest};
use protocol::result::{Dtype, OutputTensor, decode_blob};
use protocol::units::Fuel;
use runner::describe::{FREE_AXIS_MAX, manifest_of};
use runner::npy::{Array, bundle};
use runner::{ENGINE_ONNX_GEN, Prepared, Refusal, Report, Request, Verdict, prepare};

pub(crate) const PLENTY: Fuel = Fuel(u64::MAX);

pub(crate) fn engine() -> &'static Prepared {
    static ENGINE: OnceLock<Prepared> = OnceLock::new();
    ENGINE.get_or_init(|| prepare(ENGINE_ONNX_GEN).expect("this host has AVX2 and FMA"))
}

pub(crate) fn floats(dims: &[u64], values: &[f32]) -> Array {
    let elements = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    Array {
        dtype: Dtype::F32,
        dims: dims.to_vec(),
        elements,
    }
}

pub(crate) fn longs(values: &[i64]) -> Array {
    let elements = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let dims = vec![values.len() as u64];
    Array {
        dtype: Dtype::I64,
        dims,
        elements,
    }
}

pub(crate) fn request(
    model: ModelManifest,
    arrays: Vec<(Option<String>, Array)>,
) -> (Request, Vec<u8>) {
    let (input, bytes) = bundle(&model, arrays).expect("inputs fit the model");
    let outputs = Vec::new();
    (
        Request {
            model,
            input,
            outputs,
            fuel_limit: PLENTY,
            out_bytes: 1 << 20,
        },
        bytes,
    )
}

pub(crate) fn described(file: &[u8]) -> ModelManifest {
    manifest_of(file, "test", "", FREE_AXIS_MAX).expect("a model that can be described")
}

/// Runs a model that describes itself on arrays in its order.
pub(crate) fn run(file: &[u8], arrays: &[Array]) -> Report {
    let model = described(file);
    let names = model.inputs.iter().map(|input| Some(input.name.clone()));
    let arrays = names.zip(arrays.iter().cloned()).collect();
    let (request, bytes) = request(model, arrays);
    engine().run(&request, file.to_vec(), &bytes)
}

/// Runs a file that need not describe itself, under the manifest of one that does.
pub(crate) fn run_as(model: &ModelManifest, file: &[u8], array: Array) -> Report {
    let mut model = model.clone();
    model.file = protocol::manifest::FileDigest::of(file);
    let (request, bytes) = request(model, vec![(None, array)]);
    engine().run(&request, file.to_vec(), &bytes)
}

pub(crate) fn outputs(report: &Report) -> Vec<OutputTensor> {
    match &report.verdict {
        Verdict::Answered { blob, .. } => decode_blob(blob).expect("a blob"),
        other => panic!("no answer: {other:?}: {}", report.remark),
    }
}

pub(crate) fn fuel(report: &Report) -> u64 {
    report.signable().expect("an outcome").2.0
}

pub(crate) fn as_floats(output: &OutputTensor) -> Vec<f32> {
    assert_eq!(output.dtype, Dtype::F32);
    output
        .elements
        .chunks_exact(4)
        .map(|e| f32::from_le_bytes(e.try_into().unwrap()))
        .collect()
}

pub(crate) fn as_ints(output: &OutputTensor) -> Vec<i64> {
    assert_eq!(output.dtype, Dtype::I64);
    output
        .elements
        .chunks_exact(8)
        .map(|e| i64::from_le_bytes(e.try_into().unwrap()))
        .collect()
}

/// The refusal a report carries, with its remark beside it if there is none.
pub(crate) fn refusal(report: &Report) -> Result<Refusal, String> {
    match &report.verdict {
        Verdict::Failed {
            outcome: Outcome::EngineRefused,
            code,
            ..
        } => {
            let known = Refusal::ALL
                .into_iter()
                .find(|refusal| refusal.code() == *code);
            known.ok_or_else(|| format!("code {code}"))
        }
        other => Err(format!("{other:?}: {}", report.remark)),
    }
}

pub(crate) fn declined(report: &Report) -> Option<DeclineReason> {
    match report.verdict {
        Verdict::Declined { reason } => Some(reason),
        _ => None,
    }
}

pub(crate) fn input_of(request: &Request) -> &InputManifest {
    &request.input
}
