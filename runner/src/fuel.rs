//! The fuel table: what each typed operator costs, by shapes alone.
//!
//! Counted before optimisation, so that neither cohort nor kernel can touch the count. tract's own
//! `cost()` is empty for loops, fused recurrences and transposed convolutions; an operator without a
//! line here is refused rather than given away.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, MaxPool, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_hir::internal::DimLike;

use crate::proto::Refused;
use crate::report::Refusal;

/// Reading, decoding and copying a byte of the file.
const FUEL_PER_FILE_BYTE: u64 = 20;
/// Sizes are symbolic expressions on the heap, slower than numbers by this factor.
const SYMBOLIC: u64 = 16;
/// Starting a node of a loop's body once more.
const FUEL_PER_STEP_NODE: u64 = 250;
/// Starting one product or convolution of a batch.
const FUEL_PER_BATCH: u64 = 2_000;
/// Packing the kernel of one group of a convolution.
const FUEL_PER_GROUP: u64 = 50_000;
/// A product of other than two operands is evaluated point by point, without kernels.
const FUEL_PER_POINT: u64 = 256;

/// What reading a file costs, whatever it holds.
pub(crate) const fn file_fuel(file_bytes: u64) -> u64 {
    FUEL_PER_FILE_BYTE.saturating_mul(file_bytes)
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
    /// One per element read or written, and 128 per element written: a lane is folded into each.
    Lanes,
    /// Sixteen per element read or written: places computed one by one, interpolation.
    Indexed,
    /// Sixty-four per element read or written: sorting, points found by coordinates.
    Sorted,
    /// Multiply-adds of a product, a convolution, or the taps of a window.
    Shaped,
    /// Body, and a fee for each of its nodes, times iterations.
    Loop,
}

use Charge::{Free, Heavy, Indexed, Lanes, Loop, Moves, Shaped, Sorted};

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
    ("Dropout", Moves),
    ("Eq", Moves),
    ("Floor", Moves),
    ("GT", Moves),
    ("GTE", Moves),
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
    ("Reshape", Moves),
    ("RmAxis", Moves),
    ("RoundHalfToEven", Moves),
    ("Sign", Moves),
    ("Slice", Moves),
    ("Square", Moves),
    ("Sub", Moves),
    ("Tile", Moves),
    ("Xor", Moves),
    ("Cast", Heavy),
    ("Cos", Heavy),
    ("CumSum", Heavy),
    ("DequantizeLinearF32", Heavy),
    ("Div", Heavy),
    ("DynamicQuantizeLinearU8", Heavy),
    ("Erf", Heavy),
    ("Exp", Heavy),
    ("Gather", Heavy),
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
    ("Reduce<ArgMax(false)>", Lanes),
    ("Reduce<ArgMax(true)>", Lanes),
    ("Reduce<ArgMin(false)>", Lanes),
    ("Reduce<ArgMin(true)>", Lanes),
    ("Reduce<Max>", Lanes),
    ("Reduce<Min>", Lanes),
    ("Reduce<Prod>", Lanes),
    ("Reduce<Sum>", Lanes),
    ("GatherElements", Indexed),
    ("Resize", Indexed),
    ("ScatterElements", Indexed),
    ("StridedSlice", Indexed),
    ("Trilu", Indexed),
    ("GatherNd", Sorted),
    ("ScatterNd", Sorted),
    ("Topk", Sorted),
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
    let symbolic = |fact: &&TypedFact| fact.datum_type == TDim::datum_type();
    if charge == Moves && inputs.iter().chain(&outputs).any(symbolic) {
        return Ok(moved.saturating_mul(SYMBOLIC));
    }
    Ok(match charge {
        Free => 0,
        Moves => moved,
        Heavy => moved.saturating_add(written.saturating_mul(7)),
        Lanes => moved.saturating_add(written.saturating_mul(128)),
        Indexed => moved.saturating_mul(16),
        Sorted => moved.saturating_mul(64),
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
        let starts = convolution_starts(&op.pool_spec, op.group, inputs)?;
        return Ok(written.saturating_mul(per_output).saturating_add(starts));
    }
    if let Some(op) = node.op_as::<Deconv>() {
        let read = inputs.first().map_or(Ok(0), |fact| volume(fact))?;
        let kernel = inputs.get(1).map_or(Ok(0), |fact| volume(fact))?;
        let per_input = kernel.div_ceil((op.pool_spec.input_channels as u64).max(1));
        let starts = convolution_starts(&op.pool_spec, op.group, inputs)?;
        return Ok(read.saturating_mul(per_input).saturating_add(starts));
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
        return Ok(written.saturating_mul(channels.saturating_mul(4).saturating_add(64)));
    }
    Err(Refused::new(
        Refusal::UnsupportedOp,
        format!("{} has no price", node.op.name()),
    ))
}

/// What convolutions cost besides their multiply-adds: each image of a batch and each group is
/// started apart, and the groups' kernels are packed apart, unless there is one per channel.
fn convolution_starts(
    spec: &PoolSpec,
    group: usize,
    inputs: &[&TypedFact],
) -> Result<u64, Refused> {
    let images = inputs.first().map_or(Ok(Vec::new()), |fact| dims(fact))?;
    let images = images.first().copied().unwrap_or(1);
    let depthwise = group == spec.input_channels && group == spec.output_channels;
    let groups = if depthwise { 1 } else { group as u64 };
    let packing = groups.saturating_sub(1).saturating_mul(FUEL_PER_GROUP);
    Ok(images
        .saturating_mul(groups)
        .saturating_mul(FUEL_PER_BATCH)
        .saturating_add(packing))
}

/// The lengths of all axes multiplied: each point of that space is one multiply-add.
fn einsum_work(op: &EinSum, inputs: &[&TypedFact]) -> Result<u64, Refused> {
    let operands = if op.q_params.is_some() {
        2
    } else {
        inputs.len()
    };
    let factors = inputs.get(..operands).unwrap_or_default();
    let wide = |fact: &&&TypedFact| fact.datum_type.size_of() > 4;
    if let Some(fact) = factors.iter().find(wide) {
        // tract has no kernels for these and panics while it looks for one.
        let why = format!("a product of {:?}", fact.datum_type);
        return Err(Refused::new(Refusal::UnsupportedType, why));
    }
    let shapes = inputs
        .iter()
        .map(|fact| dims(fact))
        .collect::<Result<Vec<_>, _>>()?;
    let (mut points, mut batches) = (1_u64, 1_u64);
    for axis in op.axes.iter_all_axes() {
        let places = axis.inputs.iter().zip(&shapes);
        let lengths =
            places.flat_map(|(places, shape)| places.iter().filter_map(|place| shape.get(*place)));
        let length = lengths.copied().max().unwrap_or(1);
        points = points.saturating_mul(length);
        let everywhere = axis
            .inputs
            .iter()
            .take(operands)
            .all(|places| !places.is_empty())
            && axis.outputs.iter().all(|places| !places.is_empty());
        if everywhere {
            batches = batches.saturating_mul(length);
        }
    }
    Ok(match operands {
        2 => points.saturating_add(batches.saturating_mul(FUEL_PER_BATCH)),
        _ => points.saturating_mul(FUEL_PER_POINT),
    })
}

fn loop_work(node: &TypedNode, inputs: &[&TypedFact]) -> Result<u64, Refused> {
    let no_price = || Refused::new(Refusal::UnsupportedOp, "a loop without a count".to_owned());
    let scan = node.op_as::<Scan>().ok_or_else(no_price)?;
    let count = scan
        .iteration_count(inputs)
        .and_then(|count| count.to_usize().ok());
    let iterations = count.ok_or_else(no_price)? as u64;
    let steps = FUEL_PER_STEP_NODE.saturating_mul(scan.body.nodes().len() as u64);
    Ok(work_of(&scan.body)?
        .saturating_add(steps)
        .saturating_mul(iterations))
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
