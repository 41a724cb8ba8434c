//! Shapes that the file itself asks for.
//!
//! tract computes what it can while it analyses the graph, so a constant shape of eight gigabytes would
//! be allocated before anyone counted it. Where an operator's size comes straight from a constant, it is
//! judged here; where it is computed, the memory limit of the sandbox judges it, as a Decline.

use std::collections::BTreeMap;

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use crate::check::TENSOR_BYTES_MAX;
use crate::proto::{Refused, dtype_of, volume_of};
use crate::report::Refusal;

/// Longer vectors are data, not shapes.
const SHAPE_LENGTH_MAX: u64 = 64;

/// The short constants of a graph, as numbers.
struct Constants<'a>(BTreeMap<&'a str, Vec<f64>>);

/// Refuses operators whose constant arguments ask for more than one tensor may hold.
pub(crate) fn check_constant_sizes(graph: &GraphProto) -> Result<(), Refused> {
    let constants = Constants::of(graph);
    for node in &graph.node {
        if let Some(elements) = constants.elements_asked(node) {
            let bytes = elements * element_width(node);
            if bytes > TENSOR_BYTES_MAX as f64 {
                let why = format!("{} asks for {elements} elements", node.op_type);
                return Err(Refused::new(Refusal::LimitExceeded, why));
            }
        }
    }
    Ok(())
}

/// The width of what a node makes, where the node says so; else the least there is.
fn element_width(node: &NodeProto) -> f64 {
    if node.op_type != "ConstantOfShape" {
        return 1.0;
    }
    let value = node
        .attribute
        .iter()
        .find(|a| a.name == "value")
        .and_then(|a| a.t.as_ref());
    value
        .and_then(|t| dtype_of(t.data_type, &t.name).ok())
        .map_or(4.0, |dtype| dtype.width() as f64)
}

impl<'a> Constants<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        let held = graph
            .initializer
            .iter()
            .filter_map(|t| Some((t.name.as_str(), numbers(t)?)));
        let made = graph.node.iter().filter(|node| node.op_type == "Constant");
        let made = made.filter_map(|node| {
            let name = node.output.first()?.as_str();
            let tensor = node
                .attribute
                .iter()
                .find(|a| a.name == "value")
                .and_then(|a| a.t.as_ref());
            let ints = node
                .attribute
                .iter()
                .find(|a| a.name == "value_ints")
                .map(|a| &a.ints);
            let values = match (tensor, ints) {
                (Some(tensor), _) => numbers(tensor)?,
                (None, Some(ints)) => ints.iter().map(|value| *value as f64).collect(),
                (None, None) => return None,
            };
            Some((name, values))
        });
        Self(held.chain(made).collect())
    }

    fn input(&self, node: &NodeProto, index: usize) -> Option<&[f64]> {
        self.0
            .get(node.input.get(index)?.as_str())
            .map(Vec::as_slice)
    }

    fn scalar(&self, node: &NodeProto, index: usize) -> Option<f64> {
        self.input(node, index)?.first().copied()
    }

    /// At least how many elements a node makes, if its constant inputs tell.
    fn elements_asked(&self, node: &NodeProto) -> Option<f64> {
        let product = |values: &[f64]| values.iter().map(|value| value.max(1.0)).product::<f64>();
        match node.op_type.as_str() {
            "ConstantOfShape" => {
                let dims = self.input(node, 0)?;
                let empty = dims.contains(&0.0);
                Some(if empty { 0.0 } else { product(dims) })
            }
            "Expand" | "Tile" => self.input(node, 1).map(product),
            "OneHot" => self.scalar(node, 1),
            "Resize" => self.input(node, 3).map(product),
            "Pad" => self
                .input(node, 1)
                .map(|pads| pads.iter().copied().fold(0.0, f64::max)),
            "Range" => {
                let (start, limit) = (self.scalar(node, 0)?, self.scalar(node, 1)?);
                Some(((limit - start) / self.scalar(node, 2)?).ceil())
            }
            _ => None,
        }
    }
}

fn numbers(tensor: &TensorProto) -> Option<Vec<f64>> {
    use protocol::result::Dtype;
    volume_of(tensor).filter(|volume| *volume <= SHAPE_LENGTH_MAX)?;
    let raw = &tensor.raw_data;
    let from_raw =
        |width: usize, read: fn(&[u8]) -> f64| raw.chunks_exact(width).map(read).collect();
    Some(
        match (
            dtype_of(tensor.data_type, &tensor.name).ok()?,
            raw.is_empty(),
        ) {
            (Dtype::I64, true) => tensor
                .int64_data
                .iter()
                .map(|value| *value as f64)
                .collect(),
            (Dtype::I64, false) => from_raw(8, |b| i64::from_le_bytes(fixed(b)) as f64),
            (Dtype::I32, true) => tensor
                .int32_data
                .iter()
                .map(|value| f64::from(*value))
                .collect(),
            (Dtype::I32, false) => from_raw(4, |b| f64::from(i32::from_le_bytes(fixed(b)))),
            (Dtype::F32, true) => tensor
                .float_data
                .iter()
                .map(|value| f64::from(*value))
                .collect(),
            (Dtype::F32, false) => from_raw(4, |b| f64::from(f32::from_le_bytes(fixed(b)))),
            (Dtype::U8 | Dtype::I8 | Dtype::Bool, _) => return None,
        },
    )
}

/// The chunk is exactly as long as the array: `chunks_exact` made it so.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
