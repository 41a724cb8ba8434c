//! Operators that remain tract's own, but for a field of what they become.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::array::{Pad, PadMode, Slice};
use tract_onnx::tract_core::ops::cnn::{Deconv, PaddingSpec};
use tract_onnx::tract_core::ops::scan::{InputMapping, Scan};
use tract_onnx::tract_hir::internal::*;

use super::{Built, attribute, own, own_expansion};

pub(super) fn read_cell(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let reverse = attribute(node, "direction").is_some_and(|a| a.s == b"reverse");
    if !reverse {
        return own(context, node);
    }
    let own = own_expansion(context, node)?;
    Ok((expand(Backwards { own }), vec![]))
}

/// A recurrent cell of one direction, from the last step to the first; tract runs it forward.
#[derive(Clone, Debug)]
struct Backwards {
    own: Box<dyn Expansion>,
}

impl Expansion for Backwards {
    fn name(&self) -> StaticName {
        "Backwards".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Expansion::nboutputs(self.own.as_ref())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.equals(&inputs[1].shape[0], 1.to_dim())?;
        self.own.rules(s, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let first = model.nodes().len();
        let outlets = self.own.wire(prefix, model, inputs)?;
        let mut loops = model.nodes_mut().iter_mut().skip(first);
        let scan = loops.find_map(|node| node.op_as_mut::<Scan>());
        let scan = scan.context("a cell without a loop")?;
        for input in &mut scan.input_mapping {
            if let InputMapping::Scan(info) = input {
                info.chunk = -info.chunk;
            }
        }
        for (_, info) in scan
            .output_mapping
            .iter_mut()
            .filter_map(|of| of.scan.as_mut())
        {
            info.chunk = -info.chunk;
        }
        Ok(outlets)
    }
}

pub(super) fn read_conv_transpose(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let Some(lengths) = node.get_attr_opt_tvec::<usize>("output_shape")? else {
        return own(context, node);
    };
    let added = node.get_attr_opt_tvec::<usize>("output_padding")?;
    let upper = attribute(node, "auto_pad").is_some_and(|a| a.s == b"SAME_UPPER");
    let mut plain = node.clone();
    let ignored = ["pads", "auto_pad", "output_padding"];
    plain
        .attribute
        .retain(|a| !ignored.contains(&a.name.as_str()));
    let own = own_expansion(context, &plain)?;
    let op = Sized {
        own,
        lengths,
        added,
        upper,
    };
    Ok((expand(op), vec![]))
}

/// A transposed convolution of a stated size: the standard ignores the paddings a node states and
/// splits what is too much, the odd one at the start; tract cuts all of it off at the end.
#[derive(Clone, Debug)]
struct Sized {
    own: Box<dyn Expansion>,
    lengths: TVec<usize>,
    added: Option<TVec<usize>>,
    /// The odd one is cut off at the end.
    upper: bool,
}

impl Expansion for Sized {
    fn name(&self) -> StaticName {
        "ConvTranspose".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.equals(&inputs[0].rank, self.lengths.len() as i64 + 2)?;
        self.own.rules(s, inputs, outputs)
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let shape = model.outlet_fact(inputs[0])?.shape.clone();
        let shape = shape.as_concrete().context("a size that is computed")?;
        let outlets = self.own.wire(prefix, model, inputs)?;
        let op = model.node_mut(outlets[0].node).op_as_mut::<Deconv>();
        let op = op.context("a transposed convolution of another kind")?;
        let (strides, dilations) = (op.pool_spec.strides(), op.pool_spec.dilations());
        let (mut before, mut after, mut added) = (tvec!(), tvec!(), tvec!());
        for (axis, length) in self.lengths.iter().enumerate() {
            let reach = op.pool_spec.kernel_shape[axis].saturating_sub(1) * dilations[axis] + 1;
            let own = self
                .added
                .as_ref()
                .map_or(Some(0), |added| added.get(axis).copied());
            let own = own.context("output_padding of another rank")?;
            let whole = strides[axis] * shape[axis + 2].saturating_sub(1) + reach + own;
            let cut = whole.saturating_sub(*length);
            let start = if self.upper { cut / 2 } else { cut.div_ceil(2) };
            before.push(start);
            after.push(cut - start);
            added.push(own + length.saturating_sub(whole));
        }
        op.pool_spec.padding = PaddingSpec::Explicit(before, after);
        op.adjustments = added;
        Ok(outlets)
    }
}

pub(super) fn read_pad(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    if context.onnx_operator_set_version < 11 {
        return own(context, node);
    }
    let own = own_expansion(context, node)?;
    Ok((expand(Cropping { own }), vec![]))
}

/// A padding; what is negative cuts off first. tract takes it for a huge length and panics.
#[derive(Clone, Debug)]
struct Cropping {
    own: Box<dyn Expansion>,
}

impl Expansion for Cropping {
    fn name(&self) -> StaticName {
        "Pad".into()
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
        let mut pad = self.read(prefix, model, inputs)?;
        let shape = model.outlet_fact(inputs[0])?.shape.clone();
        let mut whole = inputs[0];
        for (axis, (before, after)) in pad.pads.iter_mut().enumerate() {
            let cut = (less_than_none(*before), less_than_none(*after));
            if cut == (0, 0) {
                continue;
            }
            let end = shape[axis].to_usize()?.checked_sub(cut.1);
            let end = end.filter(|end| *end > cut.0);
            let end = end.context("a padding that leaves nothing")?;
            let name = format!("{prefix}.cut.{axis}");
            whole = model.wire_node(name, Slice::new(axis, cut.0, end), &[whole])?[0];
            *before = if cut.0 > 0 { 0 } else { *before };
            *after = if cut.1 > 0 { 0 } else { *after };
        }
        ensure!(
            !reflects_too_far(&pad, &model.outlet_fact(whole)?.shape),
            TOO_FAR
        );
        model.wire_node(prefix, pad, &[whole])
    }
}

/// Why such a padding is refused.
pub(crate) const TOO_FAR: &str = "Pad reflects more than a tensor holds";

/// Whether a padding reflects more than there is beside the edge, which tract fills with zeros.
pub(crate) fn reflects_too_far(pad: &Pad, shape: &ShapeFact) -> bool {
    let mut sides = pad.pads.iter().zip(shape.iter());
    let mut long = |(sides, length): (&(usize, usize), &TDim)| {
        let reach = length
            .to_usize()
            .map_or(0, |length| length.saturating_sub(1));
        sides.0.max(sides.1) > reach
    };
    pad.mode == PadMode::Reflect && sides.any(&mut long)
}

impl Cropping {
    /// What tract makes of it, in a graph of its own: it would compute what is constant, and panic.
    fn read(&self, prefix: &str, model: &TypedModel, inputs: &[OutletId]) -> TractResult<Pad> {
        let mut apart = TypedModel::default();
        let mut own = vec![];
        for (place, input) in inputs.iter().enumerate() {
            let (name, fact) = (format!("input.{place}"), model.outlet_fact(*input)?);
            own.push(match fact.konst.clone().filter(|_| place > 0) {
                Some(value) => apart.add_const(name, value)?,
                None => apart.add_source(name, fact.without_value())?,
            });
        }
        let outlets = self.own.wire(prefix, &mut apart, &own)?;
        let pad = apart.node(outlets[0].node).op_as::<Pad>().cloned();
        pad.context("a padding of another kind")
    }
}

/// How much a length that wrapped around is below zero.
fn less_than_none(length: usize) -> usize {
    if length > usize::MAX / 2 {
        length.wrapping_neg()
    } else {
        0
    }
}
