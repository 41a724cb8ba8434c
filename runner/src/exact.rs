//! What tract computes through floats or 32 bits, done exactly; indices that tract panics on; and two
//! states of a loop kept apart.
//!
//! On integers tract turns `x * x`, `Pow(x, 2)` and sums of squares into a square by way of f32,
//! which is off beyond 2²⁴ and stops at i64, and it adds i64 in 32 bits. An i64 that meets a size is
//! made a size in 32 bits. Equal initial states of a
//! recurrent cell become one constant, and an axis moved for one of the two states breaks the other.
//! Nodes are exchanged after the fuel is counted: what a run costs follows from the model as written.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{GatherNd, OneHot, Pad, ScatterNd};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_core::ops::scan::Scan;
use tract_onnx::tract_hir::tract_ndarray::{ArrayViewD, Axis};

use crate::proto::Refused;
use crate::report::Refusal;
use crate::standard::{TOO_FAR, reflects_too_far};

use self::indices::{Hot, Places};

mod indices;

/// Exchanges every such node. Refuses float functions of integers, which only reductions of ONNX
/// allow and tract rounds in between.
pub(crate) fn make_exact(model: &mut TypedModel) -> Result<(), Refused> {
    let bad = |error: TractError| Refused::bad(format!("{error:#}"));
    for node in 0..model.nodes().len() {
        if model.node(node).op_is::<Scan>() {
            keep_apart(model, node).map_err(bad)?;
        } else if let Some(lengths) = indexed_lengths(model, node).map_err(bad)? {
            count_from_end(model, node, lengths).map_err(bad)?;
        } else if let Some(op) = exact_op(model, node)? {
            model.node_mut(node).op = op;
        }
    }
    Ok(())
}

/// The lengths of the axes that a node's indices point into, one for each of an index's parts.
fn indexed_lengths(model: &TypedModel, node: usize) -> TractResult<Option<Vec<i64>>> {
    let node = model.node(node);
    let first = match node.op_as::<GatherNd>() {
        Some(op) => op.batch_dims,
        None if node.op_is::<ScatterNd>() => 0,
        None => return Ok(None),
    };
    let (data, indices) = (
        model.outlet_fact(node.inputs[0])?,
        model.outlet_fact(node.inputs[1])?,
    );
    let parts = indices
        .shape
        .last()
        .context("an index without parts")?
        .to_usize()?;
    let integers = [DatumType::I32, DatumType::I64].contains(&indices.datum_type);
    let lengths = data.shape.iter().skip(first).take(parts);
    let lengths = lengths
        .map(|length| Ok(length.to_i64()?))
        .collect::<TractResult<_>>()?;
    Ok(integers.then_some(lengths))
}

fn count_from_end(model: &mut TypedModel, node: usize, lengths: Vec<i64>) -> TractResult<()> {
    let name = format!("{}.places", model.node(node).name);
    let indices = model.node(node).inputs[1];
    let places = model
        .wire_node(name, Places { lengths }, &[indices])?
        .remove(0);
    model.add_edge(places, InletId::new(node, 1))
}

fn exact_op(model: &TypedModel, node: usize) -> Result<Option<Box<dyn TypedOp>>, Refused> {
    let node = model.node(node);
    let input = node.inputs.first().map(|outlet| model.outlet_fact(*outlet));
    let Some(Ok(input)) = input else {
        return Ok(None);
    };
    let dtype = input.datum_type;
    if let Some(op) = node.op_as::<OneHot>() {
        return Ok(Some(Box::new(Hot(op.clone()))));
    }
    let far = |op: &Pad| reflects_too_far(op, &input.shape);
    if node.op_as::<Pad>().is_some_and(far) {
        return Err(Refused::new(Refusal::UnsupportedOp, TOO_FAR));
    }
    let size = |op: &Cast| op.to == TDim::datum_type() && dtype == DatumType::I64;
    if node.op_as::<Cast>().is_some_and(size) {
        return Ok(Some(Box::new(ExactSize)));
    }
    if !dtype.is_integer() {
        return Ok(None);
    }
    if let Some(ElementWiseOp(op, _)) = node.op_as::<ElementWiseOp>() {
        if op.is::<math::Square>() {
            return Ok(Some(Box::new(ExactSquare)));
        }
        if op.is::<math::Exp>() || op.is::<math::Ln>() || op.is::<math::Sqrt>() {
            let why = format!("{} of {dtype:?}", op.name());
            return Err(Refused::new(Refusal::UnsupportedType, why));
        }
    }
    if let Some(TypedBinOp(op, _)) = node.op_as::<TypedBinOp>() {
        let same = op.is::<math::Mul>() && node.inputs.first() == node.inputs.get(1);
        let two = op.is::<math::Pow>() && exponent(model, node) == Some(2.0);
        let same_shape = node.outputs.first().map(|of| &of.fact.shape) == Some(&input.shape);
        if (same || two) && same_shape {
            return Ok(Some(Box::new(ExactSquare)));
        }
    }
    let sum = node.op_as::<Reduce>();
    let sum = sum.filter(|op| op.reducer == Reducer::Sum && dtype == DatumType::I64);
    Ok(sum.map(|op| -> Box<dyn TypedOp> {
        Box::new(ExactSum {
            axes: op.axes.clone(),
        })
    }))
}

/// The one value that all exponents have.
fn exponent(model: &TypedModel, node: &TypedNode) -> Option<f32> {
    let fact = model.outlet_fact(*node.inputs.get(1)?).ok()?;
    fact.uniform.as_ref()?.cast_to_scalar().ok()
}

/// Gives a loop an input of its own for every repetition of another.
fn keep_apart(model: &mut TypedModel, node: usize) -> TractResult<()> {
    let inputs = model.node(node).inputs.clone();
    for (slot, outlet) in inputs.iter().enumerate() {
        let mut own = *outlet;
        for time in 0..inputs.iter().take(slot).filter(|of| *of == outlet).count() {
            let name = format!("{}.{slot}.{time}", model.node(node).name);
            own = model.wire_node(name, Apart, &[own])?.remove(0);
        }
        if own != *outlet {
            model.add_edge(own, InletId::new(node, slot))?;
        }
    }
    Ok(())
}

/// Hands its input on. No optimiser sees through it.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(crate) struct Apart;

impl Op for Apart {
    fn name(&self) -> StaticName {
        "Apart".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Apart {
    not_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        Ok(inputs)
    }
}

impl TypedOp for Apart {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    as_op!();
}

/// The square of its first input, as integers multiply: a product too large wraps.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct ExactSquare;

impl Op for ExactSquare {
    fn name(&self) -> StaticName {
        "ExactSquare".into()
    }

    op_as_typed_op!();
}

impl EvalOp for ExactSquare {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        macro_rules! squares {
            ($($variant:ident $int:ty),*) => {{
                let mut tensor = inputs.remove(0).into_tensor();
                match tensor.datum_type() {
                    $(DatumType::$variant => {
                        for x in tensor.try_as_plain_ram_mut()?.as_slice_mut::<$int>()? {
                            *x = x.wrapping_mul(*x);
                        }
                    })*
                    other => bail!("a square of {other:?}"),
                }
                Ok(tvec!(tensor.into_tvalue()))
            }};
        }
        squares!(U8 u8, I8 i8, I32 i32, I64 i64)
    }
}

impl TypedOp for ExactSquare {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    as_op!();
}

/// The sum over some axes, which stay with length 1, in 64 bits; a sum too large wraps.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct ExactSum {
    axes: TVec<usize>,
}

impl Op for ExactSum {
    fn name(&self) -> StaticName {
        "ExactSum".into()
    }

    op_as_typed_op!();
}

impl EvalOp for ExactSum {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = inputs.remove(0);
        let view = input.try_as_plain_ram()?;
        let view: ArrayViewD<'_, i64> = view.to_array_view()?;
        let mut sums = view.to_owned();
        for axis in &self.axes {
            sums = sums
                .fold_axis(Axis(*axis), 0_i64, |sum, x| sum.wrapping_add(*x))
                .insert_axis(Axis(*axis));
        }
        Ok(tvec!(sums.into_tensor().into_tvalue()))
    }
}

impl TypedOp for ExactSum {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape: TVec<TDim> = inputs[0].shape.iter().cloned().collect();
        for axis in &self.axes {
            shape[*axis] = 1.to_dim();
        }
        Ok(tvec!(inputs[0].datum_type.fact(shape)))
    }

    as_op!();
}

/// A size of each i64, with all its bits.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct ExactSize;

impl Op for ExactSize {
    fn name(&self) -> StaticName {
        "ExactSize".into()
    }

    op_as_typed_op!();
}

impl EvalOp for ExactSize {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = inputs.remove(0);
        let view = input.try_as_plain_ram()?;
        let sizes: ArrayViewD<'_, i64> = view.to_array_view()?;
        let sizes = sizes.mapv(TDim::from);
        Ok(tvec!(sizes.into_tensor().into_tvalue()))
    }
}

impl TypedOp for ExactSize {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = inputs[0].shape.iter().cloned().collect::<TVec<TDim>>();
        Ok(tvec!(TDim::datum_type().fact(shape)))
    }

    as_op!();
}
