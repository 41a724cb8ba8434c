//! What a model is and what a job feeds it: two small records, known everywhere by their roots.
//!
//! `model_root = TH("palisade/model/v1", ModelManifest)` and `input = TH("palisade/input/v1", InputManifest)`.
//! A manifest names its file by SHA-256, size and the SHA-256 of each 256 KiB chunk, so that pieces
//! from strangers are checked one by one.

use bincode::{Decode, Encode};
use thiserror::Error;

use crate::codec::{Canonical, encode};
use crate::digest::{Digest, Tag, sha256, th};
use crate::limits::OUTPUTS_MAX;
use crate::result::{Dtype, TENSOR_NAME_BYTES_MAX, TENSOR_RANK_MAX};

/// The only version there is.
pub const MANIFEST_VERSION: u8 = 1;
/// Files travel and are checked in pieces of this size.
pub const CHUNK_BYTES: usize = 256 << 10;
/// 64 MiB of weights and some graph.
pub const MODEL_FILE_BYTES_MAX: u64 = 66 << 20;
/// All inputs of a job together.
pub const INPUT_BUNDLE_BYTES_MAX: u64 = 4 << 20;
/// The most inputs a model may take.
pub const INPUT_TENSORS_MAX: usize = 32;
/// The longest name and licence of a model.
pub const LABEL_BYTES_MAX: usize = 64;
/// The chunk hashes of the largest model take half of this.
pub const MANIFEST_BYTES_MAX: usize = 16 << 10;

const _: () = assert!(66 * 4 * 32 < MANIFEST_BYTES_MAX);

/// A file by its contents.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct FileDigest {
    /// SHA-256 of the whole file.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of each 256 KiB, the last one shorter.
    pub chunks: Vec<Digest>,
}

/// What a model file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum ModelKind {
    /// An ONNX graph.
    Onnx,
    /// The name of an attack that a captured runner would try; local chains only.
    Probe,
}

/// One axis of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum DimSpec {
    /// Always this long.
    Fixed(u64),
    /// Chosen by each job, from 1 up to this.
    UpTo(u64),
}

impl DimSpec {
    /// Whether a job may use this length.
    #[must_use]
    pub fn allows(self, dim: u64) -> bool {
        match self {
            Self::Fixed(only) => dim == only,
            Self::UpTo(most) => (1..=most).contains(&dim),
        }
    }

    const fn bound(self) -> u64 {
        match self {
            Self::Fixed(dim) | Self::UpTo(dim) => dim,
        }
    }
}

/// An input that a model takes.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct InputSpec {
    /// The graph input's name.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its shape.
    pub dims: Vec<DimSpec>,
}

/// An output that a model gives. Its dims follow from the inputs.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct OutputSpec {
    /// The graph output's name.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its number of axes.
    pub rank: u8,
}

/// A model: what its file is and how to call it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ModelManifest {
    /// [`MANIFEST_VERSION`].
    pub version: u8,
    /// What the file holds.
    pub kind: ModelKind,
    /// For people.
    pub name: String,
    /// For people: an SPDX expression if there is one.
    pub licence: String,
    /// The file.
    pub file: FileDigest,
    /// In the graph's order.
    pub inputs: Vec<InputSpec>,
    /// In the graph's order.
    pub outputs: Vec<OutputSpec>,
}

impl Canonical for ModelManifest {
    const BYTES_MAX: usize = MANIFEST_BYTES_MAX;
}

/// One input of one job.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct InputTensor {
    /// The model's name for it.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its shape, all known.
    pub dims: Vec<u64>,
    /// Where its elements start in the bundle.
    pub offset: u64,
}

/// What one job feeds a model. The bundle is the inputs' elements, joined in this order.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct InputManifest {
    /// [`MANIFEST_VERSION`].
    pub version: u8,
    /// In the model's order.
    pub inputs: Vec<InputTensor>,
    /// The bundle.
    pub bundle: FileDigest,
}

impl Canonical for InputManifest {
    const BYTES_MAX: usize = MANIFEST_BYTES_MAX;
}

/// Which rule a manifest breaks, or why a job's inputs do not fit a model.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Made by a later release.
    #[error("version {0}, only {MANIFEST_VERSION} is known")]
    Version(u8),
    /// The encoding is too long.
    #[error("{bytes} bytes, at most {MANIFEST_BYTES_MAX} allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A name or licence is too long.
    #[error("name and licence may have {LABEL_BYTES_MAX} bytes each")]
    Label,
    /// The file is empty or too long.
    #[error("a file of {size} bytes, 1 to {max} allowed")]
    FileSize {
        /// Its size.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// The number of chunk hashes does not follow from the size.
    #[error("{chunks} chunk hashes for {size} bytes")]
    Chunks {
        /// How many hashes there are.
        chunks: usize,
        /// The size they should cover.
        size: u64,
    },
    /// Too many tensors, or no output.
    #[error("{count} tensors, at most {max} allowed, and an output at least")]
    Tensors {
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// An empty, overlong or repeated tensor name.
    #[error("tensor name {0:?} is empty, repeated or over {TENSOR_NAME_BYTES_MAX} bytes")]
    TensorName(String),
    /// A tensor with too many axes, a zero axis or more elements than can be counted.
    #[error(
        "tensor {0} has an axis of length 0, more than {TENSOR_RANK_MAX} axes, or too many elements"
    )]
    Shape(String),
    /// An input does not start where the one before it ends, or the bundle is not their sum.
    #[error("input {0} lies outside the bundle's order")]
    Offset(String),
    /// The job has other inputs than the model.
    #[error("the model takes input {expected:?}, the job gives {given:?}")]
    Inputs {
        /// The model's name at the first difference.
        expected: Option<String>,
        /// The job's name there.
        given: Option<String>,
    },
    /// An input has another element type than the model's.
    #[error("input {name} must be {expected}, not {given}")]
    InputDtype {
        /// Which input.
        name: String,
        /// The model's type.
        expected: Dtype,
        /// The job's type.
        given: Dtype,
    },
    /// An input has a shape the model does not take.
    #[error("input {name} may not have shape {given:?}")]
    InputDims {
        /// Which input.
        name: String,
        /// The job's shape.
        given: Vec<u64>,
    },
}

impl FileDigest {
    /// The digests of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: sha256(bytes),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            chunks: bytes.chunks(CHUNK_BYTES).map(sha256).collect(),
        }
    }

    /// Whether these bytes are the file.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        u64::try_from(bytes.len()) == Ok(self.size) && sha256(bytes) == self.sha256
    }

    fn check(&self, max: u64) -> Result<(), ManifestError> {
        if self.size == 0 || self.size > max {
            return Err(ManifestError::FileSize {
                size: self.size,
                max,
            });
        }
        let chunk = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX);
        if u64::try_from(self.chunks.len()) != Ok(self.size.div_ceil(chunk)) {
            return Err(ManifestError::Chunks {
                chunks: self.chunks.len(),
                size: self.size,
            });
        }
        Ok(())
    }
}

fn check_head(version: u8, encoded: usize) -> Result<(), ManifestError> {
    if version != MANIFEST_VERSION {
        return Err(ManifestError::Version(version));
    }
    if encoded > MANIFEST_BYTES_MAX {
        return Err(ManifestError::TooLong { bytes: encoded });
    }
    Ok(())
}

fn check_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), ManifestError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        let sized = (1..=TENSOR_NAME_BYTES_MAX).contains(&name.len());
        if !sized || !seen.insert(name) {
            return Err(ManifestError::TensorName(name.clone()));
        }
    }
    Ok(())
}

fn check_dims(name: &str, dtype: Dtype, dims: &[u64]) -> Result<u64, ManifestError> {
    let shape = || ManifestError::Shape(name.to_owned());
    if dims.len() > TENSOR_RANK_MAX || dims.contains(&0) {
        return Err(shape());
    }
    dtype.bytes_of(dims).ok_or_else(shape)
}

impl ModelManifest {
    /// What jobs call this model.
    #[must_use]
    pub fn root(&self) -> Digest {
        th(Tag::Model, &[&encode(self)])
    }

    /// # Errors
    /// [`ManifestError`] naming the first rule this manifest breaks.
    pub fn check(&self) -> Result<(), ManifestError> {
        check_head(self.version, encode(self).len())?;
        if self.name.len() > LABEL_BYTES_MAX || self.licence.len() > LABEL_BYTES_MAX {
            return Err(ManifestError::Label);
        }
        self.file.check(MODEL_FILE_BYTES_MAX)?;
        if self.inputs.len() > INPUT_TENSORS_MAX {
            let count = self.inputs.len();
            return Err(ManifestError::Tensors {
                count,
                max: INPUT_TENSORS_MAX,
            });
        }
        if self.outputs.is_empty() || self.outputs.len() > OUTPUTS_MAX {
            let count = self.outputs.len();
            return Err(ManifestError::Tensors {
                count,
                max: OUTPUTS_MAX,
            });
        }
        check_names(self.inputs.iter().map(|input| &input.name))?;
        check_names(self.outputs.iter().map(|output| &output.name))?;
        for input in &self.inputs {
            let bounds: Vec<u64> = input.dims.iter().map(|dim| dim.bound()).collect();
            if bounds.len() > TENSOR_RANK_MAX || bounds.contains(&0) {
                return Err(ManifestError::Shape(input.name.clone()));
            }
        }
        let flat = |output: &&OutputSpec| usize::from(output.rank) > TENSOR_RANK_MAX;
        match self.outputs.iter().find(flat) {
            Some(output) => Err(ManifestError::Shape(output.name.clone())),
            None => Ok(()),
        }
    }

    /// Whether a job's inputs fit this model.
    ///
    /// # Errors
    /// [`ManifestError`] naming the first input that does not.
    pub fn accepts(&self, job: &InputManifest) -> Result<(), ManifestError> {
        let longest = self.inputs.len().max(job.inputs.len());
        for index in 0..longest {
            let (spec, given) = (self.inputs.get(index), job.inputs.get(index));
            match (spec, given) {
                (Some(spec), Some(given)) if spec.name == given.name => spec.accepts(given)?,
                _ => {
                    return Err(ManifestError::Inputs {
                        expected: spec.map(|spec| spec.name.clone()),
                        given: given.map(|given| given.name.clone()),
                    });
                }
            }
        }
        Ok(())
    }
}

impl InputSpec {
    fn accepts(&self, given: &InputTensor) -> Result<(), ManifestError> {
        let name = self.name.clone();
        if self.dtype != given.dtype {
            let (expected, given) = (self.dtype, given.dtype);
            return Err(ManifestError::InputDtype {
                name,
                expected,
                given,
            });
        }
        let fits = self.dims.len() == given.dims.len()
            && self
                .dims
                .iter()
                .zip(&given.dims)
                .all(|(spec, dim)| spec.allows(*dim));
        if fits {
            Ok(())
        } else {
            Err(ManifestError::InputDims {
                name,
                given: given.dims.clone(),
            })
        }
    }
}

impl InputManifest {
    /// What a job calls these inputs.
    #[must_use]
    pub fn root(&self) -> Digest {
        th(Tag::Input, &[&encode(self)])
    }

    /// # Errors
    /// [`ManifestError`] naming the first rule this manifest breaks.
    pub fn check(&self) -> Result<(), ManifestError> {
        check_head(self.version, encode(self).len())?;
        self.bundle.check(INPUT_BUNDLE_BYTES_MAX)?;
        if self.inputs.len() > INPUT_TENSORS_MAX {
            let count = self.inputs.len();
            return Err(ManifestError::Tensors {
                count,
                max: INPUT_TENSORS_MAX,
            });
        }
        check_names(self.inputs.iter().map(|input| &input.name))?;
        let mut end = 0_u64;
        for input in &self.inputs {
            let bytes = check_dims(&input.name, input.dtype, &input.dims)?;
            if input.offset != end {
                return Err(ManifestError::Offset(input.name.clone()));
            }
            end = end
                .checked_add(bytes)
                .ok_or_else(|| ManifestError::Offset(input.name.clone()))?;
        }
        if end != self.bundle.size {
            let last = self
                .inputs
                .last()
                .map_or_else(String::new, |input| input.name.clone());
            return Err(ManifestError::Offset(last));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
