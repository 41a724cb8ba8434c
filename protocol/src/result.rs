//! What a run answered: tensors, their bytes, and the root that validators must agree on.
//!
//! A record is `u8 name length ‖ name ‖ u8 dtype ‖ u8 rank ‖ rank × u64 dims ‖ X`. In the result root X
//! is SHA-256 of the elements, in the output blob the elements themselves; both begin with a u16 count.
//! Elements are row-major little-endian, a bool is one byte, and every NaN is `7fc00000`. Hashing the
//! elements apart lets anyone who holds a blob recompute the root, which is what the ledger does with
//! outputs that travel inside a reveal.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use thiserror::Error;

use crate::digest::{Digest, Tag, sha256, th};
use crate::limits::{OUTPUT_BYTES_MAX, OUTPUT_NAME_BYTES_MAX, OUTPUTS_MAX};

/// The longest tensor name: its length is one byte in a record.
pub const TENSOR_NAME_BYTES_MAX: usize = OUTPUT_NAME_BYTES_MAX;
const _: () = assert!(TENSOR_NAME_BYTES_MAX < 256);
/// The most axes a tensor may have.
pub const TENSOR_RANK_MAX: usize = 8;

/// The one NaN there is, little-endian.
const NAN: [u8; 4] = [0x00, 0x00, 0xc0, 0x7f];

/// Element types, by their ONNX codes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Dtype {
    /// 32-bit float, code 1.
    F32,
    /// Unsigned byte, code 2.
    U8,
    /// Signed byte, code 3.
    I8,
    /// 32-bit integer, code 6.
    I32,
    /// 64-bit integer, code 7.
    I64,
    /// Boolean in one byte, code 9.
    Bool,
}

impl Dtype {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::F32,
        Self::U8,
        Self::I8,
        Self::I32,
        Self::I64,
        Self::Bool,
    ];

    /// The ONNX code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Bool => 9,
        }
    }

    /// The type with this ONNX code, if it is one of ours.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.code() == code)
    }

    /// Bytes of one element.
    #[must_use]
    pub const fn width(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// The name people write: `f32`, `i64`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }

    /// Bytes of a tensor with these dims; `None` if no machine could hold it.
    #[must_use]
    pub fn bytes_of(self, dims: &[u64]) -> Option<u64> {
        dims.iter()
            .try_fold(self.width(), |bytes, dim| bytes.checked_mul(*dim))
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Encode for Dtype {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.code().encode(encoder)
    }
}

impl<Context> Decode<Context> for Dtype {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let code = u8::decode(decoder)?;
        Self::from_code(code).ok_or(DecodeError::Other("not an element type"))
    }
}

bincode::impl_borrow_decode!(Dtype);

/// One named answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputTensor {
    /// The graph output's name.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its shape.
    pub dims: Vec<u64>,
    /// Its elements, row-major little-endian.
    pub elements: Vec<u8>,
}

/// Why tensors or bytes are not a result.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ResultError {
    /// No outputs, or more than allowed.
    #[error("{count} outputs, 1 to {OUTPUTS_MAX} allowed")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// An empty or overlong name, or one that is not UTF-8.
    #[error("a name must be 1 to {TENSOR_NAME_BYTES_MAX} bytes of UTF-8")]
    Name,
    /// An unknown element type.
    #[error("no element type has code {0}")]
    Dtype(u8),
    /// Too many axes.
    #[error("{rank} axes, at most {TENSOR_RANK_MAX} allowed")]
    Rank {
        /// How many there are.
        rank: usize,
    },
    /// Elements and dims disagree.
    #[error("output {name} has {bytes} bytes, its dims need {needed:?}")]
    Length {
        /// Which output.
        name: String,
        /// The bytes there are.
        bytes: usize,
        /// What the dims ask for, if it can be counted.
        needed: Option<u64>,
    },
    /// The blob is longer than any job may ask for.
    #[error("{bytes} bytes, at most {OUTPUT_BYTES_MAX} allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The blob ends inside a record.
    #[error("ends inside a record")]
    Truncated,
    /// Bytes follow the last record.
    #[error("{0} trailing bytes")]
    Trailing(usize),
    /// A NaN that is not the one NaN, or a bool that is neither 0 nor 1.
    #[error("elements of {0} are not in canonical form")]
    NotCanonical(String),
}

impl OutputTensor {
    /// Makes every NaN the one NaN and every bool 0 or 1.
    pub fn canonicalise(&mut self) {
        match self.dtype {
            Dtype::F32 => self.elements.chunks_exact_mut(4).for_each(|element| {
                if is_nan(element) {
                    element.copy_from_slice(&NAN);
                }
            }),
            Dtype::Bool => self
                .elements
                .iter_mut()
                .for_each(|byte| *byte = u8::from(*byte != 0)),
            Dtype::U8 | Dtype::I8 | Dtype::I32 | Dtype::I64 => {}
        }
    }

    fn is_canonical(&self) -> bool {
        match self.dtype {
            Dtype::F32 => self
                .elements
                .chunks_exact(4)
                .all(|e| !is_nan(e) || e == NAN),
            Dtype::Bool => self.elements.iter().all(|byte| *byte <= 1),
            Dtype::U8 | Dtype::I8 | Dtype::I32 | Dtype::I64 => true,
        }
    }

    /// # Errors
    /// [`ResultError`] naming the first rule this tensor breaks.
    pub fn check(&self) -> Result<(), ResultError> {
        if self.name.is_empty() || self.name.len() > TENSOR_NAME_BYTES_MAX {
            return Err(ResultError::Name);
        }
        if self.dims.len() > TENSOR_RANK_MAX {
            return Err(ResultError::Rank {
                rank: self.dims.len(),
            });
        }
        let needed = self.dtype.bytes_of(&self.dims);
        let bytes = self.elements.len();
        if needed.and_then(|needed| usize::try_from(needed).ok()) != Some(bytes) {
            return Err(ResultError::Length {
                name: self.name.clone(),
                bytes,
                needed,
            });
        }
        if !self.is_canonical() {
            return Err(ResultError::NotCanonical(self.name.clone()));
        }
        Ok(())
    }

    /// The record without its elements. Names and ranks were checked to fit one byte.
    fn header(&self) -> Vec<u8> {
        let byte = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
        let mut bytes = vec![byte(self.name.len())];
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.push(self.dtype.code());
        bytes.push(byte(self.dims.len()));
        self.dims
            .iter()
            .for_each(|dim| bytes.extend_from_slice(&dim.to_be_bytes()));
        bytes
    }
}

/// Sign aside, an exponent of all ones with a fraction.
fn is_nan(element: &[u8]) -> bool {
    let bits = <[u8; 4]>::try_from(element).map_or(0, u32::from_le_bytes);
    bits & 0x7fff_ffff > 0x7f80_0000
}

fn check_all(outputs: &[OutputTensor]) -> Result<[u8; 2], ResultError> {
    let count = outputs.len();
    if count == 0 || count > OUTPUTS_MAX {
        return Err(ResultError::Count { count });
    }
    outputs.iter().try_for_each(OutputTensor::check)?;
    Ok(u16::try_from(count)
        .map_err(|_| ResultError::Count { count })?
        .to_be_bytes())
}

fn check_length(blob: &[u8]) -> Result<(), ResultError> {
    match u64::try_from(blob.len()) {
        Ok(bytes) if bytes <= OUTPUT_BYTES_MAX => Ok(()),
        _ => Err(ResultError::TooLong { bytes: blob.len() }),
    }
}

/// The root two honest validators share: `TH("palisade/result/v1", u16 count ‖ records)`.
///
/// # Errors
/// [`ResultError`] if these are no result.
pub fn result_root(outputs: &[OutputTensor]) -> Result<Digest, ResultError> {
    let mut bytes = check_all(outputs)?.to_vec();
    for output in outputs {
        bytes.extend_from_slice(&output.header());
        bytes.extend_from_slice(sha256(&output.elements).as_bytes());
    }
    Ok(th(Tag::Result, &[&bytes]))
}

/// The output blob: a u16 count and the records with their elements.
///
/// # Errors
/// [`ResultError`] if these are no result, or too long for any job.
pub fn encode_blob(outputs: &[OutputTensor]) -> Result<Vec<u8>, ResultError> {
    let mut bytes = check_all(outputs)?.to_vec();
    for output in outputs {
        bytes.extend_from_slice(&output.header());
        bytes.extend_from_slice(&output.elements);
    }
    check_length(&bytes)?;
    Ok(bytes)
}

/// The length of the blob that outputs of these names and shapes will have; `None` past counting.
#[must_use]
pub fn blob_bytes<'a>(
    outputs: impl IntoIterator<Item = (&'a str, Dtype, &'a [u64])>,
) -> Option<u64> {
    outputs
        .into_iter()
        .try_fold(2_u64, |total, (name, dtype, dims)| {
            let name = u64::try_from(name.len()).ok()?;
            let dims_bytes = u64::try_from(dims.len()).ok()?.checked_mul(8)?;
            let header = name.checked_add(3)?.checked_add(dims_bytes)?;
            total
                .checked_add(header)?
                .checked_add(dtype.bytes_of(dims)?)
        })
}

/// The outputs in a blob.
///
/// # Errors
/// [`ResultError`] for anything but the one blob of a result.
pub fn decode_blob(blob: &[u8]) -> Result<Vec<OutputTensor>, ResultError> {
    check_length(blob)?;
    let mut rest = blob;
    let count = usize::from(u16::from_be_bytes(array(&mut rest)?));
    if count == 0 || count > OUTPUTS_MAX {
        return Err(ResultError::Count { count });
    }
    let outputs = (0..count)
        .map(|_| record(&mut rest))
        .collect::<Result<Vec<_>, _>>()?;
    if !rest.is_empty() {
        return Err(ResultError::Trailing(rest.len()));
    }
    Ok(outputs)
}

/// The result root that a blob stands for.
///
/// # Errors
/// As [`decode_blob`].
pub fn root_of_blob(blob: &[u8]) -> Result<Digest, ResultError> {
    result_root(&decode_blob(blob)?)
}

fn record(rest: &mut &[u8]) -> Result<OutputTensor, ResultError> {
    let [length] = array(rest)?;
    let name = take(rest, usize::from(length))?;
    let name = std::str::from_utf8(name)
        .map_err(|_| ResultError::Name)?
        .to_owned();
    let [code] = array(rest)?;
    let dtype = Dtype::from_code(code).ok_or(ResultError::Dtype(code))?;
    let rank = usize::from(array::<1>(rest).map(|[rank]| rank)?);
    if rank > TENSOR_RANK_MAX {
        return Err(ResultError::Rank { rank });
    }
    let dims = (0..rank)
        .map(|_| array(rest).map(u64::from_be_bytes))
        .collect::<Result<Vec<_>, ResultError>>()?;
    let needed = dtype
        .bytes_of(&dims)
        .and_then(|needed| usize::try_from(needed).ok());
    let elements = take(rest, needed.ok_or(ResultError::Truncated)?)?.to_vec();
    let output = OutputTensor {
        name,
        dtype,
        dims,
        elements,
    };
    output.check()?;
    Ok(output)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ResultError> {
    let (taken, left) = rest
        .split_at_checked(length)
        .ok_or(ResultError::Truncated)?;
    *rest = left;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ResultError> {
    take(rest, N)?
        .try_into()
        .map_err(|_| ResultError::Truncated)
}

#[cfg(test)]
#[path = "result_tests.rs"]
mod tests;
