//! The fuel table: what each typed operator costs, by shapes alone.
//!
//! Counted before optimisation, so that neither cohort nor kernel can touch the count. tract's own
//! `cost()` is empty for loops, fused recurrences and transposed convolutions; an operator without a
//! line here is refused rather than given away.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, MaxPool, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_hir::internal::DimLike;

use crate::proto::Refused;
use crate::report::Refusal;

/// Reading, decoding and copying a byte of the file.
const FUEL_PER_FILE_BYTE: u64 = 20;
/// Building, analysing and optimising a node.
const FUEL_PER_NODE: u64 = 500_000;

/// What reading a model costs before any of it runs.
pub(crate) fn parse_fuel(file_bytes: u64, nodes: u64) -> u64 {
    FUEL_PER_FILE_BYTE
        .saturating_mul(file_bytes)
        .saturating_add(FUEL_PER_NODE.saturating_mul(nodes))
}

/// How a typed operator is charged, by the name it reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Charge {
    /// Nothing: values that are there already.
    Free,
    /// One per element read or written.
    Moves,
    /// Eight per element written: transcendental functions, divisions, conversions.
    Heavy,
    /// Thirty-two per element read or written: sorting, and interpolation with its taps.
    Taps,
    /// Multiply-adds of a product, a convolution, or the taps of a window.
    Shaped,
    /// Body times iterations.
    Loop,
}

use Charge::{Free, Heavy, Loop, Moves, Shaped, Taps};

/// Every typed operator that an admitted ONNX operator becomes.
const TABLE: &[(&str, Charge)] = &[
    ("Const", Free),
    ("Source", Free),
    ("Abs", Moves),
    ("Add", Moves),
    ("AddAxis", Moves),
    ("And", Moves),
    ("Ceil", Moves),
    ("Concat", Moves),
    ("CumSum", Moves),
    ("Dropout", Moves),
    ("Eq", Moves),
    ("Floor", Moves),
    ("GT", Moves),
    ("GTE", Moves),
    ("Gather", Moves),
    ("GatherElements", Moves),
    ("GatherNd", Moves),
    ("HardSwish", Moves),
    ("Identity", Moves),
    ("Iff", Moves),
    ("IsInf", Moves),
    ("IsNan", Moves),
    ("LT", Moves),
    ("LTE", Moves),
    ("LeakyRelu", Moves),
    ("Max", Moves),
    ("Min", Moves),
    ("MoveAxis", Moves),
    ("Mul", Moves),
    ("MultiBroadcastTo", Moves),
    ("Neg", Moves),
    ("Not", Moves),
    ("Onehot", Moves),
    ("Or", Moves),
    ("Pad", Moves),
    ("Reduce<ArgMax(false)>", Moves),
    ("Reduce<ArgMax(true)>", Moves),
    ("Reduce<ArgMin(false)>", Moves),
    ("Reduce<ArgMin(true)>", Moves),
    ("Reduce<Max>", Moves),
    ("Reduce<Min>", Moves),
    ("Reduce<Prod>", Moves),
    ("Reduce<Sum>", Moves),
    ("Reshape", Moves),
    ("RmAxis", Moves),
    ("RoundHalfToEven", Moves),
    ("ScatterElements", Moves),
    ("ScatterNd", Moves),
    ("Sign", Moves),
    ("Slice", Moves),
    ("Square", Moves),
    ("StridedSlice", Moves),
    ("Sub", Moves),
    ("Tile", Moves),
    ("Trilu", Moves),
    ("Xor", Moves),
    ("Cast", Heavy),
    ("Cos", Heavy),
    ("DequantizeLinearF32", Heavy),
    ("Div", Heavy),
    ("DynamicQuantizeLinearU8", Heavy),
    ("Erf", Heavy),
    ("Exp", Heavy),
    ("Ln", Heavy),
    ("LstmEpilogue", Heavy),
    ("Pow", Heavy),
    ("QuantizeLinearI8", Heavy),
    ("QuantizeLinearU8", Heavy),
    ("Recip", Heavy),
    ("Rem", Heavy),
    ("Rsqrt", Heavy),
    ("Sigmoid", Heavy),
    ("Sin", Heavy),
    ("Softmax", Heavy),
    ("Sqrt", Heavy),
    ("Tanh", Heavy),
    ("Resize", Taps),
    ("Topk", Taps),
    ("Conv", Shaped),
    ("Deconv", Shaped),
    ("EinSum", Shaped),
    ("Lrn", Shaped),
    ("MaxPool", Shaped),
    ("SumPool", Shaped),
    ("Scan", Loop),
];

fn charge_of(name: &str) -> Option<Charge> {
    TABLE
        .iter()
        .find(|(listed, _)| *listed == name)
        .map(|(_, charge)| *charge)
}

/// The work of a typed graph.
pub(crate) fn work_of(model: &TypedModel) -> Result<u64, Refused> {
    let mut total = 0_u64;
    for node in model.nodes() {
        total = total.saturating_add(node_work(model, node)?);
    }
    Ok(total)
}

/// The number of elements in a tensor; a shape that depends on data is refused.
pub(crate) fn volume(fact: &TypedFact) -> Result<u64, Refused> {
    let dims = fact.shape.as_concrete().ok_or_else(|| {
        Refused::new(
            Refusal::UnsupportedOp,
            format!("shape {:?} depends on data", fact.shape),
        )
    })?;
    Ok(dims
        .iter()
        .fold(1_u64, |volume, dim| volume.saturating_mul(*dim as u64)))
}

fn volumes<'a>(facts: impl IntoIterator<Item = &'a TypedFact>) -> Result<u64, Refused> {
    facts
        .into_iter()
        .try_fold(0_u64, |sum, fact| Ok(sum.saturating_add(volume(fact)?)))
}

fn node_work(model: &TypedModel, node: &TypedNode) -> Result<u64, Refused> {
    let name = node.op.name();
    let charge = charge_of(&name)
        .ok_or_else(|| Refused::new(Refusal::UnsupportedOp, format!("{name} has no price")))?;
    let inputs = node
        .inputs
        .iter()
        .map(|outlet| model.outlet_fact(*outlet))
        .collect::<TractResult<Vec<_>>>()
        .map_err(|error| Refused::bad(error.to_string()))?;
    let outputs: Vec<&TypedFact> = node.outputs.iter().map(|outlet| &outlet.fact).collect();
    let written = volumes(outputs.iter().copied())?;
    let moved = volumes(inputs.iter().copied())?.saturating_add(written);
    Ok(match charge {
        Free => 0,
        Moves => moved,
        Heavy => moved.saturating_add(written.saturating_mul(7)),
        Taps => moved.saturating_mul(32),
        Shaped => moved.saturating_add(shaped_work(node, &inputs, &outputs)?),
        Loop => moved.saturating_add(loop_work(node, &inputs)?),
    })
}

fn dims(fact: &TypedFact) -> Result<Vec<u64>, Refused> {
    volume(fact)?;
    let dims = fact.shape.as_concrete().unwrap_or_default();
    Ok(dims.iter().map(|dim| *dim as u64).collect())
}

fn product(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(1, u64::saturating_mul)
}

fn shaped_work(
    node: &TypedNode,
    inputs: &[&TypedFact],
    outputs: &[&TypedFact],
) -> Result<u64, Refused> {
    let written = volumes(outputs.iter().copied())?;
    let window = |shape: &[usize]| product(shape.iter().map(|tap| *tap as u64));
    if let Some(op) = node.op_as::<EinSum>() {
        return einsum_work(op, inputs);
    }
    if let Some(op) = node.op_as::<Conv>() {
        let kernel = inputs.get(1).map_or(Ok(0), |fact| volume(fact))?;
        let per_output = kernel.div_ceil((op.pool_spec.output_channels as u64).max(1));
        return Ok(written.saturating_mul(per_output));
    }
    if let Some(op) = node.op_as::<Deconv>() {
        let read = inputs.first().map_or(Ok(0), |fact| volume(fact))?;
        let kernel = inputs.get(1).map_or(Ok(0), |fact| volume(fact))?;
        let per_input = kernel.div_ceil((op.pool_spec.input_channels as u64).max(1));
        return Ok(read.saturating_mul(per_input));
    }
    if let Some(op) = node.op_as::<MaxPool>() {
        return Ok(written.saturating_mul(window(&op.pool_spec.kernel_shape)));
    }
    if let Some(op) = node.op_as::<SumPool>() {
        return Ok(written.saturating_mul(window(&op.pool_spec.kernel_shape)));
    }
    if node.op.name() == "Lrn" {
        let channels = inputs.first().map_or(Ok(Vec::new()), |fact| dims(fact))?;
        let channels = channels.get(1).copied().unwrap_or(1);
        return Ok(written.saturating_mul(channels.saturating_add(8)));
    }
    Err(Refused::new(
        Refusal::UnsupportedOp,
        format!("{} has no price", node.op.name()),
    ))
}

/// The lengths of all axes multiplied: each point of that space is one multiply-add per product.
fn einsum_work(op: &EinSum, inputs: &[&TypedFact]) -> Result<u64, Refused> {
    let shapes = inputs
        .iter()
        .map(|fact| dims(fact))
        .collect::<Result<Vec<_>, _>>()?;
    let mut space = 1_u64;
    for axis in op.axes.iter_all_axes() {
        let lengths = axis.inputs.iter().zip(&shapes);
        let lengths =
            lengths.flat_map(|(places, shape)| places.iter().filter_map(|p| shape.get(*p)));
        space = space.saturating_mul(lengths.copied().max().unwrap_or(1));
    }
    let operands = if op.q_params.is_some() {
        2
    } else {
        op.axes.input_count() as u64
    };
    Ok(space.saturating_mul(operands.saturating_sub(1).max(1)))
}

fn loop_work(node: &TypedNode, inputs: &[&TypedFact]) -> Result<u64, Refused> {
    let no_price = || Refused::new(Refusal::UnsupportedOp, "a loop without a count".to_owned());
    let scan = node.op_as::<Scan>().ok_or_else(no_price)?;
    let count = scan
        .iteration_count(inputs)
        .and_then(|count| count.to_usize().ok());
    let iterations = count.ok_or_else(no_price)? as u64;
    Ok(work_of(&scan.body)?.saturating_mul(iterations))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::conformance::vectors;
    use crate::graph::build;
    use crate::proto::decode;

    fn names(model: &TypedModel, into: &mut BTreeSet<String>) {
        for node in model.nodes() {
            into.insert(node.op.name().into_owned());
            if let Some(scan) = node.op_as::<Scan>() {
                names(&scan.body, into);
            }
        }
    }

    /// Prices what the vectors show and nothing else: the table, the list of admitted operators and
    /// the vectors name the same operators.
    #[test]
    fn table_prices_exactly_what_the_vectors_become() {
        let mut seen = BTreeSet::new();
        for vector in vectors() {
            let proto = decode(&vector.model).unwrap();
            let ports = crate::proto::inputs_of(proto.graph.as_ref().unwrap()).unwrap();
            let inputs: Vec<_> = ports
                .into_iter()
                .zip(&vector.inputs)
                .map(|(port, array)| protocol::manifest::InputTensor {
                    name: port.name,
                    dtype: port.dtype,
                    dims: array.dims.clone(),
                    offset: 0,
                })
                .collect();
            match build(proto, &inputs) {
                Ok(typed) => names(&typed.model, &mut seen),
                Err(refused) => panic!("{}: {refused:?}", vector.name),
            }
        }
        let listed: BTreeSet<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(listed.len(), TABLE.len(), "a name is listed twice");
        let missing: Vec<_> = seen.difference(&listed).collect();
        let unused: Vec<_> = listed.difference(&seen).collect();
        assert!(
            missing.is_empty() && unused.is_empty(),
            "no price: {missing:?}; unused: {unused:?}"
        );
    }
}
