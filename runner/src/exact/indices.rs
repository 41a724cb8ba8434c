//! Indices as the standard reads them: below zero they count from the end; what is out of range is an
//! error that everybody sees, or lights nothing.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::OneHot;
use tract_onnx::tract_hir::tract_ndarray::{ArrayViewD, Dimension};

/// Indices into axes of these lengths, the last axis being an index's parts, counted from the start.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) lengths: Vec<i64>,
}

impl Op for Places {
    fn name(&self) -> StaticName {
        "Places".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Places {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = inputs.remove(0);
        let mut indices = input.cast_to::<i64>()?.into_owned();
        let mut plain = indices.try_as_plain_ram_mut()?;
        let parts = plain.as_slice_mut::<i64>()?;
        for (part, length) in parts.iter_mut().zip(self.lengths.iter().cycle()) {
            let from_start = if *part < 0 {
                part.saturating_add(*length)
            } else {
                *part
            };
            ensure!(
                (0..*length).contains(&from_start),
                "index {part} of {length}"
            );
            *part = from_start;
        }
        let indices = indices.cast_to_dt(input.datum_type())?.into_owned();
        Ok(tvec!(indices.into_tvalue()))
    }
}

impl TypedOp for Places {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    as_op!();
}

/// tract's operator, without its panic: an index out of range lights nothing.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) struct Hot(pub(super) OneHot);

impl Op for Hot {
    fn name(&self) -> StaticName {
        "Hot".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Hot {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let indices = inputs.remove(0);
        let mut shape: TVec<usize> = indices.shape().into();
        shape.insert(self.0.axis, self.0.dim);
        let indices = indices.cast_to::<i64>()?;
        let indices: ArrayViewD<'_, i64> = indices.to_plain_array_view()?;
        let mut lit = self.0.off.broadcast_scalar_to_shape(&shape)?;
        macro_rules! light {
            ($($variant:ident $kind:ty),*) => {
                match lit.datum_type() {
                    $(DatumType::$variant => {
                        let on = self.0.on.cast_to_scalar::<$kind>()?;
                        let mut plain = lit.try_as_plain_ram_mut()?;
                        let mut array = plain.to_array_view_mut::<$kind>()?;
                        for (place, index) in indices.indexed_iter() {
                            if let Some(index) = index_in(*index, self.0.dim) {
                                let mut place: Vec<usize> = place.slice().to_vec();
                                place.insert(self.0.axis, index);
                                array[&*place] = on;
                            }
                        }
                    })*
                    other => bail!("{other:?} to choose from"),
                }
            };
        }
        light!(Bool bool, U8 u8, I8 i8, I32 i32, I64 i64, F32 f32);
        Ok(tvec!(lit.into_tvalue()))
    }
}

fn index_in(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let from_start = if index < 0 {
        index.checked_add(length)?
    } else {
        index
    };
    let place = usize::try_from(from_start).ok()?;
    (from_start < length).then_some(place)
}

impl TypedOp for Hot {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}
