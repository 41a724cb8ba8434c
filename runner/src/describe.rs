//! A model's manifest, derived from its file: what a client puts on the network beside the file itself.

use protocol::manifest::{
    DimSpec, FileDigest, InputSpec, MANIFEST_VERSION, MODEL_FILE_BYTES_MAX, ManifestError,
    ModelKind, ModelManifest, OutputSpec,
};
use thiserror::Error;

use crate::check::check;
use crate::proto::{Axis, Port, decode, graph_of, inputs_of, outputs_of};
use crate::report::Refusal;

/// How long an axis without a fixed length may be, unless the client says otherwise. The bundle's
/// limit bounds what a job can really give.
pub const FREE_AXIS_MAX: u64 = 65_536;

/// Why a file cannot be described.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// The file is longer than any model may be.
    #[error("a file of {bytes} bytes, at most {MODEL_FILE_BYTES_MAX} allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Every engine would refuse it.
    #[error("the engine would refuse it ({code:?}): {why}")]
    Refused {
        /// With this code.
        code: Refusal,
        /// For people.
        why: String,
    },
    /// The file does not say how many axes a tensor has, and a manifest must.
    #[error("{0} has no declared shape; export the model with shapes")]
    NoShape(String),
    /// The manifest would break its own rules.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Describes an ONNX file. Runs the same checks as an engine, but nothing of the model.
///
/// # Errors
/// [`DescribeError`] if no engine would run it.
pub fn manifest_of(
    file: &[u8],
    name: &str,
    licence: &str,
    free_axis_max: u64,
) -> Result<ModelManifest, DescribeError> {
    if file.len() as u64 > MODEL_FILE_BYTES_MAX {
        return Err(DescribeError::TooLong { bytes: file.len() });
    }
    let refused = |refused: crate::proto::Refused| DescribeError::Refused {
        code: refused.code,
        why: refused.why,
    };
    let proto = decode(file).map_err(refused)?;
    check(&proto).map_err(refused)?;
    let graph = graph_of(&proto).map_err(refused)?;
    let inputs = inputs_of(graph).map_err(refused)?;
    let outputs = outputs_of(graph).map_err(refused)?;
    let manifest = ModelManifest {
        version: MANIFEST_VERSION,
        kind: ModelKind::Onnx,
        name: name.to_owned(),
        licence: licence.to_owned(),
        file: FileDigest::of(file),
        inputs: inputs
            .iter()
            .map(|port| input(port, free_axis_max))
            .collect::<Result<_, _>>()?,
        outputs: outputs.iter().map(output).collect::<Result<_, _>>()?,
    };
    manifest.check()?;
    Ok(manifest)
}

fn axes(port: &Port) -> Result<&[Axis], DescribeError> {
    port.axes
        .as_deref()
        .ok_or_else(|| DescribeError::NoShape(port.name.clone()))
}

fn input(port: &Port, free_axis_max: u64) -> Result<InputSpec, DescribeError> {
    let dims = axes(port)?.iter().map(|axis| match axis {
        Axis::Fixed(length) => DimSpec::Fixed(*length),
        Axis::Free(_) => DimSpec::UpTo(free_axis_max),
    });
    Ok(InputSpec {
        name: port.name.clone(),
        dtype: port.dtype,
        dims: dims.collect(),
    })
}

fn output(port: &Port) -> Result<OutputSpec, DescribeError> {
    let rank = u8::try_from(axes(port)?.len()).unwrap_or(u8::MAX);
    Ok(OutputSpec {
        name: port.name.clone(),
        dtype: port.dtype,
        rank,
    })
}
