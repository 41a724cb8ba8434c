//! Operators that tract reads otherwise than the ONNX standard defines them, read right.
//!
//! Each is built from operators that have a price already, or is tract's own with what it gets wrong
//! put right. The fuel is counted on what is built here.

use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto, tensor_proto,
};
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};
use tract_onnx::tract_hir::internal::*;

pub(crate) use self::amended::{TOO_FAR, reflects_too_far};
use self::amended::{read_cell, read_conv_transpose, read_pad};

mod amended;

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// tract's reader of a model, with these operators in the place of its own.
pub(crate) fn reader() -> Onnx {
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let operators = &mut onnx.op_register;
    for name in [
        "Celu",
        "ConvTranspose",
        "GRU",
        "LSTM",
        "Pad",
        "RNN",
        "ReduceLogSumExp",
    ] {
        if let Some(own) = operators.0.remove(name) {
            operators.0.insert(tracts(name), own);
        }
    }
    operators.insert("Cast", read_cast);
    operators.insert("Celu", read_celu);
    operators.insert("ConvTranspose", read_conv_transpose);
    operators.insert("GRU", read_cell);
    operators.insert("LSTM", read_cell);
    operators.insert("LogSoftmax", read_log_softmax);
    operators.insert("Pad", read_pad);
    operators.insert("RNN", read_cell);
    operators.insert("ReduceLogSumExp", read_log_sum_exp);
    operators.insert("Softplus", |_, _| Ok((expand(Softplus), vec![])));
    onnx
}

/// Takes away what the standard ignores and tract does not, the value beside a mode that pads with
/// what the tensor holds; and states what the standard presumes and tract does not, f32 as the type
/// of a constant without a value.
pub(crate) fn settle_defaults(graph: &mut GraphProto) {
    for node in &mut graph.node {
        let copies = attribute(node, "mode").is_some_and(|mode| mode.s != b"constant");
        let valued = attribute(node, "value").is_some();
        match node.op_type.as_str() {
            "Pad" if copies => {
                if let Some(value) = node.input.get_mut(2) {
                    value.clear();
                }
            }
            "ConstantOfShape" if !valued => node.attribute.push(zero()),
            _ => {}
        }
    }
}

/// The attribute that says what is said by none.
fn zero() -> AttributeProto {
    let tensor = TensorProto {
        dims: vec![1],
        data_type: tensor_proto::DataType::Float as i32,
        float_data: vec![0.0],
        ..TensorProto::default()
    };
    AttributeProto {
        name: "value".to_owned(),
        r#type: attribute_proto::AttributeType::Tensor as i32,
        t: Some(tensor),
        ..AttributeProto::default()
    }
}

pub(crate) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|a| a.name == name)
}

/// Where tract's own reading of an operator is kept. No model names it: its like is not admitted.
fn tracts(name: &str) -> String {
    format!("tract {name}")
}

/// tract's own reading of a node.
fn own(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let own = context.framework.op_register.0.get(&tracts(&node.op_type));
    own.with_context(|| format!("no {}", node.op_type))?(context, node)
}

fn own_expansion(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<Box<dyn Expansion>> {
    let (op, _) = own(context, node)?;
    let expansion = op.as_op().downcast_ref::<Box<dyn Expansion>>();
    Ok(expansion.context("an operator of another kind")?.clone())
}

/// A number as a constant that fits any tensor like the wire.
fn number(
    model: &mut TypedModel,
    name: String,
    like: OutletId,
    value: f32,
) -> TractResult<OutletId> {
    let fact = model.outlet_fact(like)?;
    let (kind, rank) = (fact.datum_type, fact.rank());
    let value = tensor0(value).cast_to_dt(kind)?.into_owned();
    model.add_const(name, value.broadcast_into_rank(rank)?)
}

fn same_shape<'r, 'p: 'r>(
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
) -> InferenceResult {
    check_input_arity(inputs, 1)?;
    check_output_arity(outputs, 1)?;
    s.equals(&inputs[0].rank, &outputs[0].rank)?;
    s.equals(&inputs[0].shape, &outputs[0].shape)
}

/// Wires one node after another, each named after the last step.
macro_rules! wire {
    ($model:ident $prefix:ident $name:ident = $op:expr, $($input:expr),*) => {
        let $name = $model.wire_node(
            format!("{}.{}", $prefix, stringify!($name)), $op, &[$($input),*])?[0];
    };
}

fn read_cast(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let to = node.get_attr::<DatumType>("to")?;
    Ok((expand(Cast { to }), vec![]))
}

/// tract takes every cast to i64 for a size, whose way leads through 32 bits. Only a size stays one.
#[derive(Clone, Debug)]
struct Cast {
    to: DatumType,
}

impl Cast {
    fn made_of(&self, from: DatumType) -> DatumType {
        let size = from == TDim::datum_type() && self.to == DatumType::I64;
        if size { from } else { self.to }
    }
}

impl Expansion for Cast {
    fn name(&self) -> StaticName {
        "Cast".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        same_shape(s, inputs, outputs)?;
        s.given(&inputs[0].datum_type, move |s, from| {
            s.equals(&outputs[0].datum_type, self.made_of(from))
        })
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let from = model.outlet_fact(inputs[0])?.datum_type;
        model.wire_node(prefix, cast(self.made_of(from)), inputs)
    }
}

fn read_celu(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let alpha = node.get_attr_opt("alpha")?.unwrap_or(1.0);
    if alpha == 1.0 {
        return own(context, node);
    }
    Ok((expand(Celu { alpha }), vec![]))
}

/// max(0, x) + min(0, α·(exp(x/α) - 1)); tract leaves the factor out.
#[derive(Clone, Debug)]
struct Celu {
    alpha: f32,
}

impl Expansion for Celu {
    fn name(&self) -> StaticName {
        "Celu".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        same_shape(s, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let x = inputs[0];
        let zero = number(model, format!("{prefix}.zero"), x, 0.0)?;
        let one = number(model, format!("{prefix}.one"), x, 1.0)?;
        let alpha = number(model, format!("{prefix}.alpha"), x, self.alpha)?;
        wire!(model prefix part = math::div(), x, alpha);
        wire!(model prefix exp = math::exp(), part);
        wire!(model prefix less = math::sub(), exp, one);
        wire!(model prefix scaled = math::mul(), less, alpha);
        wire!(model prefix below = math::min(), zero, scaled);
        wire!(model prefix above = math::max(), zero, x);
        model.wire_node(prefix, math::add(), &[above, below])
    }
}

/// max(x, 0) + ln(1 + exp(-|x|)), where tract's ln(1 + exp(x)) is infinite from 89 on.
#[derive(Clone, Debug)]
struct Softplus;

impl Expansion for Softplus {
    fn name(&self) -> StaticName {
        "Softplus".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        same_shape(s, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let x = inputs[0];
        let zero = number(model, format!("{prefix}.zero"), x, 0.0)?;
        let one = number(model, format!("{prefix}.one"), x, 1.0)?;
        wire!(model prefix size = math::abs(), x);
        wire!(model prefix less = math::neg(), size);
        wire!(model prefix exp = math::exp(), less);
        wire!(model prefix more = math::add(), exp, one);
        wire!(model prefix ln = math::ln(), more);
        wire!(model prefix above = math::max(), x, zero);
        model.wire_node(prefix, math::add(), &[above, ln])
    }
}

fn read_log_softmax(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let layers = context.onnx_operator_set_version < 13;
    let axis = node.get_attr_opt("axis")?;
    let axis = axis.unwrap_or(if layers { 1 } else { -1 });
    Ok((expand(LogSoftmax { axis, layers }), vec![]))
}

/// x - max - ln(Σ exp(x - max)), where tract takes the logarithm of what may be 0 by then.
#[derive(Clone, Debug)]
struct LogSoftmax {
    axis: i64,
    /// Before operator set 13: over this axis and all after it.
    layers: bool,
}

impl Expansion for LogSoftmax {
    fn name(&self) -> StaticName {
        "LogSoftmax".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        same_shape(s, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let x = inputs[0];
        let rank = model.outlet_fact(x)?.rank();
        let axis = place(self.axis, rank)?;
        let last = if self.layers { rank } else { axis + 1 };
        let axes: TVec<usize> = (axis..last).collect();
        wire!(model prefix max = Reduce::new(axes.clone(), Reducer::Max), x);
        wire!(model prefix less = math::sub(), x, max);
        wire!(model prefix exp = math::exp(), less);
        wire!(model prefix sum = Reduce::new(axes, Reducer::Sum), exp);
        wire!(model prefix ln = math::ln(), sum);
        model.wire_node(prefix, math::sub(), &[less, ln])
    }
}

fn place(axis: i64, rank: usize) -> TractResult<usize> {
    let from_start = if axis < 0 { axis + rank as i64 } else { axis };
    let place = usize::try_from(from_start).ok().filter(|axis| *axis < rank);
    place.with_context(|| format!("axis {axis} of {rank}"))
}

fn read_log_sum_exp(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let op = LogSumExp {
        own: own_expansion(context, node)?,
        axes: node.get_attr_opt_vec("axes")?.unwrap_or_default(),
        keep: node.get_attr_opt("keepdims")?.unwrap_or(1_i64) == 1,
        none: node.get_attr_opt("noop_with_empty_axes")?.unwrap_or(0_i64) == 1,
    };
    Ok((expand(op), vec![]))
}

/// m + ln(Σ exp(x - m)) with the greatest as m, where tract's exp is infinite from 89 on. An infinite
/// m would make a NaN of itself, so the greatest finite number stands for it.
#[derive(Clone, Debug)]
struct LogSumExp {
    own: Box<dyn Expansion>,
    axes: Vec<i64>,
    keep: bool,
    /// No axes are none, and not all.
    none: bool,
}

impl LogSumExp {
    fn places(&self, model: &TypedModel, inputs: &[OutletId]) -> TractResult<TVec<usize>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let mut axes = self.axes.clone();
        if let Some(input) = inputs.get(1) {
            let given = &model.outlet_fact(*input)?.konst;
            let given = given
                .as_ref()
                .context("axes that are computed")?
                .cast_to::<i64>()?;
            axes = given.try_as_plain_ram()?.as_slice::<i64>()?.to_vec();
        }
        if axes.is_empty() && !self.none {
            return Ok((0..rank).collect());
        }
        let mut places = axes
            .iter()
            .map(|axis| place(*axis, rank))
            .collect::<TractResult<TVec<_>>>()?;
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }
}

impl Expansion for LogSumExp {
    fn name(&self) -> StaticName {
        "ReduceLogSumExp".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.own.rules(s, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let x = inputs[0];
        if !model.outlet_fact(x)?.datum_type.is_float() {
            return self.own.wire(prefix, model, inputs);
        }
        let axes = self.places(model, inputs)?;
        let least = number(model, format!("{prefix}.least"), x, f32::MIN)?;
        let most = number(model, format!("{prefix}.most"), x, f32::MAX)?;
        wire!(model prefix max = Reduce::new(axes.clone(), Reducer::Max), x);
        wire!(model prefix above = math::max(), max, least);
        wire!(model prefix m = math::min(), above, most);
        wire!(model prefix less = math::sub(), x, m);
        wire!(model prefix exp = math::exp(), less);
        wire!(model prefix sum = Reduce::new(axes.clone(), Reducer::Sum), exp);
        wire!(model prefix ln = math::ln(), sum);
        let mut outlets = model.wire_node(prefix, math::add(), &[m, ln])?;
        for axis in axes.iter().rev().filter(|_| !self.keep) {
            let name = format!("{prefix}.without.{axis}");
            outlets = model.wire_node(name, AxisOp::Rm(*axis), &outlets)?;
        }
        Ok(outlets)
    }
}
