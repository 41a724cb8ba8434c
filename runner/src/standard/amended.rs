//! Operators that remain tract's own, but for a field of what they become.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::array::{Pad, Slice};
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
        let outlets = self.own.wire(prefix, model, inputs)?;
        let shape = model.outlet_fact(inputs[0])?.shape.clone();
        let pad = outlets[0].node;
        let op = model.node_mut(pad).op_as_mut::<Pad>();
        let op = op.context("a padding of another kind")?;
        let mut cuts = vec![];
        for (axis, (before, after)) in op.pads.iter_mut().enumerate() {
            let cut = (less_than_none(*before), less_than_none(*after));
            if cut != (0, 0) {
                let length = shape[axis].to_usize()?;
                let end = length.checked_sub(cut.1).filter(|end| *end > cut.0);
                cuts.push((axis, cut.0, end.context("a padding that leaves nothing")?));
            }
            *before = if cut.0 > 0 { 0 } else { *before };
            *after = if cut.1 > 0 { 0 } else { *after };
        }
        let mut whole = inputs[0];
        for (axis, start, end) in cuts {
            let name = format!("{prefix}.cut.{axis}");
            whole = model.wire_node(name, Slice::new(axis, start, end), &[whole])?[0];
        }
        if whole != inputs[0] {
            model.add_edge(whole, InletId::new(pad, 0))?;
        }
        Ok(outlets)
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
