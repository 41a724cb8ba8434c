//! NumPy's `.npy` files: how clients give inputs and keep outputs.
//!
//! Versions 1 and 2, little-endian, C order, and the six element types the network knows.

use protocol::manifest::{
    FileDigest, INPUT_BUNDLE_BYTES_MAX, InputManifest, InputTensor, MANIFEST_VERSION,
    ManifestError, ModelManifest,
};
use protocol::result::{Dtype, OutputTensor};
use thiserror::Error;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Headers are a line; NumPy itself refuses longer ones.
const HEADER_BYTES_MAX: usize = 10_000;

/// A tensor as a file holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Array {
    /// Its element type.
    pub dtype: Dtype,
    /// Its shape.
    pub dims: Vec<u64>,
    /// Its elements, row-major little-endian.
    pub elements: Vec<u8>,
}

/// Why a file is not an input.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NpyError {
    /// Not a `.npy` file, or one that ends early.
    #[error("not a .npy file of version 1 or 2")]
    NotNpy,
    /// The header cannot be read.
    #[error("the header has no readable {0}")]
    Header(&'static str),
    /// An element type the network does not know.
    #[error("element type {0:?}; convert it to f32, i64, i32, u8, i8 or bool (little-endian)")]
    Dtype(String),
    /// Column-major data.
    #[error("the array is in Fortran order; save it with numpy.ascontiguousarray")]
    FortranOrder,
    /// The data and the shape disagree.
    #[error("{bytes} bytes of data for shape {dims:?}")]
    Length {
        /// The data's length.
        bytes: usize,
        /// The shape.
        dims: Vec<u64>,
    },
}

/// Why arrays are not the inputs of a model.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// An input of the model has no array, or an array no input.
    #[error("input {0:?} is missing or unknown")]
    Name(String),
    /// All inputs together hold nothing.
    #[error("no element of input: a job needs at least one")]
    Empty,
    /// All inputs together are too long.
    #[error("{bytes} bytes of inputs, at most {INPUT_BUNDLE_BYTES_MAX} allowed")]
    TooLong {
        /// How long they are.
        bytes: usize,
    },
    /// The model does not take them.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Reads a file.
///
/// # Errors
/// [`NpyError`] if it is not one the network can use.
pub fn read(file: &[u8]) -> Result<Array, NpyError> {
    let rest = file.strip_prefix(MAGIC).ok_or(NpyError::NotNpy)?;
    let (length, rest) = match rest {
        [1, _, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
        [2, _, a, b, c, d, rest @ ..] => {
            let length = u32::from_le_bytes([*a, *b, *c, *d]);
            (usize::try_from(length).map_err(|_| NpyError::NotNpy)?, rest)
        }
        _ => return Err(NpyError::NotNpy),
    };
    if length > HEADER_BYTES_MAX {
        return Err(NpyError::NotNpy);
    }
    let (header, elements) = rest.split_at_checked(length).ok_or(NpyError::NotNpy)?;
    let header = std::str::from_utf8(header).map_err(|_| NpyError::NotNpy)?;
    let dtype = dtype_of(header)?;
    match value_of(header, "fortran_order") {
        Some(value) if value.starts_with("False") => {}
        Some(value) if value.starts_with("True") => return Err(NpyError::FortranOrder),
        _ => return Err(NpyError::Header("fortran_order")),
    }
    let dims = shape_of(header)?;
    if dtype.bytes_of(&dims) != Some(elements.len() as u64) {
        return Err(NpyError::Length {
            bytes: elements.len(),
            dims,
        });
    }
    Ok(Array {
        dtype,
        dims,
        elements: elements.to_vec(),
    })
}

/// What follows a key of the header's dictionary.
fn value_of<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}':"), format!("\"{key}\":")];
    let start = quoted
        .iter()
        .find_map(|key| Some(header.find(key.as_str())? + key.len()))?;
    header.get(start..).map(str::trim_start)
}

fn dtype_of(header: &str) -> Result<Dtype, NpyError> {
    let missing = NpyError::Header("descr");
    let value = value_of(header, "descr").ok_or(missing.clone())?;
    let text = value.strip_prefix(['\'', '"']).ok_or(missing.clone())?;
    let text = text.split(['\'', '"']).next().ok_or(missing)?;
    Dtype::ALL
        .into_iter()
        .find(|dtype| descr(*dtype) == text || text.strip_prefix('<') == Some(&descr(*dtype)[1..]))
        .ok_or_else(|| NpyError::Dtype(text.to_owned()))
}

const fn descr(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "<f4",
        Dtype::U8 => "|u1",
        Dtype::I8 => "|i1",
        Dtype::I32 => "<i4",
        Dtype::I64 => "<i8",
        Dtype::Bool => "|b1",
    }
}

fn shape_of(header: &str) -> Result<Vec<u64>, NpyError> {
    let missing = || NpyError::Header("shape");
    let value = value_of(header, "shape").ok_or_else(missing)?;
    let inside = value
        .strip_prefix('(')
        .and_then(|value| value.split_once(')'));
    let (inside, _) = inside.ok_or_else(missing)?;
    let lengths = inside
        .split(',')
        .map(str::trim)
        .filter(|length| !length.is_empty());
    lengths
        .map(|length| length.parse().map_err(|_| missing()))
        .collect()
}

/// Writes a file of version 1, which every NumPy reads.
#[must_use]
pub fn write(array: &Array) -> Vec<u8> {
    let mut shape = String::new();
    for dim in &array.dims {
        shape.push_str(&format!("{dim}, "));
    }
    let shape = if array.dims.len() > 1 {
        shape.trim_end_matches(", ")
    } else {
        shape.trim_end()
    };
    let mut header = format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': ({shape}), }}",
        descr(array.dtype)
    );
    while !(MAGIC.len() + 4 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap_or(u16::MAX);
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&[1, 0]);
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&array.elements);
    file
}

impl From<&OutputTensor> for Array {
    fn from(output: &OutputTensor) -> Self {
        let OutputTensor {
            dtype,
            dims,
            elements,
            ..
        } = output;
        Self {
            dtype: *dtype,
            dims: dims.clone(),
            elements: elements.clone(),
        }
    }
}

/// Joins arrays into the bundle of a job, in the model's order. An array without a name is the
/// model's only input.
///
/// # Errors
/// [`BundleError`] if the model does not take them.
pub fn bundle(
    model: &ModelManifest,
    mut arrays: Vec<(Option<String>, Array)>,
) -> Result<(InputManifest, Vec<u8>), BundleError> {
    if let ([only], [(name @ None, _)]) = (model.inputs.as_slice(), arrays.as_mut_slice()) {
        *name = Some(only.name.clone());
    }
    let mut inputs = Vec::new();
    let mut bytes = Vec::new();
    for spec in &model.inputs {
        let place = arrays
            .iter()
            .position(|(name, _)| name.as_ref() == Some(&spec.name));
        let place = place.ok_or_else(|| BundleError::Name(spec.name.clone()))?;
        let (_, array) = arrays.swap_remove(place);
        let offset = bytes.len() as u64;
        let Array {
            dtype,
            dims,
            elements,
        } = array;
        bytes.extend_from_slice(&elements);
        inputs.push(InputTensor {
            name: spec.name.clone(),
            dtype,
            dims,
            offset,
        });
    }
    if let Some((name, _)) = arrays.pop() {
        return Err(BundleError::Name(name.unwrap_or_default()));
    }
    if bytes.is_empty() {
        return Err(BundleError::Empty);
    }
    if bytes.len() as u64 > INPUT_BUNDLE_BYTES_MAX {
        return Err(BundleError::TooLong { bytes: bytes.len() });
    }
    let manifest = InputManifest {
        version: MANIFEST_VERSION,
        inputs,
        bundle: FileDigest::of(&bytes),
    };
    manifest.check()?;
    model.accepts(&manifest)?;
    Ok((manifest, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_and_rank_survives() {
        for dtype in Dtype::ALL {
            for dims in [vec![], vec![3], vec![2, 3], vec![1, 1, 8, 8]] {
                let length = usize::try_from(dtype.bytes_of(&dims).unwrap()).unwrap();
                let array = Array {
                    dtype,
                    dims,
                    elements: vec![1; length],
                };
                let file = write(&array);
                assert_eq!((file.len() - length) % 64, 0, "data must be aligned");
                assert_eq!(read(&file), Ok(array));
            }
        }
    }

    /// Bytes as NumPy 2 wrote them.
    #[test]
    fn numpy_files_are_read() {
        let digit = include_bytes!("../../examples/digits/samples/digit-00.npy");
        let array = read(digit).unwrap();
        assert_eq!(
            (array.dtype, array.dims.as_slice()),
            (Dtype::F32, &[1, 1, 8, 8][..])
        );
        assert_eq!(write(&array).as_slice(), digit, "and written alike");
    }

    #[test]
    fn refusals_name_the_cause() {
        let file = |header: &str, data: usize| {
            let mut file = MAGIC.to_vec();
            file.extend_from_slice(&[1, 0, u8::try_from(header.len()).unwrap(), 0]);
            file.extend_from_slice(header.as_bytes());
            file.extend_from_slice(&vec![0; data]);
            read(&file).unwrap_err()
        };
        let header = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}")
        };
        assert_eq!(read(b"PNG"), Err(NpyError::NotNpy));
        assert_eq!(
            file(&header("<f8", "False", "(2,)"), 16),
            NpyError::Dtype("<f8".into())
        );
        assert_eq!(
            file(&header(">f4", "False", "(2,)"), 8),
            NpyError::Dtype(">f4".into())
        );
        assert_eq!(
            file(&header("<f4", "True", "(2,)"), 8),
            NpyError::FortranOrder
        );
        let short = NpyError::Length {
            bytes: 7,
            dims: vec![2],
        };
        assert_eq!(file(&header("<f4", "False", "(2,)"), 7), short);
        assert_eq!(
            file(&header("<f4", "False", "(-2,)"), 8),
            NpyError::Header("shape")
        );
        let huge = header("<f4", "False", "(18446744073709551615, 8)");
        assert!(matches!(file(&huge, 8), NpyError::Length { .. }));
    }
}
