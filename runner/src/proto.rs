//! The ONNX file as decoded, before anything of it is believed.

use std::collections::BTreeSet;

use protocol::result::Dtype;
use tract_onnx::pb::{
    GraphProto, ModelProto, TensorProto, ValueInfoProto, tensor_shape_proto::dimension, type_proto,
};
use tract_onnx::prelude::Framework;

use crate::report::Refusal;

/// A model or input that is turned down: which code, and a sentence for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) code: Refusal,
    pub(crate) why: String,
}

impl Refused {
    pub(crate) fn new(code: Refusal, why: impl Into<String>) -> Self {
        Self {
            code,
            why: why.into(),
        }
    }

    pub(crate) fn bad(why: impl Into<String>) -> Self {
        Self::new(Refusal::BadModel, why)
    }
}

/// Decodes a file. prost itself stops at a hundred levels of nesting.
pub(crate) fn decode(mut file: &[u8]) -> Result<ModelProto, Refused> {
    let model = tract_onnx::onnx()
        .proto_model_for_read(&mut file)
        .map_err(|error| Refused::bad(format!("does not decode: {error:#}")))?;
    if model.graph.is_none() {
        return Err(Refused::bad("holds no graph"));
    }
    Ok(model)
}

/// The graph of a decoded model.
pub(crate) fn graph_of(model: &ModelProto) -> Result<&GraphProto, Refused> {
    model
        .graph
        .as_ref()
        .ok_or_else(|| Refused::bad("holds no graph"))
}

/// One axis as the file declares it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Axis {
    Fixed(u64),
    /// A name that stands for one length throughout the graph, or nothing at all.
    Free(Option<String>),
}

/// A graph input or output as the file declares it. An absent shape is an unknown rank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) axes: Option<Vec<Axis>>,
}

/// The inputs a caller must give: those that no initializer already holds.
pub(crate) fn inputs_of(graph: &GraphProto) -> Result<Vec<Port>, Refused> {
    let held: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let free = graph
        .input
        .iter()
        .filter(|input| !held.contains(input.name.as_str()));
    free.map(port).collect()
}

/// The outputs a caller may ask for.
pub(crate) fn outputs_of(graph: &GraphProto) -> Result<Vec<Port>, Refused> {
    graph.output.iter().map(port).collect()
}

fn port(info: &ValueInfoProto) -> Result<Port, Refused> {
    let untyped = || {
        Refused::new(
            Refusal::UnsupportedType,
            format!("{} is not a typed tensor", info.name),
        )
    };
    let value = info
        .r#type
        .as_ref()
        .and_then(|t| t.value.as_ref())
        .ok_or_else(untyped)?;
    let type_proto::Value::TensorType(tensor) = value;
    let dtype = dtype_of(tensor.elem_type, &info.name)?;
    let axes = tensor.shape.as_ref().map(|shape| {
        shape
            .dim
            .iter()
            .map(|dim| axis(dim.value.as_ref()))
            .collect::<Result<Vec<_>, _>>()
    });
    Ok(Port {
        name: info.name.clone(),
        dtype,
        axes: axes.transpose()?,
    })
}

fn axis(value: Option<&dimension::Value>) -> Result<Axis, Refused> {
    match value {
        None => Ok(Axis::Free(None)),
        Some(dimension::Value::DimParam(name)) if name.is_empty() || name == "?" => {
            Ok(Axis::Free(None))
        }
        Some(dimension::Value::DimParam(name)) => Ok(Axis::Free(Some(name.clone()))),
        Some(dimension::Value::DimValue(length)) => u64::try_from(*length)
            .map(Axis::Fixed)
            .map_err(|_| Refused::bad(format!("an axis of length {length}"))),
    }
}

/// The element types of ONNX, by their codes.
const ELEMENT_TYPES: [&str; 24] = [
    "undefined",
    "f32",
    "u8",
    "i8",
    "u16",
    "i16",
    "i32",
    "i64",
    "string",
    "bool",
    "f16",
    "f64",
    "u32",
    "u64",
    "complex64",
    "complex128",
    "bf16",
    "f8e4m3fn",
    "f8e4m3fnuz",
    "f8e5m2",
    "f8e5m2fnuz",
    "u4",
    "i4",
    "f4e2m1",
];

/// The element type with an ONNX code, if the engine admits it; `of` names what has it.
pub(crate) fn dtype_of(code: i32, of: &str) -> Result<Dtype, Refused> {
    let known = u8::try_from(code).ok().and_then(Dtype::from_code);
    known.ok_or_else(|| {
        let place = usize::try_from(code).ok();
        let name = place.and_then(|place| ELEMENT_TYPES.get(place));
        let name = name.map_or_else(|| format!("number {code}"), |name| (*name).to_owned());
        let why = format!("element type {name} of {of:?} is not admitted");
        Refused::new(Refusal::UnsupportedType, why)
    })
}

/// The number of elements a tensor declares, if it can be counted.
pub(crate) fn volume_of(tensor: &TensorProto) -> Option<u64> {
    tensor.dims.iter().try_fold(1_u64, |volume, dim| {
        u64::try_from(*dim)
            .ok()
            .and_then(|dim| volume.checked_mul(dim))
    })
}
