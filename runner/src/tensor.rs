//! Between bytes and tensors: little-endian in, little-endian out, no `unsafe`.

use protocol::manifest::InputTensor;
use protocol::result::{Dtype, OutputTensor};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{anyhow, bail, ensure};

/// An input of a job, from its place in the bundle.
pub(crate) fn input(spec: &InputTensor, bundle: &[u8]) -> TractResult<Tensor> {
    let start = usize::try_from(spec.offset)?;
    let length = spec
        .dtype
        .bytes_of(&spec.dims)
        .ok_or_else(|| anyhow!("shape of {}", spec.name))?;
    let end = start
        .checked_add(usize::try_from(length)?)
        .ok_or_else(|| anyhow!("offset"))?;
    let bytes = bundle
        .get(start..end)
        .ok_or_else(|| anyhow!("{} is cut off", spec.name))?;
    let dims = spec
        .dims
        .iter()
        .map(|dim| usize::try_from(*dim))
        .collect::<Result<Vec<_>, _>>()?;
    match spec.dtype {
        Dtype::F32 => shaped(&dims, bytes, f32::from_le_bytes),
        Dtype::U8 => shaped(&dims, bytes, u8::from_le_bytes),
        Dtype::I8 => shaped(&dims, bytes, i8::from_le_bytes),
        Dtype::I32 => shaped(&dims, bytes, i32::from_le_bytes),
        Dtype::I64 => shaped(&dims, bytes, i64::from_le_bytes),
        Dtype::Bool => shaped(&dims, bytes, |[byte]: [u8; 1]| byte != 0),
    }
}

fn shaped<T: Datum + Copy, const N: usize>(
    dims: &[usize],
    bytes: &[u8],
    read: fn([u8; N]) -> T,
) -> TractResult<Tensor> {
    let (elements, rest) = bytes.as_chunks::<N>();
    ensure!(rest.is_empty(), "bytes are left over");
    let values: Vec<T> = elements.iter().map(|element| read(*element)).collect();
    Tensor::from_shape(dims, &values)
}

/// The declared type that a tensor of tract's type answers; sizes and shapes come back as `TDim`.
pub(crate) fn answers(declared: Dtype, found: DatumType) -> bool {
    found == TDim::datum_type() && declared == Dtype::I64 || found.unquantized() == datum(declared)
}

/// tract's name for an element type.
pub(crate) fn datum(dtype: Dtype) -> DatumType {
    match dtype {
        Dtype::F32 => f32::datum_type(),
        Dtype::U8 => u8::datum_type(),
        Dtype::I8 => i8::datum_type(),
        Dtype::I32 => i32::datum_type(),
        Dtype::I64 => i64::datum_type(),
        Dtype::Bool => bool::datum_type(),
    }
}

/// An answer in its declared type and canonical form.
///
/// The bytes of a `TDim` are heap pointers, different in each run, so it is cast before it is read.
pub(crate) fn output(name: &str, declared: Dtype, tensor: &Tensor) -> TractResult<OutputTensor> {
    if !answers(declared, tensor.datum_type()) {
        bail!("{name} is {:?}, not {declared}", tensor.datum_type());
    }
    let elements = match declared {
        Dtype::F32 => bytes(tensor, |value: &f32| value.to_le_bytes()),
        Dtype::U8 => bytes(tensor, |value: &u8| value.to_le_bytes()),
        Dtype::I8 => bytes(tensor, |value: &i8| value.to_le_bytes()),
        Dtype::I32 => bytes(tensor, |value: &i32| value.to_le_bytes()),
        Dtype::I64 if tensor.datum_type() == TDim::datum_type() => {
            let cast = tensor.cast_to::<i64>()?;
            bytes(&cast, |value: &i64| value.to_le_bytes())
        }
        Dtype::I64 => bytes(tensor, |value: &i64| value.to_le_bytes()),
        Dtype::Bool => bytes(tensor, |value: &bool| [u8::from(*value)]),
    }?;
    let dims = tensor.shape().iter().map(|dim| *dim as u64).collect();
    let mut output = OutputTensor {
        name: name.to_owned(),
        dtype: declared,
        dims,
        elements,
    };
    output.canonicalise();
    Ok(output)
}

fn bytes<T: Datum, const N: usize>(
    tensor: &Tensor,
    write: fn(&T) -> [u8; N],
) -> TractResult<Vec<u8>> {
    let view = tensor.try_as_plain_ram()?;
    Ok(view.as_slice::<T>()?.iter().flat_map(write).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_cast_before_their_bytes_are_read() {
        let dims = tensor1(&[TDim::from(3), TDim::from(-7)]);
        let output = output("shape", Dtype::I64, &dims).unwrap();
        let expected: Vec<u8> = [3_i64, -7].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(output.elements, expected);
    }

    #[test]
    fn every_type_survives_both_ways() {
        for dtype in Dtype::ALL {
            let dims = vec![2, 3];
            let length = usize::try_from(dtype.bytes_of(&dims).unwrap()).unwrap();
            let bundle: Vec<u8> = (0..length + 4).map(|i| u8::from(i % 2 == 1)).collect();
            let spec = InputTensor {
                name: "x".into(),
                dtype,
                dims: dims.clone(),
                offset: 4,
            };
            let tensor = input(&spec, &bundle).unwrap();
            let back = output("x", dtype, &tensor).unwrap();
            assert_eq!((back.dims, back.elements.as_slice()), (dims, &bundle[4..]));
        }
    }

    #[test]
    fn short_bundles_and_wrong_types_are_errors() {
        let spec = InputTensor {
            name: "x".into(),
            dtype: Dtype::I64,
            dims: vec![2],
            offset: 1,
        };
        assert!(input(&spec, &[0; 16]).is_err());
        assert!(output("x", Dtype::I32, &tensor1(&[1.0_f32])).is_err());
    }
}
